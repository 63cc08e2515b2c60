//! Who may, how often, and what the log says of it.

use std::time::Duration;

use keygate::sandbox::{braintrust::Options, rate::Limit};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Sandbox, client, text};
use crate::support::http::Http;

const TOKENS: &str = "/v1/service_token";
const KEYS: &str = "/v1/api_key";

#[tokio::test]
async fn a_credential_that_is_missing_or_wrong_is_told() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.instance.token().expose_secret();
    for (authorization, status) in [
        (None, 401),
        (Some(String::new()), 401),
        (Some("Bearer ".to_owned()), 401),
        (Some("Bearer bt-st-wrong".to_owned()), 401),
        (Some(format!("Basic {token}")), 401),
        (Some(token.to_owned()), 401),
        (Some(format!("bearer {token}")), 200),
    ] {
        let headers = authorization.map(|it| ("authorization", it));
        let http = Http::new(sandbox.instance.base_url(), headers.into_iter().collect());
        for path in [KEYS, TOKENS] {
            let answer = http.get(path).await;
            assert_eq!(answer.status, status, "{path}");
            if status == 401 {
                assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
                assert_eq!(answer.body, "No valid API key provided");
            }
        }
    }
}

#[tokio::test]
async fn only_a_service_account_with_owner_rights_has_tokens_made() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.token("a").await;
    let state = sandbox.instance.state();
    let user = client(&sandbox.instance, text(&state["api_keys"][0], "key"));
    let service = client(&sandbox.instance, text(&token, "key"));
    let path = format!("{TOKENS}/{}", text(&token, "id"));
    for http in [&user, &service] {
        for answer in [
            http.get(TOKENS).await,
            http.post(TOKENS, &sandbox.wanted("b")).await,
            http.put(TOKENS, &sandbox.wanted("a")).await,
            http.get(&path).await,
            http.delete(&path).await,
        ] {
            assert_eq!(answer.status, 403);
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        }
    }
    assert_eq!(
        sandbox.instance.state()["service_tokens"],
        state["service_tokens"]
    );

    let path = format!("{KEYS}/{}", text(&state["api_keys"][0], "id"));
    assert_eq!(
        user.get(KEYS).await.json()["objects"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(user.get(&path).await.status, 200);
    assert_eq!(service.get(KEYS).await.json(), json!({ "objects": [] }));
    assert_eq!(service.get(&path).await.status, 400);
    assert_eq!(service.delete(&path).await.status, 400);
    for http in [&user, &sandbox.http] {
        let answer = http.post(KEYS, &json!({ "name": "b" })).await;
        assert_eq!(answer.status, 403);
        assert_eq!(answer.body, "API keys cannot create API keys");
    }
    // A key that deletes itself is no credential any more.
    assert_eq!(user.delete(&path).await.status, 200);
    assert_eq!(user.get(KEYS).await.status, 401);
}

#[tokio::test]
async fn requests_over_the_limit_are_told_when_to_come_back() {
    let options = Options {
        rate_limit: Limit {
            name: "requests".to_owned(),
            requests: 1,
            period: Duration::from_secs(10),
        },
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).await;
    assert_eq!(sandbox.http.get(KEYS).await.status, 200);
    sandbox.hand.advance(Duration::from_millis(2_500));
    let answer = sandbox.http.get(KEYS).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "8");
    sandbox.hand.advance(Duration::from_secs(8));
    assert_eq!(sandbox.http.get(KEYS).await.status, 200);
}

#[tokio::test]
async fn the_log_says_who_asked_for_what_and_keeps_credentials_out() {
    let sandbox = Sandbox::start().await;
    client(&sandbox.instance, "not a token").get(KEYS).await;
    Http::new(sandbox.instance.base_url(), vec![])
        .get(KEYS)
        .await;
    sandbox.token("a").await;
    let state = Http::new(sandbox.instance.base_url(), vec![]);
    let state = state.get("/__state").await.json();
    let requests = state["requests"].as_array().unwrap();
    let verdicts: Vec<_> = requests
        .iter()
        .map(|request| text(&request["credentials"], "authorization"))
        .collect();
    assert_eq!(verdicts, ["invalid", "missing", "valid"]);
    assert_eq!(requests[2]["route"], TOKENS);
    assert_eq!(requests[2]["body"], sandbox.wanted("a"));
    let log = state["requests"].to_string();
    assert!(!log.contains("not a token"));
    assert!(!log.contains(sandbox.instance.token().expose_secret()));
    let tokens = state["service_tokens"].to_string();
    assert!(tokens.contains(sandbox.instance.token().expose_secret()));
}
