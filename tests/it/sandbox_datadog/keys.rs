//! The shapes of answers, what is refused, what is gone.

use std::time::Duration;

use keygate::sandbox::datadog::Options;
use serde_json::{Value, json};

use super::{Sandbox, id};

/// The members of an object, in alphabetical order.
fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    members
}

#[tokio::test]
async fn answers_have_the_recorded_shapes() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.api_key(json!({ "name": "zebra" })).await;
    let created = [
        "category",
        "created_at",
        "key",
        "last4",
        "modified_at",
        "name",
        "remote_config_read_enabled",
    ];
    assert_eq!(members(&key["attributes"]), created);
    assert_eq!(
        key["relationships"]["leak_information"],
        json!({ "data": null })
    );
    let time = key["attributes"]["created_at"].as_str().unwrap();
    assert_eq!(time.len(), "2025-09-08T09:24:43.558793+00:00".len());
    assert!(time.ends_with("+00:00"));
    let document = sandbox.http.get("/api/v2/api_keys?filter=zebra").await;
    assert_eq!(document.header("content-type"), "application/json");
    let listed = &document.json()["data"][0]["attributes"];
    assert_eq!(listed.get("key"), None);
    assert_eq!(listed["date_last_used"], Value::Null);
    assert_eq!(listed["used_in_last_24_hours"], false);
    assert_eq!(listed["last_used_date"]["timestamp"], Value::Null);

    let key = sandbox.application_key(json!({ "name": "a" })).await;
    assert_eq!(
        members(&key["attributes"]),
        ["created_at", "key", "last4", "name", "scopes"]
    );
    assert_eq!(key["attributes"]["scopes"], Value::Null);
    let path = format!("/api/v2/current_user/application_keys/{}", id(&key));
    let document = sandbox.http.get(&path).await.json();
    assert_eq!(document["data"]["attributes"]["last_used_at"], Value::Null);
    assert_ne!(
        document["data"]["attributes"]["created_at"],
        key["attributes"]["created_at"]
    );
    assert_eq!(document["included"][0]["type"], "users");
    assert_eq!(document["included"][1]["type"], "roles");
    let scoped = sandbox
        .application_key(json!({ "name": "b", "scopes": [] }))
        .await;
    assert_eq!(scoped["attributes"]["scopes"], json!([]));

    let token = sandbox.token("a").await;
    assert_eq!(
        token["attributes"]["expires_at"],
        "2099-04-08T16:45:23.208Z"
    );
    let created = [
        "created_at",
        "expires_at",
        "key",
        "name",
        "public_portion",
        "scopes",
    ];
    assert_eq!(members(&token["attributes"]), created);
    let answer = sandbox
        .http
        .get(&format!("/api/v2/personal_access_tokens/{}", id(&token)))
        .await;
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");
    assert_eq!(answer.json()["data"]["attributes"].get("key"), None);
}

#[tokio::test]
async fn what_is_deleted_stays_deleted() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.api_key(json!({ "name": "a" })).await;
    let path = format!("/api/v2/api_keys/{}", id(&key));
    let deleted = sandbox.http.delete(&path).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(deleted.header("content-type"), "text/html; charset=utf-8");
    assert!(deleted.body.is_empty());
    for answer in [
        sandbox.http.delete(&path).await,
        sandbox.http.get(&path).await,
    ] {
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json(), json!({ "errors": ["API key not found"] }));
    }

    let key = sandbox.application_key(json!({ "name": "a" })).await;
    let path = format!("/api/v2/application_keys/{}", id(&key));
    assert_eq!(sandbox.http.delete(&path).await.status, 204);
    let answer = sandbox.http.delete(&path).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({ "errors": ["Application key not found"] })
    );

    let token = sandbox.token("a").await;
    let path = format!("/api/v2/personal_access_tokens/{}", id(&token));
    for _ in 0..2 {
        let revoked = sandbox.http.delete(&path).await;
        assert_eq!(revoked.status, 204);
        assert_eq!(revoked.headers.get("content-type"), None);
    }
    let answer = sandbox.http.get(&path).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");

    for path in ["api_keys", "application_keys", "personal_access_tokens"] {
        let answer = sandbox.http.get(&format!("/api/v2/{path}/invalidId")).await;
        assert_eq!(answer.status, 404);
    }
    let answer = sandbox.http.get("/api/v2/nothing").await;
    assert_eq!(answer.status, 404);
    assert!(answer.json()["errors"].is_array());
    let answer = sandbox.http.delete("/api/v2/api_keys").await;
    assert_eq!(answer.status, 405);
    assert!(answer.json()["errors"].is_array());
}

