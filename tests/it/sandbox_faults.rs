//! Faults on demand, as a client meets them.

use std::time::Duration;

use keygate::clock::Clock;
use serde_json::{Value, json};

use crate::{
    sandbox_datadog::Sandbox,
    support::http::{Failure, Http},
};

const KEYS: &str = "/api/v2/api_keys";

async fn inject(sandbox: &Sandbox, rule: Value) {
    let control = Http::new(sandbox.site.base_url(), vec![]);
    let answer = control.post("/__faults", &rule).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

fn body() -> Value {
    json!({ "data": { "type": "api_keys", "attributes": { "name": "a" } } })
}

/// API keys besides the master.
fn count(sandbox: &Sandbox) -> usize {
    sandbox.site.state()["api_keys"].as_array().unwrap().len() - 1
}

#[tokio::test]
async fn a_status_comes_as_often_as_it_should_where_it_should() {
    let sandbox = Sandbox::start().await;
    let fault = json!({
        "status": 503, "body": "<html>busy</html>", "content_type": "text/html",
        "headers": { "Retry-After": "7" },
    });
    inject(
        &sandbox,
        json!({ "route": "POST /api/v2/api_keys", "count": 2, "fault": fault }),
    )
    .await;
    assert_eq!(sandbox.http.get(KEYS).await.status, 200);
    for _ in 0..2 {
        let answer = sandbox.http.post(KEYS, &body()).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("content-type"), "text/html");
        assert_eq!(answer.header("retry-after"), "7");
        assert_eq!(answer.body, "<html>busy</html>");
    }
    assert_eq!(count(&sandbox), 0);
    assert_eq!(sandbox.http.post(KEYS, &body()).await.status, 201);

    // The operation takes effect, and nobody hears of it.
    let rule =
        json!({ "count": 1, "apply": true, "fault": { "status": 502, "body": { "errors": [] } } });
    inject(&sandbox, rule).await;
    let answer = sandbox.http.post(KEYS, &body()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (502, json!({ "errors": [] }))
    );
    assert_eq!(count(&sandbox), 2);
    let state = sandbox.site.state();
    let last = state["requests"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["fault"], &last["status"]),
        (&json!("status"), &json!(502))
    );
}

#[tokio::test]
async fn a_rule_for_one_key_leaves_the_others_alone() {
    let sandbox = Sandbox::start().await;
    let (one, other) = (
        sandbox.api_key(json!({ "name": "a" })).await,
        sandbox.api_key(json!({ "name": "b" })).await,
    );
    let path = |key: &Value| format!("{KEYS}/{}", key["id"].as_str().unwrap());
    inject(
        &sandbox,
        json!({ "route": format!("GET {}", path(&one)), "fault": { "status": 500 } }),
    )
    .await;
    assert_eq!(sandbox.http.get(&path(&one)).await.status, 500);
    assert_eq!(sandbox.http.get(&path(&other)).await.status, 200);
    inject(
        &sandbox,
        json!({ "route": "GET /api/v2/api_keys/{api_key_id}", "fault": { "status": 501 } }),
    )
    .await;
    assert_eq!(sandbox.http.get(&path(&other)).await.status, 501);
    let control = Http::new(sandbox.site.base_url(), vec![]);
    assert_eq!(
        control
            .get("/__faults")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(control.delete("/__faults").await.status, 204);
    assert_eq!(sandbox.http.get(&path(&one)).await.status, 200);
}

#[tokio::test]
async fn a_reset_is_a_connection_error() {
    let sandbox = Sandbox::start().await;
    for (apply, expected) in [(false, 0), (true, 1)] {
        let fault = json!({ "reset": "before_response" });
        inject(
            &sandbox,
            json!({ "count": 1, "apply": apply, "fault": fault }),
        )
        .await;
        let result = sandbox
            .http
            .try_send(http::Method::POST, KEYS, Some(&body()))
            .await;
        let Err(Failure::Request(error)) = result else {
            panic!("{result:?}")
        };
        let mut chain: Option<&dyn std::error::Error> = Some(&error);
        let mut reset = false;
        while let Some(cause) = chain {
            reset |= cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionReset);
            chain = cause.source();
        }
        assert!(reset, "not reset: {error:?}");
        assert_eq!(count(&sandbox), expected);
    }
    assert_eq!(sandbox.http.get(KEYS).await.status, 200);
}

