//! What is refused, how, and that it changes nothing.

use http::Method;
use serde_json::{Value, json};

use super::{Sandbox, client, id};
use crate::support::http::{Answer, Http};

/// Expects an error in the vendor's form.
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["errorCode"], code);
    assert!(body["message"].is_string());
    assert_eq!(body["requestID"], answer.header("x-request-id"));
}

#[tokio::test]
async fn bodies_that_make_no_sense_change_nothing() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.key(json!({ "displayName": "a" })).await;
    let before = sandbox.organization.state()["api_keys"].clone();
    let (id, long) = (id(&key), "x".repeat(126));
    let (item, copy) = (format!("/{id}"), format!("/{id}/duplicate"));
    let privilege = |privilege: Value| json!({ "displayName": "b", "privileges": [privilege] });
    let creations = [
        json!({}),
        json!({ "displayName": null }),
        json!({ "displayName": "b", "lifetimeDuration": "1 year" }),
        json!({ "displayName": "b", "lifetimeDuration": 7 }),
    ];
    let updates = [json!({ "displayName": "b", "id": "other" })];
    let both = [
        json!(null),
        json!([]),
        json!({ "displayName": long }),
        json!({ "displayName": 7 }),
        json!({ "displayName": "b", "description": "x".repeat(1_001) }),
        json!({ "displayName": "b", "allowedIps": "all" }),
        json!({ "displayName": "b", "deniedIps": [7] }),
        json!({ "displayName": "b", "groupsThatCanEdit": ["a"] }),
        json!({ "displayName": "b", "privileges": {} }),
        privilege(json!("all")),
        privilege(json!({ "owner": "PLATFORM" })),
        privilege(json!({ "owner": "PLATFORM", "targetDomain": "API_KEY", "type": "EDIT" })),
    ];
    for body in creations.iter().chain(&both) {
        let answer = sandbox.http.post(&sandbox.path(""), body).await;
        refused(&answer, 400, "INVALID_REQUEST");
    }
    for body in updates.iter().chain(&both) {
        refused(
            &sandbox.put(&item, Some(body)).await,
            400,
            "INVALID_REQUEST",
        );
    }
    for body in both.iter().chain(&creations[2..]) {
        refused(
            &sandbox.put(&copy, Some(body)).await,
            400,
            "INVALID_REQUEST",
        );
    }
    for body in [
        json!(null),
        json!({}),
        json!([]),
        json!([7]),
        json!([id, id]),
    ] {
        let path = sandbox.path("/delete/bulk");
        refused(
            &sandbox.http.post(&path, &body).await,
            400,
            "INVALID_REQUEST",
        );
        for path in ["/activate/bulk", "/disable/bulk"] {
            refused(
                &sandbox.put(path, Some(&body)).await,
                400,
                "INVALID_REQUEST",
            );
        }
    }
    let list = sandbox.http.get(&sandbox.path("?status=SOME")).await;
    refused(&list, 400, "INVALID_REQUEST");
    assert_eq!(sandbox.organization.state()["api_keys"], before);
}

#[tokio::test]
async fn a_bulk_call_is_all_or_nothing() {
    let sandbox = Sandbox::start().await;
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(sandbox.key(json!({ "displayName": name })).await);
    }
    let [a, b, c] = [id(&keys[0]), id(&keys[1]), id(&keys[2])];
    let disabled = async || sandbox.names("?status=DEACTIVATED").await;
    sandbox.done("/disable/bulk", Some(&json!([a, b]))).await;
    assert_eq!(disabled().await, ["a", "b"]);
    let unknown = json!([a, c, "nobody"]);
    for path in ["/disable/bulk", "/activate/bulk"] {
        refused(
            &sandbox.put(path, Some(&unknown)).await,
            412,
            "API_KEY_NOT_FOUND",
        );
    }
    let answer = sandbox
        .http
        .post(&sandbox.path("/delete/bulk"), &unknown)
        .await;
    refused(&answer, 412, "API_KEY_NOT_FOUND");
    assert_eq!(disabled().await, ["a", "b"]);
    assert_eq!(sandbox.names("").await, ["a", "b", "c"]);
    sandbox.done("/activate/bulk", Some(&json!([b, c]))).await;
    assert_eq!(disabled().await, ["a"]);
    let gone = json!([c, a]);
    let answer = sandbox
        .http
        .post(&sandbox.path("/delete/bulk"), &gone)
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(sandbox.names("").await, ["b"]);
}

#[tokio::test]
async fn what_is_deleted_stays_deleted() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.key(json!({ "displayName": "a" })).await;
    let item = sandbox.path(&format!("/{}", id(&key)));
    let deleted = sandbox.http.delete(&item).await;
    assert_eq!(deleted.status, 204);
    assert!(deleted.body.is_empty());
    refused(&sandbox.http.get(&item).await, 404, "API_KEY_NOT_FOUND");
    refused(&sandbox.http.delete(&item).await, 404, "API_KEY_NOT_FOUND");
    for action in [
        "",
        "/activate",
        "/disable",
        "/activation/extend",
        "/duplicate",
    ] {
        let path = format!("/{}{action}", id(&key));
        let answer = sandbox
            .put(&path, Some(&json!({ "displayName": "b" })))
            .await;
        refused(&answer, 404, "API_KEY_NOT_FOUND");
    }
}

#[tokio::test]
async fn credentials_and_routes() {
    let sandbox = Sandbox::start().await;
    let base_url = sandbox.organization.base_url();
    let path = sandbox.path("");
    let nobody = Http::new(base_url.clone(), Vec::new());
    refused(&nobody.get(&path).await, 401, "UNAUTHORIZED");
    let basic = Http::new(base_url, vec![("authorization", "Basic abc".to_owned())]);
    refused(&basic.get(&path).await, 401, "UNAUTHORIZED");
    let stranger = client(&sandbox.organization, "xx-stranger");
    refused(&stranger.get(&path).await, 401, "INVALID_TOKEN");
    let elsewhere = "/rest/organizations/elsewhere/apikeys";
    refused(&sandbox.http.get(elsewhere).await, 403, "ACCESS_DENIED");
    refused(&sandbox.http.get("/rest/nothing").await, 404, "NOT_FOUND");
    let answer = sandbox.http.send(Method::PATCH, &path, None).await;
    refused(&answer, 405, "METHOD_NOT_ALLOWED");
}