#[tokio::test]
async fn a_body_that_makes_no_sense_changes_nothing() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.api_key(json!({ "name": "a" })).await;
    let before = sandbox.site.state()["api_keys"].clone();
    let path = format!("/api/v2/api_keys/{}", id(&key));
    let (good, other) = (id(&key), "84dbd164-f3f5-4f30-ac93-e12b27adeada");
    for body in [
        json!(null),
        json!({}),
        json!({ "data": { "type": "api_keys", "id": good } }),
        json!({ "data": { "type": "api_keys", "attributes": { "name": "b" } } }),
        json!({ "data": { "type": "api_keys", "id": other, "attributes": { "name": "b" } } }),
        json!({ "data": { "type": "users", "id": good, "attributes": { "name": "b" } } }),
        json!({ "data": { "type": "api_keys", "id": good, "attributes": { "category": "b" } } }),
        json!({ "data": { "type": "api_keys", "id": good, "attributes": { "name": " " } } }),
        json!({ "data": { "type": "api_keys", "id": good, "attributes": { "name": 1 } } }),
        json!({ "data": { "type": "api_keys", "id": good, "attributes":
            { "name": "b", "remote_config_read_enabled": "no" } } }),
    ] {
        assert_eq!(sandbox.http.patch(&path, &body).await.status, 400, "{body}");
    }
    let create = |kind: &str, attributes: Value| json!({ "data": { "type": kind, "attributes": attributes } });
    let token = |scopes: Value, expires_at: Value| {
        let attributes = json!({ "name": "b", "scopes": scopes, "expires_at": expires_at });
        create("personal_access_tokens", attributes)
    };
    let later = json!("2099-01-01T00:00:00Z");
    for (path, body) in [
        ("api_keys", create("api_keys", json!({}))),
        (
            "api_keys",
            create("application_keys", json!({ "name": "b" })),
        ),
        (
            "current_user/application_keys",
            create("application_keys", json!({ "scopes": null })),
        ),
        (
            "current_user/application_keys",
            create("application_keys", json!({ "name": "b", "scopes": "all" })),
        ),
        ("personal_access_tokens", token(json!([]), later.clone())),
        ("personal_access_tokens", token(json!(null), later)),
        ("personal_access_tokens", token(json!(["a"]), json!(null))),
        (
            "personal_access_tokens",
            token(json!(["a"]), json!("tomorrow")),
        ),
        (
            "personal_access_tokens",
            token(json!(["a"]), json!("2020-01-01T00:00:00Z")),
        ),
    ] {
        let answer = sandbox.http.post(&format!("/api/v2/{path}"), &body).await;
        assert_eq!(answer.status, 400, "{path} {body}");
        assert!(answer.json()["errors"][0].is_string());
    }
    let mut after = sandbox.site.state()["api_keys"].clone();
    after[0]["last_used"] = before[0]["last_used"].clone();
    assert_eq!(after, before);
    assert_eq!(sandbox.site.state()["access_tokens"], json!([]));
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let sandbox = Sandbox::start().await;
    let key = sandbox
        .application_key(json!({ "name": "a", "scopes": ["x"] }))
        .await;
    let path = format!("/api/v2/application_keys/{}", id(&key));
    for (attributes, name, scopes) in [
        (json!({ "name": "b" }), "b", json!(["x"])),
        (json!({ "scopes": [] }), "b", json!([])),
        (json!({ "scopes": null }), "b", json!(null)),
        (json!({ "name": "c", "scopes": ["y"] }), "c", json!(["y"])),
    ] {
        let data = json!({ "type": "application_keys", "id": id(&key), "attributes": attributes });
        let answer = sandbox.http.patch(&path, &json!({ "data": data })).await;
        assert_eq!(answer.status, 200);
        for document in [answer.json(), sandbox.http.get(&path).await.json()] {
            assert_eq!(document["data"]["attributes"]["name"], name);
            assert_eq!(document["data"]["attributes"]["scopes"], scopes);
        }
    }
}

