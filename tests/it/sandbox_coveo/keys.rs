//! What keys hold: whole resources, both forms of a time, values shown once.

use keygate::sandbox::coveo::{Options, Severity};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Sandbox, id};

#[tokio::test]
async fn an_update_replaces_the_whole_resource() {
    let sandbox = Sandbox::start().await;
    let body = json!({
        "displayName": "a",
        "description": "b",
        "privileges": [{ "owner": "SEARCH_API", "targetDomain": "EXECUTE_QUERY", "new": [1] }],
        "newMember": { "deep": [true, null, 9_007_199_254_740_993_u64] },
    });
    let key = sandbox.key(body.clone()).await;
    let path = format!("/{}", id(&key));
    let mut read = sandbox.read(id(&key)).await;
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(read[name], *value);
    }
    // given back as it was, nothing changes
    sandbox.done(&path, Some(&read)).await;
    assert_eq!(sandbox.read(id(&key)).await, read);
    // what only the vendor writes counts for nothing
    let mut forged = read.clone();
    forged["value"] = json!("xx-forged");
    forged["status"] = json!("EXPIRED");
    forged["createdDate"] = json!(0);
    forged["enabled"] = json!(false);
    sandbox.done(&path, Some(&forged)).await;
    assert_eq!(sandbox.read(id(&key)).await, read);
    // what is left out is gone
    sandbox
        .done(&path, Some(&json!({ "description": null })))
        .await;
    for (name, _) in body.as_object().unwrap() {
        read.as_object_mut().unwrap().remove(name);
    }
    read["description"] = Value::Null;
    read["privileges"] = json!([]);
    assert_eq!(sandbox.read(id(&key)).await, read);
    assert_eq!(
        sandbox.organization.state()["api_keys"][0]["value"],
        key["value"]
    );
}

#[tokio::test]
async fn a_value_is_shown_once() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.key(json!({ "displayName": "a" })).await;
    let path = format!("/{}/duplicate", id(&key));
    let copy = sandbox.put(&path, None).await;
    assert_eq!(copy.status, 201);
    let copy = copy.json();
    assert_eq!(copy["displayName"], "a");
    let list = sandbox.http.get(&sandbox.path("")).await.json();
    for (at, key) in [key, copy].iter().enumerate() {
        let value = key["value"].as_str().unwrap();
        let masked = format!("xx*****{}", &value[value.len() - 4..]);
        assert_eq!(list[at]["value"], *masked);
        assert_eq!(sandbox.read(id(key)).await["value"], *masked);
    }
    let state = sandbox.organization.state();
    let requests = state["requests"].to_string();
    assert!(!requests.contains(sandbox.organization.token().expose_secret()));
}

#[tokio::test]
async fn times_have_either_form() {
    let options = |date_times| Options {
        date_times,
        ..Options::default()
    };
    let millis = Sandbox::start_with(options(false)).await;
    let text = Sandbox::start_with(options(true)).await;
    for sandbox in [&millis, &text] {
        let key = sandbox
            .key(json!({ "displayName": "a", "lifetimeDuration": "P1D" }))
            .await;
        let url = "https://example.com/leak";
        let report = sandbox
            .organization
            .report_exposure(id(&key), Severity::High, url);
        report.unwrap();
        let key = sandbox.read(id(&key)).await;
        let report = &key["exposureReport"];
        assert_eq!(report["reasons"][0]["url"], url);
        for time in [
            &key["createdDate"],
            &key["activationDate"],
            &key["expirationDate"],
            &report["deactivationDate"],
            &report["createdDate"],
            &report["reasons"][0]["createdDate"],
        ] {
            if sandbox.organization.base_url() == millis.organization.base_url() {
                assert!(time.as_u64().unwrap() > 1_500_000_000_000, "{time}");
            } else {
                assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
            }
        }
    }
}

#[tokio::test]
async fn organizations_have_nothing_in_common() {
    let (one, other) = (Sandbox::start().await, Sandbox::start().await);
    assert_ne!(
        one.organization.organization_id(),
        other.organization.organization_id()
    );
    let key = one.key(json!({ "displayName": "a" })).await;
    let path = format!("/{}", id(&key));
    assert_eq!(other.http.get(&other.path(&path)).await.status, 404);
    assert_eq!(other.http.get(&one.path(&path)).await.status, 403);
    let token = other.organization.token().expose_secret();
    let stranger = super::client(&one.organization, token);
    assert_eq!(stranger.get(&one.path(&path)).await.status, 401);
}