#[tokio::test]
async fn an_answer_is_cut_in_the_middle() {
    let sandbox = Sandbox::start().await;
    inject(
        &sandbox,
        json!({ "count": 1, "fault": { "reset": "mid_body" } }),
    )
    .await;
    let result = sandbox
        .http
        .try_send(http::Method::POST, KEYS, Some(&body()))
        .await;
    assert!(matches!(result, Err(Failure::Body(_))), "{result:?}");
    assert_eq!(count(&sandbox), 1);

    // Complete as HTTP, broken as JSON.
    inject(
        &sandbox,
        json!({ "count": 1, "fault": { "truncate": true } }),
    )
    .await;
    let answer = sandbox.http.post(KEYS, &body()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    assert!(serde_json::from_slice::<Value>(&answer.body).is_err());
    assert_eq!(count(&sandbox), 2);

    // There is nothing of an empty answer to cut.
    inject(
        &sandbox,
        json!({ "count": 1, "fault": { "reset": "mid_body" } }),
    )
    .await;
    let state = sandbox.site.state();
    let path = format!("{KEYS}/{}", state["api_keys"][1]["id"].as_str().unwrap());
    let result = sandbox
        .http
        .try_send(http::Method::DELETE, &path, None)
        .await;
    assert!(matches!(result, Err(Failure::Request(_))), "{result:?}");
    assert_eq!(count(&sandbox), 1);
}

#[tokio::test]
async fn a_client_that_gives_up_may_have_been_served() {
    let sandbox = Sandbox::start().await;
    let patience = Duration::from_millis(100);
    for (fault, apply, expected) in [
        (json!({ "delay_ms": 60_000 }), false, 0),
        (json!({ "delay_ms": 60_000 }), true, 1),
        (json!({ "hang": true }), false, 1),
        (json!({ "hang": true }), true, 2),
    ] {
        inject(
            &sandbox,
            json!({ "count": 1, "apply": apply, "fault": fault }),
        )
        .await;
        let body = body();
        let call = sandbox.http.try_send(http::Method::POST, KEYS, Some(&body));
        assert!(tokio::time::timeout(patience, call).await.is_err());
        assert_eq!(count(&sandbox), expected, "{fault}");
    }
    let begin = Clock::system().instant();
    inject(
        &sandbox,
        json!({ "count": 1, "fault": { "delay_ms": 100 } }),
    )
    .await;
    assert_eq!(sandbox.http.post(KEYS, &body()).await.status, 201);
    assert!(begin.elapsed() >= patience);
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_is_refused() {
    let sandbox = Sandbox::start().await;
    let control = Http::new(sandbox.site.base_url(), vec![]);
    for rule in [
        json!({}),
        json!({ "fault": {} }),
        json!({ "fault": { "status": 500, "hang": true } }),
        json!({ "fault": { "status": 99 } }),
        json!({ "fault": { "hang": true, "body": "" } }),
        json!({ "fault": { "truncate": false } }),
        json!({ "fault": { "reset": "before_response" } }),
        json!({ "fault": { "reset": "later" }, "apply": true }),
        json!({ "fault": { "truncate": true }, "apply": false }),
        json!({ "fault": { "hang": true }, "count": 0 }),
        json!({ "fault": { "hang": true }, "route": "/api/v2/api_keys" }),
        json!({ "fault": { "hang": true }, "routes": "*" }),
    ] {
        let answer = control.post("/__faults", &rule).await;
        assert_eq!(answer.status, 400, "{rule}");
        assert!(answer.json()["errors"][0].is_string());
    }
    assert_eq!(control.get("/__faults").await.json(), json!([]));
}

#[tokio::test]
async fn latency_slows_every_answer_of_the_api() {
    let latency = Duration::from_millis(50);
    let options = keygate::sandbox::datadog::Options {
        latency,
        ..Default::default()
    };
    let sandbox = Sandbox::start_with(options).await;
    let begin = Clock::system().instant();
    sandbox.http.get(KEYS).await;
    assert!(begin.elapsed() >= latency);
}

#[tokio::test]
async fn the_page_about_the_sandbox_tells_rules_that_are_taken() {
    const PAGE: &str = include_str!("../../docs/sandbox.md");
    let sandbox = Sandbox::start().await;
    let mut blocks = PAGE.split("```json\n").skip(1);
    let mut kinds = Vec::new();
    for block in &mut blocks {
        let rule = block.split("```").next().unwrap();
        let rule: Value = serde_json::from_str(rule).unwrap();
        let fault = rule["fault"].as_object().unwrap();
        kinds.extend(fault.keys().map(|it| (it.clone(), fault[it].to_string())));
        inject(&sandbox, rule).await;
    }
    let command = PAGE.lines().find(|it| it.contains("curl")).unwrap();
    let rule = command.split('\'').nth(1).unwrap();
    inject(&sandbox, serde_json::from_str(rule).unwrap()).await;
    // every kind is told of
    for (member, value) in [
        ("status", "503"),
        ("delay_ms", ""),
        ("hang", ""),
        ("reset", "before"),
        ("reset", "mid"),
        ("truncate", ""),
    ] {
        let told = kinds
            .iter()
            .any(|(it, told)| it == member && told.contains(value));
        let told = told || command.contains(&format!("\"{member}\": {value}"));
        assert!(told, "{member} {value}");
    }
}