#[tokio::test]
async fn one_time_read_shows_a_value_once() {
    for one_time_read in [false, true] {
        let options = Options {
            one_time_read,
            ..Options::default()
        };
        let sandbox = Sandbox::start_with(options).await;
        let api_key = sandbox.api_key(json!({ "name": "a" })).await;
        let app_key = sandbox.application_key(json!({ "name": "a" })).await;
        for (kind, path, key) in [
            ("api_keys", "api_keys", &api_key),
            (
                "application_keys",
                "current_user/application_keys",
                &app_key,
            ),
        ] {
            assert!(key["attributes"]["key"].is_string());
            let path = format!("/api/v2/{path}/{}", id(key));
            let data = json!({ "type": kind, "id": id(key), "attributes": { "name": "b" } });
            let updated = sandbox
                .http
                .patch(&path, &json!({ "data": data }))
                .await
                .json();
            let read = sandbox.http.get(&path).await.json();
            for document in [updated, read] {
                let shown = document["data"]["attributes"].get("key");
                let expected = (!one_time_read).then_some(&key["attributes"]["key"]);
                assert_eq!(shown, expected);
            }
        }
        // The organization's routes never show an application key's value.
        let path = format!("/api/v2/application_keys/{}", id(&app_key));
        let read = sandbox.http.get(&path).await.json();
        assert_eq!(read["data"]["attributes"].get("key"), None);
    }
}

#[tokio::test]
async fn the_key_that_is_one_too_many_is_refused() {
    let options = Options {
        max_api_keys: 3,
        max_application_keys_per_user: 2,
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).await;
    let key = sandbox.api_key(json!({ "name": "a" })).await;
    sandbox.api_key(json!({ "name": "b" })).await;
    let body = json!({ "data": { "type": "api_keys", "attributes": { "name": "c" } } });
    assert_eq!(
        sandbox.http.post("/api/v2/api_keys", &body).await.status,
        400
    );
    sandbox
        .http
        .delete(&format!("/api/v2/api_keys/{}", id(&key)))
        .await;
    assert_eq!(
        sandbox.http.post("/api/v2/api_keys", &body).await.status,
        201
    );

    sandbox.application_key(json!({ "name": "a" })).await;
    let body = json!({ "data": { "type": "application_keys", "attributes": { "name": "b" } } });
    let path = "/api/v2/current_user/application_keys";
    assert_eq!(sandbox.http.post(path, &body).await.status, 400);
}

#[tokio::test]
async fn a_used_key_says_when() {
    let sandbox = Sandbox::start().await;
    let read = async || {
        let document = sandbox.http.get("/api/v2/application_keys").await.json();
        document["data"][0]["attributes"]["last_used_at"].clone()
    };
    let first = read().await;
    assert!(first.is_string());
    sandbox.hand.advance(Duration::from_secs(1));
    assert_ne!(read().await, first);
    let document = sandbox.http.get("/api/v2/api_keys").await.json();
    assert_eq!(
        document["data"][0]["attributes"]["used_in_last_24_hours"],
        true
    );
}

#[tokio::test]
async fn sites_have_nothing_in_common() {
    let (one, other) = (Sandbox::start().await, Sandbox::start().await);
    let key = one.api_key(json!({ "name": "a" })).await;
    let path = format!("/api/v2/api_keys/{}", id(&key));
    assert_eq!(other.http.get(&path).await.status, 404);
    assert_eq!(other.names("/api/v2/api_keys").await, ["keygate master"]);
    let stranger = super::client(
        &one.site,
        secrecy::ExposeSecret::expose_secret(other.site.app_key()),
    );
    assert_eq!(stranger.get(&path).await.status, 403);
}
