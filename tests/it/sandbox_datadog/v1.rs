//! API v1: the same keys by their values, and where it is switched off.

use http::Method;
use keygate::sandbox::datadog::Options;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Sandbox, client};
use crate::support::http::{Answer, Http};

const KINDS: [(&str, &str); 2] = [("api_key", "key"), ("application_key", "hash")];

fn made(answer: &Answer, kind: &str) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()[kind].clone()
}

async fn put(http: &Http, path: &str, body: &Value) -> Answer {
    http.send(Method::PUT, path, Some(body)).await
}

fn refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json(), json!({ "errors": [why] }));
}

#[tokio::test]
async fn both_versions_see_the_same_keys() {
    let sandbox = Sandbox::start().await;
    let http = &sandbox.http;
    let user = sandbox.site.state()["users"][0]["id"].clone();

    let body = json!({ "name": "a" });
    let key = made(&http.post("/api/v1/api_key", &body).await, "api_key");
    let value = key["key"].as_str().unwrap();
    let listed = http.get("/api/v2/api_keys?filter=a&sort=created_at").await;
    let listed = listed.json()["data"][1].clone();
    let created_at = listed["attributes"]["created_at"].as_str().unwrap();
    let created = created_at[..19].replace('T', " ");
    assert_eq!(
        key,
        json!({ "created": created, "created_by": user, "key": value, "name": "a" })
    );
    let path = format!("/api/v1/api_key/{value}");
    let renamed = put(http, &path, &json!({ "name": "b", "key": "ignored" })).await;
    let renamed = made(&renamed, "api_key");
    assert_eq!(
        (&renamed["name"], &renamed["key"]),
        (&json!("b"), &json!(value))
    );
    let by_id = format!("/api/v2/api_keys/{}", super::id(&listed));
    let seen = http.get(&by_id).await.json();
    assert_eq!(seen["data"]["attributes"]["name"], "b");
    assert_eq!(seen["data"]["attributes"]["key"], value);
    assert_eq!(made(&http.get(&path).await, "api_key"), renamed);
    assert_eq!(made(&http.delete(&path).await, "api_key"), renamed);
    assert_eq!(http.get(&by_id).await.status, 404);

    let key = sandbox.application_key(json!({ "name": "c" })).await;
    let value = &key["attributes"]["key"];
    let keys = http.get("/api/v1/application_key").await.json();
    assert_eq!(
        keys["application_keys"][1],
        json!({ "hash": value, "name": "c", "owner": user })
    );
    let body = json!({ "name": "d" });
    let key = made(
        &http.post("/api/v1/application_key", &body).await,
        "application_key",
    );
    let listed = http.get("/api/v2/application_keys?filter=d").await.json();
    let listed = listed["data"].as_array().unwrap();
    let listed = listed
        .iter()
        .find(|it| it["attributes"]["name"] == "d")
        .unwrap();
    assert_eq!(listed["attributes"]["scopes"], Value::Null);
    let path = format!("/api/v1/application_key/{}", key["hash"].as_str().unwrap());
    assert_eq!(made(&http.delete(&path).await, "application_key"), key);
    let by_id = format!("/api/v2/application_keys/{}", super::id(listed));
    assert_eq!(http.get(&by_id).await.status, 404);
}

#[tokio::test]
async fn what_is_missing_unknown_or_taken_is_refused() {
    let sandbox = Sandbox::start().await;
    let http = &sandbox.http;
    for (kind, value) in KINDS {
        let path = format!("/api/v1/{kind}");
        let key = made(&http.post(&path, &json!({ "name": "a" })).await, kind);
        let known = format!("{path}/{}", key[value].as_str().unwrap());
        let unknown = format!("{path}/{}", "0".repeat(40));
        let named = json!({ "name": "b" });

        let missing = "Required parameter 'name' is missing";
        refused(&http.post(&path, &json!({})).await, 400, missing);
        for path in [&known, &unknown] {
            refused(&put(http, path, &json!({})).await, 400, missing);
            for body in [
                json!(null),
                json!([]),
                json!({ "name": 1 }),
                json!({ "name": " " }),
            ] {
                let answer = put(http, path, &body).await;
                assert_eq!(answer.status, 400, "{body}");
            }
        }
        let not_found = match kind {
            "api_key" => "API key not found",
            _ => "Application key not found",
        };
        refused(&http.get(&unknown).await, 404, not_found);
        refused(&put(http, &unknown, &named).await, 404, not_found);
        refused(&http.delete(&unknown).await, 404, not_found);

        let twin = http.post(&path, &json!({ "name": "a" })).await;
        let other = made(&http.post(&path, &named).await, kind);
        let other = format!("{path}/{}", other[value].as_str().unwrap());
        let renamed = put(http, &other, &json!({ "name": "a" })).await;
        let same = put(http, &known, &json!({ "name": "a" })).await;
        assert_eq!(same.status, 200);
        for answer in [twin, renamed] {
            let expected = if kind == "api_key" { 200 } else { 409 };
            assert_eq!(answer.status, expected);
            assert_eq!(answer.json()["errors"].is_array(), expected == 409);
        }
    }
}

