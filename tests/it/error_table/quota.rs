//! A quota that is used up is one for all routes that it was named for.

use serde_json::json;

use super::{
    bench::Bench,
    method::{self, Method},
};
use crate::support::served::MAIN;

#[tokio::test]
async fn a_refusal_that_names_no_quota_is_about_the_one_that_is_known() {
    let methods = method::all();
    let bench = Bench::start(&methods).await;
    let read = |name: &str| methods.iter().find(|it| it.name.ends_with(name)).unwrap();
    let ask = async |method: &Method, id: &str| {
        let call = bench.call(method, "", MAIN, id);
        bench.client.send(&method.name, call).await
    };
    // their answers name the quota, which is the same
    let both = [
        "v2.ApiKeyService/ListApiKeys",
        "v2.ApplicationKeyService/ListApplicationKeys",
    ];
    let both = both.map(read);
    for method in both {
        ask(method, "first").await.ok();
    }
    let refusal = json!({ "status": 429, "headers": { "retry-after": "600" } });
    bench.fault([both[0]], |_| Some(json!({ "fault": refusal })));
    assert_eq!(ask(both[0], "refused").await.reason(), "RATE_LIMITED");
    for method in both {
        let answer = ask(method, "known").await;
        assert_eq!(answer.reason(), "RATE_LIMITED");
        let violations = answer.details().unwrap().quota_failure().unwrap().clone();
        assert_eq!(
            violations.violations[0].subject,
            "datadog/us1/main:key_management"
        );
    }
    assert_eq!(bench.hit_by("status").len(), 1, "it was asked again");
    let records = bench.end().await;
    let outcomes = records.iter().filter(|it| it["request_id"] == "known");
    let outcomes: Vec<_> = outcomes.map(|it| it["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("not_sent"); 2]);
}
