//! What upstream refuses, in each form that its errors have.

use keygate::contract::proto::keygate::coveo::v1::{
    ActivateApiKeyRequest, CreateApiKeyRequest, ExtendApiKeyRequest, ListApiKeysRequest,
};
use serde_json::json;

use super::{Bench, get};
use crate::support::{gateway::Answer, served::SANDBOX_POLICY, upstreams::inject};

fn message(answer: &Answer) -> String {
    answer.result.as_ref().unwrap_err().message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_told_whatever_their_form() {
    const PAGE: &str = "<html><body><h1>Request blocked</h1></body></html>";
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let problem = json!({
        "type": "https://docs.coveo.com/errors/conflict", "title": "Conflict", "status": 409,
        "detail": "the name is taken", "instance": "/a",
    });
    let exception = json!({ "message": "no such key", "errorCode": "GONE", "requestID": "1" });
    for (status, content_type, body, code, reason, words) in [
        (
            409,
            "application/problem+json",
            problem.to_string(),
            "ALREADY_EXISTS",
            "KEY_EXISTS",
            Some("Conflict: the name is taken"),
        ),
        (
            404,
            "application/json",
            exception.to_string(),
            "NOT_FOUND",
            "KEY_NOT_FOUND",
            Some("GONE: no such key"),
        ),
        (
            412,
            "application/json",
            exception.to_string(),
            "INVALID_ARGUMENT",
            "UPSTREAM_REJECTED",
            Some("GONE: no such key"),
        ),
        (
            400,
            "text/html",
            PAGE.to_owned(),
            "INVALID_ARGUMENT",
            "UPSTREAM_REJECTED",
            None,
        ),
        (
            403,
            "text/html",
            PAGE.to_owned(),
            "FAILED_PRECONDITION",
            "UPSTREAM_FORBIDDEN",
            None,
        ),
        (
            401,
            "application/json",
            exception.to_string(),
            "FAILED_PRECONDITION",
            "UPSTREAM_CREDENTIALS_REJECTED",
            None,
        ),
        (
            502,
            "text/html",
            PAGE.to_owned(),
            "UNAVAILABLE",
            "UPSTREAM_UNAVAILABLE",
            None,
        ),
        (
            200,
            "text/html",
            PAGE.to_owned(),
            "INTERNAL",
            "UPSTREAM_MALFORMED",
            None,
        ),
        // last: until then upstream is not asked again
        (
            429,
            "text/html",
            PAGE.to_owned(),
            "RESOURCE_EXHAUSTED",
            "RATE_LIMITED",
            None,
        ),
    ] {
        let headers = json!({ "x-coveo-waf-action": "block", "retry-after": "60" });
        let fault = json!({
            "status": status, "content_type": content_type, "body": body, "headers": headers,
        });
        inject(bench.simulator(), json!({ "fault": fault }));
        let answer = admin.call(get("a-key")).await;
        bench.simulator().faults().clear();
        assert_eq!(
            (answer.code(), &*answer.reason()),
            (code, reason),
            "{status} {body}"
        );
        let told = message(&answer);
        assert!(
            !told.contains("Request blocked") && !told.contains('<'),
            "{told}"
        );
        let details = answer.details().unwrap();
        let metadata = &details.error_info().unwrap().metadata;
        let errors = metadata.get("upstream_errors").map(String::as_str);
        assert_eq!(errors, words, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upstream_s_own_refusals_reach_the_caller() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let gone = admin.refused(get("nobody"), "KEY_NOT_FOUND").await;
    assert_eq!(gone.code(), "NOT_FOUND");
    let lifetime = CreateApiKeyRequest {
        display_name: Some("a".to_owned()),
        lifetime_duration: Some("a year".to_owned()),
        ..CreateApiKeyRequest::default()
    };
    let refused = admin.refused(lifetime, "UPSTREAM_REJECTED").await;
    assert!(message(&refused).contains("lifetimeDuration"));
    let template = CreateApiKeyRequest {
        api_key_template_id: Some("a b&status=c".to_owned()),
        ..CreateApiKeyRequest::default()
    };
    admin.refused(template, "KEY_NOT_FOUND").await;

    let short = CreateApiKeyRequest {
        display_name: Some("a".to_owned()),
        lifetime_duration: Some("PT1S".to_owned()),
        ..CreateApiKeyRequest::default()
    };
    let id = admin.ask(short).await.api_key.unwrap().id;
    // it has a second to live
    loop {
        if bench.held(&id)["status"] == "EXPIRED" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let extend = ExtendApiKeyRequest {
        api_key_id: id.clone(),
        ..ExtendApiKeyRequest::default()
    };
    admin.refused(extend, "UPSTREAM_REJECTED").await;
    let activate = ActivateApiKeyRequest {
        api_key_id: id,
        ..ActivateApiKeyRequest::default()
    };
    let refused = admin.refused(activate, "UPSTREAM_REJECTED").await;
    assert!(message(&refused).contains("API_KEY_EXPIRED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_before_upstream_is_asked() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let violated = |answer: &Answer| {
        assert_eq!(answer.reason(), "INVALID_REQUEST");
        let details = answer.details().unwrap();
        let violations = details.bad_request().unwrap().field_violations.iter();
        violations.map(|it| it.field.clone()).collect::<Vec<_>>()
    };
    let nameless = CreateApiKeyRequest::default();
    let empty = CreateApiKeyRequest {
        display_name: Some(" ".to_owned()),
        ..CreateApiKeyRequest::default()
    };
    let long = CreateApiKeyRequest {
        display_name: Some("a".repeat(1_025)),
        ..CreateApiKeyRequest::default()
    };
    let mut endless = prost_types::Struct::default();
    let number = prost_types::Value {
        kind: Some(prost_types::value::Kind::NumberValue(f64::INFINITY)),
    };
    endless.fields.insert("a".to_owned(), number);
    let endless = CreateApiKeyRequest {
        display_name: Some("a".to_owned()),
        additional_configuration: Some(endless),
        ..CreateApiKeyRequest::default()
    };
    let filter = ListApiKeysRequest {
        status: 77,
        ..ListApiKeysRequest::default()
    };
    let work = async {
        for create in [nameless, empty, long] {
            assert_eq!(violated(&admin.call(create).await), ["display_name"]);
        }
        let configuration = violated(&admin.call(endless).await);
        assert_eq!(configuration, ["additional_configuration"]);
        assert_eq!(violated(&admin.call(filter).await), ["status"]);
        assert_eq!(violated(&admin.call(get("a/b")).await), ["api_key_id"]);
    };
    let ((), asked) = bench.asked(work).await;
    assert!(asked.is_empty(), "{asked:?}");
}
