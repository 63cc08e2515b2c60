//! A quota that is used up is one for all routes that it was named for.

use super::bench::{Bench, call};
use prost::Message as _;
use serde_json::json;

#[tokio::test]
async fn a_refusal_that_names_no_quota_is_about_the_one_that_is_known() {
    let bench = Bench::start().await;
    let methods = super::method::all();
    let read = |name: &str| methods.iter().find(|it| it.name.ends_with(name)).unwrap();
    let ask = async |name: &str, id: &str| {
        let method = read(name);
        let message = bench.message(method, "", "main").encode_to_vec();
        let token = Some(bench.sandbox.token("admin"));
        let request = call(message.into(), token, id);
        bench.client.send(&method.name, request).await
    };
    // their answers name the quota, which is the same
    let (one, other) = ("/ListApiKeys", "/ListApplicationKeys");
    for name in [one, other] {
        ask(name, "first").await.ok();
    }
    let refusal = json!({ "status": 429, "headers": { "retry-after": "600" } });
    bench.fault(Some(json!({ "fault": refusal }))).await;
    assert_eq!(ask(one, "refused").await.reason(), "RATE_LIMITED");
    for name in [one, other] {
        let answer = ask(name, "known").await;
        assert_eq!(answer.reason(), "RATE_LIMITED");
        let violations = answer.details().unwrap().quota_failure().unwrap().clone();
        assert_eq!(
            violations.violations[0].subject,
            "datadog/us1/main:key_management"
        );
    }
    assert_eq!(bench.hit_by("status").await.len(), 1, "it was asked again");
    let records = bench.end().await;
    let outcomes = records.iter().filter(|it| it["request_id"] == "known");
    let outcomes: Vec<_> = outcomes.map(|it| it["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("not_sent"); 2]);
}
