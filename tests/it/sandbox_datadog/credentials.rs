//! Who may, how often, and what the log says of it.

use std::time::Duration;

use keygate::sandbox::{datadog::Options, rate::Limit};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Sandbox, client};
use crate::support::http::Http;

#[tokio::test]
async fn missing_and_wrong_credentials_are_told_apart() {
    let sandbox = Sandbox::start().await;
    let (api, app) = (sandbox.site.api_key(), sandbox.site.app_key());
    let api = ("dd-api-key", api.expose_secret().to_owned());
    let app = ("dd-application-key", app.expose_secret().to_owned());
    let wrong_api = ("dd-api-key", "0".repeat(32));
    let wrong_app = ("dd-application-key", "0".repeat(40));
    for (headers, keys, validate) in [
        (vec![api.clone(), app.clone()], 200, 200),
        (vec![api.clone()], 401, 200),
        (vec![app.clone()], 401, 401),
        (vec![], 401, 401),
        (vec![wrong_api, app.clone()], 403, 403),
        (vec![api.clone(), wrong_app], 403, 200),
    ] {
        let http = Http::new(sandbox.site.base_url(), headers);
        for (path, expected) in [
            ("api_keys", keys),
            ("validate_keys", keys),
            ("validate", validate),
        ] {
            let answer = http.get(&format!("/api/v2/{path}")).await;
            assert_eq!(answer.status, expected, "{path}");
            let errors = match expected {
                401 => json!({ "errors": ["Unauthorized"] }),
                403 => json!({ "errors": ["Forbidden"] }),
                _ => continue,
            };
            assert_eq!(answer.json(), errors);
        }
    }
    let document = sandbox.http.get("/api/v2/validate").await.json();
    assert_eq!(document["data"]["id"], sandbox.site.state()["org"]["id"]);
    assert_eq!(document["data"]["attributes"]["api_key_scopes"], json!([]));
}

#[tokio::test]
async fn a_key_made_here_opens_what_its_scopes_allow() {
    let sandbox = Sandbox::start().await;
    let api_key = sandbox.api_key(json!({ "name": "a" })).await;
    let scopes = json!({ "name": "a", "scopes": ["api_keys_read", "user_app_keys"] });
    let app_key = sandbox.application_key(scopes).await;
    let header = |key: &serde_json::Value| key["attributes"]["key"].as_str().unwrap().to_owned();
    let headers = vec![
        ("dd-api-key", header(&api_key)),
        ("dd-application-key", header(&app_key)),
    ];
    let http = Http::new(sandbox.site.base_url(), headers);
    assert_eq!(http.get("/api/v2/api_keys").await.status, 200);
    assert_eq!(http.get("/api/v2/personal_access_tokens").await.status, 200);
    assert_eq!(http.get("/api/v2/application_keys").await.status, 403);
    let body = json!({ "data": { "type": "api_keys", "attributes": { "name": "b" } } });
    assert_eq!(http.post("/api/v2/api_keys", &body).await.status, 403);
    let path = format!("/api/v2/api_keys/{}", super::id(&api_key));
    assert_eq!(sandbox.http.delete(&path).await.status, 204);
    assert_eq!(http.get("/api/v2/api_keys").await.status, 403);
}

#[tokio::test]
async fn requests_over_the_limit_are_refused_until_the_window_ends() {
    let limit = Limit {
        name: "key_management".to_owned(),
        requests: 2,
        period: Duration::from_secs(10),
    };
    let options = Options {
        rate_limit: limit,
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).await;
    for (status, remaining) in [(200, "1"), (200, "0"), (429, "0"), (429, "0")] {
        let answer = sandbox.http.get("/api/v2/api_keys").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-ratelimit-limit"), "2");
        assert_eq!(answer.header("x-ratelimit-period"), "10");
        assert_eq!(answer.header("x-ratelimit-remaining"), remaining);
        assert_eq!(answer.header("x-ratelimit-name"), "key_management");
    }
    sandbox.hand.advance(Duration::from_millis(2_500));
    let answer = sandbox.http.get("/api/v2/api_keys").await;
    assert_eq!(answer.header("x-ratelimit-reset"), "8");
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1);
    sandbox.hand.advance(Duration::from_secs(8));
    assert_eq!(sandbox.http.get("/api/v2/api_keys").await.status, 200);
}

#[tokio::test]
async fn the_log_says_who_asked_for_what_and_keeps_credentials_out() {
    let sandbox = Sandbox::start().await;
    let wrong = client(&sandbox.site, "not a key");
    wrong.get("/api/v2/api_keys?page[size]=5").await;
    sandbox.api_key(json!({ "name": "a" })).await;
    let state = Http::new(sandbox.site.base_url(), vec![])
        .get("/__state")
        .await;
    let state = state.json();
    let requests = state["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0]["method"], "GET");
    assert_eq!(requests[0]["path"], "/api/v2/api_keys?page[size]=5");
    assert_eq!(requests[0]["route"], "/api/v2/api_keys");
    assert_eq!(requests[0]["status"], 403);
    let verdicts = json!({ "dd-api-key": "valid", "dd-application-key": "invalid" });
    assert_eq!(requests[0]["credentials"], verdicts);
    assert_eq!(requests[1]["body"]["data"]["attributes"]["name"], "a");
    assert_eq!(requests[1]["status"], 201);
    let log = state["requests"].to_string();
    for secret in [sandbox.site.api_key(), sandbox.site.app_key()] {
        assert!(!log.contains(secret.expose_secret()));
        let keys = format!("{}{}", state["api_keys"], state["application_keys"]);
        assert!(keys.contains(secret.expose_secret()));
    }
    assert!(!log.contains("not a key"));
}
