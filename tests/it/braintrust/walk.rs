//! What can be done with keys and tokens, what comes back, and what is recorded.

use prost_reflect::Value;
use serde_json::Value as Json;

use super::{Caller, UPSTREAM, count, denied, instance, refused, served, set, text};
use crate::support::served::{SANDBOX_POLICY, id, resource, resources, text as text_of};

#[tokio::test]
async fn api_keys_are_listed_read_and_deleted() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let reader = Caller::new(&served, "reader", &["reader"]);
    let listed = admin.call("ListApiKeys", &[("limit", Value::I32(2))]).await;
    let listed = resources(listed);
    let [key, other] = listed.as_slice() else {
        panic!("two keys")
    };
    let fields = [
        "id",
        "name",
        "preview_name",
        "created",
        "user_id",
        "user_email",
        "org_id",
    ];
    let fields = fields.into_iter().chain(["null_members"]);
    let mut fields: Vec<_> = fields.map(str::to_owned).collect();
    fields.sort();
    let mut shown = set(key);
    shown.sort();
    assert_eq!(shown, fields);
    let nulls = key.get_field_by_name("null_members").unwrap().into_owned();
    let expected = ["user_family_name", "user_given_name"].map(text).to_vec();
    assert_eq!(nulls, Value::List(expected));

    let of_state = instance(&served).state()["api_keys"].take();
    let of_state = of_state.as_array().unwrap().last().unwrap().clone();
    assert_eq!(of_state["id"], text_of(key, "id"));
    let secret = of_state["key"].as_str().unwrap();
    let preview = format!("sk-****{}", &secret[secret.len() - 4..]);
    assert_eq!(text_of(key, "preview_name"), preview);
    let (time, _) = keygate::json::timestamp(of_state["created"].as_str().unwrap()).unwrap();
    let created = key.get_field_by_name("created").unwrap();
    let seconds = created.as_message().unwrap().get_field_by_name("seconds");
    assert_eq!(*seconds.unwrap(), Value::I64(time.seconds));

    let one = [("api_key_id", text(&text_of(key, "id")))];
    for caller in [&admin, &reader] {
        assert_eq!(resource(caller.call("GetApiKey", &one).await), *key);
    }
    denied(&reader.call("DeleteApiKey", &one).await);
    // the answer is the key that is no more
    assert_eq!(resource(admin.call("DeleteApiKey", &one).await), *key);
    let left = admin.call("ListApiKeys", &[("limit", Value::I32(1))]).await;
    assert_eq!(resources(left), std::slice::from_ref(other));
    for rpc in ["GetApiKey", "DeleteApiKey"] {
        let gone = admin.call(rpc, &one).await;
        refused(&gone, "INVALID_ARGUMENT", "UPSTREAM_REJECTED");
    }
}

#[tokio::test]
async fn nobody_creates_api_keys_and_is_told_why() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let reader = Caller::new(&served, "reader", &["reader"]);
    let fields = [("name", text("a"))];
    denied(&reader.call("CreateApiKey", &fields).await);
    let answer = admin.call("CreateApiKey", &fields).await;
    refused(&answer, "UNIMPLEMENTED", "NOT_OFFERED_UPSTREAM");
    let told = answer.result.unwrap_err();
    assert!(told.message().contains("Settings > API keys"), "{told}");
    assert!(served.upstreams.requests().is_empty());
    let records = served.records();
    let ends: Vec<_> = records.iter().map(|it| it["kind"].as_str()).collect();
    assert_eq!(ends, [Some("denied"), Some("refused")]);
}

#[tokio::test]
async fn service_tokens_show_their_value_to_their_maker_once() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let of_state = |id: &str| -> Json {
        let tokens = instance(&served).state()["service_tokens"].take();
        let mut tokens = tokens.as_array().unwrap().clone();
        tokens.retain(|it| it["id"] == id);
        tokens.remove(0)
    };
    let made = resource(admin.create("a").await);
    let token = text_of(&made, "id");
    assert_eq!(of_state(&token)["key"], text_of(&made, "key"));
    assert!(!made.has_field_by_name("additional_members"));
    assert!(!made.has_field_by_name("null_members"));

    // who may reveal sees it no more either
    let mut shown = made.clone();
    shown.clear_field_by_name("key");
    assert_eq!(resource(admin.get(&token).await), shown);
    let listed = admin.call("ListServiceTokens", &[]).await;
    assert_eq!(resources(listed)[0], shown);

    let replaced = resource(admin.replace("a").await);
    assert_eq!(text_of(&replaced, "id"), token);
    assert_ne!(text_of(&replaced, "key"), text_of(&made, "key"));
    assert_eq!(of_state(&token)["key"], text_of(&replaced, "key"));
    let new = id(admin.replace("b").await);
    assert_ne!(new, token);

    let deleted = resource(admin.delete(&token).await);
    assert_eq!(text_of(&deleted, "name"), "a");
    assert!(!deleted.has_field_by_name("key"));
    let gone = admin.get(&token).await;
    refused(&gone, "INVALID_ARGUMENT", "UPSTREAM_REJECTED");
    // a replacement looks first
    assert_eq!(count(&served, "GET"), 5);
    recorded(&served.records(), &token);
}

/// The records of the test above.
fn recorded(records: &[Json], token: &str) {
    let seen: Vec<_> = records
        .iter()
        .map(|it| {
            let rpc = it["rpc"].as_str().unwrap().rsplit('/').next().unwrap();
            let end = it["outcome"].as_str().or(it["kind"].as_str());
            (rpc, end.unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("CreateServiceToken", "intent"),
            ("CreateServiceToken", "succeeded"),
            ("GetServiceToken", "succeeded"),
            ("ListServiceTokens", "succeeded"),
            ("ReplaceServiceToken", "intent"),
            ("ReplaceServiceToken", "succeeded"),
            ("ReplaceServiceToken", "intent"),
            ("ReplaceServiceToken", "succeeded"),
            ("DeleteServiceToken", "intent"),
            ("DeleteServiceToken", "succeeded"),
            ("GetServiceToken", "rejected"),
        ]
    );
    let mut fingerprints = Vec::new();
    for at in [1, 5, 7] {
        let of_record = records[at]["fingerprints"].as_array().unwrap();
        assert_eq!(of_record.len(), 1, "{}", records[at]);
        fingerprints.extend(of_record.iter().map(Json::to_string));
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 3, "the values are three");
    for record in records {
        assert_eq!(record["upstream"], UPSTREAM);
        assert_eq!(record["resource"]["type"], "service_token");
    }
    for at in [1, 2, 5, 9, 10] {
        assert_eq!(records[at]["resource"]["id"], token);
        assert!(records[at]["upstream_request_id"].is_string());
    }
    assert_eq!(records[4]["resource"]["name"], "a");
}
