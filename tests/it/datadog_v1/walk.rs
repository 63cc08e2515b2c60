//! What can be done with keys, and what comes back.

use std::collections::BTreeSet;

use keygate::json::timestamp;
use prost_reflect::{DynamicMessage, Value};
use serde_json::json;

use super::{API_KEY, APPLICATION_KEY, Caller, KINDS, refused};
use crate::support::{
    gateway::Sandbox,
    http::Http,
    served::{resource, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_read_renamed_and_removed_by_its_value() {
    let sandbox = Sandbox::start();
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let reader = Caller::new(sandbox.client(), sandbox.token("reader"));
    for kind in KINDS {
        let value = kind.made(admin.create(kind, "a").await);
        let shown = |name: &str| (Some(value.clone()), name.to_owned());
        let hidden = |name: &str| (None, name.to_owned());

        assert_eq!(kind.one(admin.get(kind, &value).await), shown("a"));
        assert!(kind.all(admin.list(kind).await).contains(&shown("a")));
        assert_eq!(kind.one(reader.get(kind, &value).await), hidden("a"));
        let listed = kind.all(reader.list(kind).await);
        assert!(listed.contains(&hidden("a")));
        assert!(listed.iter().all(|(value, _)| value.is_none()));

        let renamed = admin.update(kind, &value, "b").await;
        assert_eq!(kind.one(renamed), shown("b"));
        let removed = admin.delete(kind, &value).await;
        assert_eq!(kind.one(removed), shown("b"));
        for answer in [
            admin.get(kind, &value).await,
            admin.update(kind, &value, "c").await,
            admin.delete(kind, &value).await,
        ] {
            refused(&answer, "NOT_FOUND", "KEY_NOT_FOUND");
        }
        assert!(!kind.all(admin.list(kind).await).contains(&shown("b")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_upstream_says_of_a_key_arrives() {
    let sandbox = Sandbox::start();
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let state = Http::new(sandbox.upstream("datadog/us1"), Vec::new());
    let state = async || state.get("/__state").await.json();
    let user = state().await["users"][0]["id"].clone();

    let made = resource(admin.create(API_KEY, "a").await);
    let of_state = state().await["api_keys"][1].clone();
    assert_eq!(of_state["key"], text(&made, "key"));
    assert_eq!(text(&made, "created_by"), user.as_str().unwrap());
    // upstream's second, which is in UTC though upstream does not say so
    let (time, _) = timestamp(of_state["created_at"].as_str().unwrap()).unwrap();
    let created = made.get_field_by_name("created").unwrap();
    let created = created.as_message().unwrap();
    let seconds = created.get_field_by_name("seconds").unwrap();
    assert_eq!(*seconds, Value::I64(time.seconds));
    assert!(!created.has_field_by_name("nanos"));
    assert!(!made.has_field_by_name("null_members"));
    assert!(!made.has_field_by_name("additional_members"));

    let made = resource(admin.create(APPLICATION_KEY, "a").await);
    let of_state = state().await["application_keys"][1].clone();
    assert_eq!(of_state["key"], text(&made, "hash"));
    // v1 knows no scopes: the key has all its owner's rights
    assert_eq!(of_state["scopes"], serde_json::Value::Null);
    assert_eq!(text(&made, "owner"), user.as_str().unwrap());
    assert!(!made.has_field_by_name("additional_members"));
}

/// The names of a message's `null_members`, and the members that have no field.
fn rest(message: &DynamicMessage) -> (Vec<String>, Vec<String>) {
    let nulls = message.get_field_by_name("null_members");
    let nulls = nulls.iter().flat_map(|it| it.as_list().unwrap().to_vec());
    let nulls = nulls.map(|it| it.as_str().unwrap().to_owned()).collect();
    if !message.has_field_by_name("additional_members") {
        return (nulls, Vec::new());
    }
    let more = message.get_field_by_name("additional_members").unwrap();
    let more = more.as_message().unwrap().get_field_by_name("fields");
    let more: BTreeSet<_> = more.unwrap().as_map().unwrap().keys().cloned().collect();
    let more = more.iter().map(|it| it.as_str().unwrap().to_owned());
    (nulls, more.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_odd_answer_is_lost_and_only_who_may_reveal_sees_the_rest() {
    let sandbox = Sandbox::start();
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let reader = Caller::new(sandbox.client(), sandbox.token("reader"));
    let simulator = Http::new(sandbox.upstream("datadog/us1"), Vec::new());
    let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let body = json!({
        "api_key": {
            "name": null, "created": "long ago", "created_by": 7, "key": "0a0a", "team": ["a"],
        },
        "warnings": [null],
    });
    let fault = json!({ "fault": { "status": 200, "body": body } });
    assert_eq!(simulator.post("/__faults", &fault).await.status, 201);

    let answer = admin.get(API_KEY, "0a0a").await.ok();
    assert_eq!(rest(&answer).1, ["warnings"]);
    let key = answer.get_field_by_name("api_key").unwrap();
    let key = key.as_message().unwrap();
    let more = texts(&["created", "created_by", "team"]);
    assert_eq!(rest(key), (texts(&["name"]), more));
    assert_eq!(text(key, "key"), "0a0a");

    let answer = reader.get(API_KEY, "0a0a").await.ok();
    assert!(rest(&answer).1.is_empty());
    let key = answer.get_field_by_name("api_key").unwrap();
    let key = key.as_message().unwrap();
    assert_eq!(rest(key), (texts(&["name"]), Vec::new()));
    assert!(!key.has_field_by_name("key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_or_missing_is_refused() {
    let sandbox = Sandbox::start();
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let kind = APPLICATION_KEY;
    let value = kind.made(admin.create(kind, "a").await);
    kind.made(admin.create(kind, "b").await);
    for answer in [
        admin.create(kind, "a").await,
        admin.update(kind, &value, "b").await,
    ] {
        refused(&answer, "ALREADY_EXISTS", "KEY_EXISTS");
    }
    for kind in KINDS {
        let name = "x".repeat(1025);
        for (key, name) in [
            ("", "a"),
            ("a/b", "a"),
            ("..", "a"),
            ("a", ""),
            ("a", &name),
        ] {
            let answer = admin.update(kind, key, name).await;
            refused(&answer, "INVALID_ARGUMENT", "INVALID_REQUEST");
        }
        let answer = admin.create(kind, " ").await;
        refused(&answer, "INVALID_ARGUMENT", "INVALID_REQUEST");
    }
}
