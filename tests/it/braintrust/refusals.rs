//! What upstream's refusals come to, in plain text and in any JSON, and where its
//! API is.

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::braintrust::{Instance, Options},
    tasks::Tasks,
};
use serde_json::{Value as Json, json};

use super::{Caller, UPSTREAM, instance, refused, served, text};
use crate::support::{
    gateway::Answer,
    served::{MAIN, SANDBOX_POLICY, Served, id, resources},
    upstreams::{Place, inject},
    vendors::BRAINTRUST,
};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[track_caller]
fn says(answer: Answer, words: &str) {
    refused(&answer, "INVALID_ARGUMENT", "UPSTREAM_REJECTED");
    let details = answer.details().unwrap();
    let metadata = &details.error_info().unwrap().metadata;
    let told = metadata.get("upstream_errors").map(String::as_str);
    assert_eq!(told.unwrap_or_default(), words);
    assert_eq!(metadata["upstream"], UPSTREAM);
    let told = answer.result.unwrap_err();
    let expected = match words {
        "" => "upstream refused the request".to_owned(),
        words => format!("upstream refused the request: {words}"),
    };
    assert_eq!(told.message(), expected);
}

#[tokio::test]
async fn plain_text_and_any_json_are_upstreams_words() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let text_plain = "text/plain; charset=utf-8";
    let long = "a ".repeat(10_000);
    for (content_type, body, words) in [
        (text_plain, json!("No such thing"), "No such thing"),
        (text_plain, json!("on\ntwo\tlines"), "on two lines"),
        (text_plain, json!(""), ""),
        (text_plain, json!("<html><p>Bad request</p></html>"), ""),
        (text_plain, json!(long), long[..500].trim()),
        (
            text_plain,
            json!(format!("sk-{}", "a1".repeat(24))),
            "sk-[redacted]",
        ),
        ("application/json", json!("\"in quotes\""), "in quotes"),
        ("application/json", Json::Null, "null"),
        ("application/json", json!("null"), ""),
        ("application/json", json!({}), ""),
        ("application/json", json!([]), ""),
        (
            "application/json",
            json!({ "error": ["a", 1] }),
            "{\"error\":[\"a\",1]}",
        ),
        ("application/json", json!(42), "42"),
        ("application/json", json!("{\"cut"), "{\"cut"),
    ] {
        // a fault's body that is null is none
        let (body, words) = if body.is_null() {
            (json!(" "), "")
        } else {
            (body, words)
        };
        let fault = json!({ "status": 400, "content_type": content_type, "body": body });
        inject(instance(&served), json!({ "count": 1, "fault": fault }));
        says(admin.call("ListApiKeys", &[]).await, words);
    }
    let account = [("name", text("a")), ("service_account_id", text(NOBODY))];
    let words = format!("No service account with id {NOBODY}");
    for rpc in ["CreateServiceToken", "ReplaceServiceToken"] {
        says(admin.call(rpc, &account).await, &words);
    }
}

#[tokio::test]
async fn whatever_comes_for_an_id_that_is_nobodys_can_be_told() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    for (rpc, field, kind) in [
        ("GetApiKey", "api_key_id", "api_key"),
        ("DeleteApiKey", "api_key_id", "api_key"),
        ("GetServiceToken", "service_token_id", "service_token"),
        ("DeleteServiceToken", "service_token_id", "service_token"),
    ] {
        let fields = [(field, text(NOBODY))];
        let words = format!("No {kind} with id {NOBODY}");
        says(admin.call(rpc, &fields).await, &words);
        for (status, code, reason) in [
            (403, "FAILED_PRECONDITION", "UPSTREAM_FORBIDDEN"),
            (404, "NOT_FOUND", "KEY_NOT_FOUND"),
            (422, "INVALID_ARGUMENT", "UPSTREAM_REJECTED"),
        ] {
            let fault = json!({ "status": status, "content_type": "text/plain", "body": "none" });
            inject(instance(&served), json!({ "count": 1, "fault": fault }));
            refused(&admin.call(rpc, &fields).await, code, reason);
        }
    }
}

#[tokio::test]
async fn an_answer_without_what_was_asked_for_makes_no_sense() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let token = id(admin.create("a").await);
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{\"objects\": {}}",
        "{\"id\": null}",
        "ok",
    ] {
        for rpc in ["GetServiceToken", "DeleteServiceToken", "ListServiceTokens"] {
            let fault = json!({ "status": 200, "body": body });
            inject(instance(&served), json!({ "count": 1, "fault": fault }));
            let fields = [("service_token_id", text(&token))];
            let fields = if rpc.starts_with("List") {
                &[][..]
            } else {
                &fields
            };
            let answer = admin.call(rpc, fields).await;
            refused(&answer, "INTERNAL", "UPSTREAM_MALFORMED");
        }
    }
}

#[tokio::test]
async fn a_data_plane_can_be_anywhere() {
    let tasks = Tasks::new();
    let options = Options {
        path: "/data/plane".to_owned(),
        ..Options::default()
    };
    let instance = Instance::start(options, Clock::system(), Random::system(), &tasks);
    let instance = instance.await.unwrap();
    let place = |name: &str, slash: &str| {
        Place::new(&BRAINTRUST, name)
            .elsewhere(&format!("{}{slash}", instance.base_url()))
            .with_masters(vec![instance.token().clone()])
    };
    let places = vec![place(MAIN, ""), place("other", "/")];
    let served = Served::start(SANDBOX_POLICY, places, "info").await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    for name in [MAIN, "other"] {
        let at = ("instance", text(name));
        let keys = admin.call("ListApiKeys", std::slice::from_ref(&at)).await;
        assert_eq!(resources(keys).len(), 3);
        let account = text(&instance.service_account_id());
        let new = [
            at.clone(),
            ("name", text(name)),
            ("service_account_id", account),
        ];
        let token = id(admin.call("CreateServiceToken", &new).await);
        assert_eq!(id(admin.call("ReplaceServiceToken", &new).await), token);
        let one = [at, ("service_token_id", text(&token))];
        admin.call("GetServiceToken", &one).await.ok();
        admin.call("DeleteServiceToken", &one).await.ok();
    }
    // there are two, and none is the default
    let unnamed = admin.call("ListApiKeys", &[]).await;
    refused(&unnamed, "INVALID_ARGUMENT", "INVALID_REQUEST");
    let unheard_of = [("instance", text("elsewhere"))];
    let answer = admin.call("ListApiKeys", &unheard_of).await;
    refused(&answer, "FAILED_PRECONDITION", "UPSTREAM_NOT_CONFIGURED");
    let state = instance.state();
    let requests = state["requests"].as_array().unwrap();
    let path = |it: &Json| it["path"].as_str().unwrap().starts_with("/data/plane/v1/");
    assert!(requests.iter().all(path), "{requests:#?}");
    tasks.stop();
}