#[tokio::test]
async fn the_last_api_key_stays() {
    let sandbox = Sandbox::start().await;
    let path = format!("/api/v1/api_key/{}", sandbox.site.api_key().expose_secret());
    assert_eq!(sandbox.http.delete(&path).await.status, 400);
    sandbox.api_key(json!({ "name": "a" })).await;
    assert_eq!(sandbox.http.delete(&path).await.status, 200);
}

#[tokio::test]
async fn own_application_keys_are_all_that_some_get_at() {
    let sandbox = Sandbox::start().await;
    let master = sandbox.site.app_key().expose_secret();
    let stranger = sandbox.site.add_user("stranger");
    let stranger = client(&sandbox.site, stranger.expose_secret());
    let body = json!({ "data": { "type": "application_keys", "attributes":
        { "name": "own", "scopes": ["user_app_keys"] } } });
    let made = stranger
        .post("/api/v2/current_user/application_keys", &body)
        .await
        .json();
    let scoped = made["data"]["attributes"]["key"].as_str().unwrap();
    let scoped = client(&sandbox.site, scoped);

    let names = async |http: &Http| -> Vec<String> {
        let answer = http.get("/api/v1/application_key").await.json();
        let keys = answer["application_keys"].as_array().unwrap().iter();
        keys.map(|it| it["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&stranger).await,
        ["keygate master", "stranger master", "own"]
    );
    assert_eq!(names(&scoped).await, ["stranger master", "own"]);
    let of_another = format!("/api/v1/application_key/{master}");
    assert_eq!(stranger.get(&of_another).await.status, 200);
    assert_eq!(scoped.get(&of_another).await.status, 404);
    assert_eq!(scoped.delete(&of_another).await.status, 404);
    assert_eq!(scoped.get("/api/v1/api_key").await.status, 403);
    let nobody = Http::new(sandbox.site.base_url(), vec![]);
    assert_eq!(nobody.get("/api/v1/api_key").await.status, 401);
}

/// The statuses of all ten endpoints, those of API keys first.
async fn statuses(sandbox: &Sandbox, why: &str) -> Vec<(u16, bool)> {
    let mut statuses = Vec::new();
    for (kind, _) in KINDS {
        let path = format!("/api/v1/{kind}");
        let item = format!("{path}/{}", "0".repeat(32));
        let body = json!({ "name": "a" });
        for answer in [
            sandbox.http.get(&path).await,
            sandbox.http.post(&path, &body).await,
            sandbox.http.get(&item).await,
            put(&sandbox.http, &item, &body).await,
            sandbox.http.delete(&item).await,
        ] {
            let says_why = answer.json()["errors"].to_string().contains(why);
            statuses.push((answer.status.as_u16(), says_why));
        }
    }
    statuses
}

#[tokio::test]
async fn it_is_switched_off_where_the_documents_say_so() {
    let on = [200, 200, 404, 404, 404].map(|it| (it, false));
    let off = [(403, true); 5];
    for name in ["us1-fed", "us2-fed"] {
        let options = Options {
            name: name.to_owned(),
            ..Options::default()
        };
        let sandbox = Sandbox::start_with(options).await;
        let statuses = statuses(&sandbox, "Government sites").await;
        assert_eq!(statuses, [off, off].concat(), "{name}");
        assert_eq!(sandbox.names("/api/v2/api_keys").await, ["keygate master"]);
    }
    for (one_time_read, expected) in [(true, [on, off]), (false, [on, on])] {
        let options = Options {
            one_time_read,
            ..Options::default()
        };
        let sandbox = Sandbox::start_with(options).await;
        let statuses = statuses(&sandbox, "One-Time Read mode").await;
        assert_eq!(statuses, expected.concat());
    }
}
