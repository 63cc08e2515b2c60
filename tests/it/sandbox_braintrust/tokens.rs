//! Service tokens are made, replaced and deleted; their values are shown once.

use serde_json::{Value, json};

use super::{Sandbox, client, text};

const TOKENS: &str = "/v1/service_token";

#[tokio::test]
async fn a_value_is_shown_to_whoever_made_it_only() {
    let sandbox = Sandbox::start().await;
    let mut made = sandbox.token("a").await;
    let time = text(&made, "created");
    assert!(time.ends_with('Z'), "{time}");
    let key = made.as_object_mut().unwrap().remove("key").unwrap();
    let path = format!("{TOKENS}/{}", text(&made, "id"));
    assert_eq!(sandbox.http.get(&path).await.json(), made);
    let list = sandbox.http.get(TOKENS).await.json();
    assert_eq!(list["objects"][0], made);
    assert_eq!(list["objects"][1].get("key"), None);
    let deleted = sandbox.http.delete(&path).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.json(), made);
    for answer in [
        sandbox.http.get(&path).await,
        sandbox.http.delete(&path).await,
    ] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let http = client(&sandbox.instance, key.as_str().unwrap());
    assert_eq!(http.get("/v1/api_key").await.status, 401);
}

#[tokio::test]
async fn a_replaced_token_keeps_its_id_and_loses_its_value() {
    let sandbox = Sandbox::start().await;
    let old = sandbox.token("a").await;
    let newer = sandbox.token("a").await;
    let answer = sandbox.http.put(TOKENS, &sandbox.wanted("a")).await;
    assert_eq!(answer.status, 200);
    let newest = answer.json();
    assert_eq!(newest["id"], newer["id"]);
    for (token, status) in [(&old, 200), (&newer, 401), (&newest, 200)] {
        let http = client(&sandbox.instance, text(token, "key"));
        assert_eq!(http.get("/v1/api_key").await.status, status);
    }
    let none = sandbox.http.put(TOKENS, &sandbox.wanted("b")).await.json();
    let names = sandbox.names(TOKENS).await;
    assert_eq!(names, ["b", "a", "a", "keygate master"]);
    assert_ne!(none["id"], newest["id"]);
}

#[tokio::test]
async fn a_body_that_makes_no_sense_changes_nothing() {
    let sandbox = Sandbox::start().await;
    sandbox.token("a").await;
    let before = sandbox.instance.state()["service_tokens"].clone();
    let account = sandbox.instance.service_account_id();
    let issue = |name: &str, message: &str| json!([{ "path": [name], "message": message }]);
    let required = "Required";
    for (body, answered) in [
        (json!({}), issue("name", required)),
        (
            json!({ "name": "a" }),
            issue("service_account_id", required),
        ),
        (json!({ "name": 1 }), issue("name", "Expected string")),
        (
            json!({ "name": "a", "service_account_id": null }),
            issue("service_account_id", "Expected string"),
        ),
        (
            json!({ "name": "a", "service_account_id": account, "org_name": 1 }),
            issue("org_name", "Expected string"),
        ),
        (json!([]), json!("Invalid JSON in the body")),
        (
            json!({ "name": "a", "service_account_id": "nobody" }),
            json!("No service account with id nobody"),
        ),
    ] {
        for answer in [
            sandbox.http.post(TOKENS, &body).await,
            sandbox.http.put(TOKENS, &body).await,
        ] {
            assert_eq!(answer.status, 400, "{body}");
            match &answered {
                Value::String(words) => assert_eq!(answer.body, words),
                issues => assert_eq!(answer.json(), *issues),
            }
        }
    }
    let mut elsewhere = sandbox.wanted("a");
    elsewhere["org_name"] = json!("elsewhere");
    assert_eq!(sandbox.http.put(TOKENS, &elsewhere).await.status, 403);
    assert_eq!(sandbox.instance.state()["service_tokens"], before);
    elsewhere["org_name"] = json!(null);
    assert_eq!(sandbox.http.put(TOKENS, &elsewhere).await.status, 200);

    let answer = sandbox.http.patch(TOKENS, &json!({})).await;
    assert_eq!(answer.status, 405);
    assert_eq!(sandbox.http.get("/v1/nothing").await.status, 404);
    assert_eq!(sandbox.http.get("/nothing").await.status, 404);
}
