//! A replacement is sent once, whatever becomes of it.

use std::time::Duration;

use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};
use tonic::Request;

use super::{Caller, TOKENS, count, instance, refused, served};
use crate::support::{
    gateway::Answer,
    served::{SANDBOX_POLICY, Served},
    upstreams::inject,
    vendors::SERVICE_ACCOUNT,
};

const REPLACE: &str = "keygate.braintrust.v1.ServiceTokenService/ReplaceServiceToken";

fn fault(served: &Served, method: &str, mut rule: Json) {
    served.upstreams.clear();
    rule["route"] = format!("{method} {TOKENS}").into();
    inject(instance(served), rule);
}

/// Calls with a deadline, for upstream will not answer.
async fn in_a_hurry(admin: &Caller) -> Answer {
    let mut request = DynamicMessage::new(admin.client.method(REPLACE).input());
    request.set_field_by_name("name", super::text("a"));
    request.set_field_by_name("service_account_id", super::text(SERVICE_ACCOUNT));
    let mut call = Request::new(request.encode_to_vec().into());
    call.set_timeout(Duration::from_secs(2));
    let token = format!("Bearer {}", admin.token);
    call.metadata_mut()
        .insert("authorization", token.parse().unwrap());
    admin.client.send(REPLACE, call).await
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_outcome_unknown() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    admin.create("a").await.ok();
    let mut sent = 0;
    for rule in [
        json!({ "fault": { "reset": "before_response" }, "apply": true }),
        json!({ "fault": { "reset": "before_response" }, "apply": false }),
        json!({ "fault": { "reset": "mid_body" } }),
        json!({ "fault": { "status": 500 } }),
        json!({ "fault": { "status": 503, "headers": { "retry-after": "1" } } }),
        json!({ "fault": { "hang": true } }),
    ] {
        fault(&served, "PUT", rule.clone());
        let answer = in_a_hurry(&admin).await;
        refused(&answer, "UNKNOWN", "OUTCOME_UNKNOWN");
        sent += 1;
        assert_eq!(count(&served, "PUT"), sent, "{rule}");
    }
    let records = served.records();
    let ends = records.iter().filter(|it| it["rpc"] == REPLACE);
    let ends: Vec<_> = ends.filter(|it| it["kind"] == "outcome").collect();
    assert_eq!(ends.len(), sent);
    assert!(
        ends.iter().all(|it| it["outcome"] == "unknown"),
        "{ends:#?}"
    );
}

#[tokio::test]
async fn a_refusal_is_for_the_caller_to_come_back_from() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let rule = || {
        let headers = json!({ "retry-after": "1" });
        json!({ "fault": { "status": 429, "headers": headers }, "count": 1 })
    };
    fault(&served, "PUT", rule());
    let answer = admin.replace("a").await;
    refused(&answer, "RESOURCE_EXHAUSTED", "RATE_LIMITED");
    let details = answer.details().unwrap();
    let delay = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(delay <= Duration::from_secs(1), "{delay:?}");
    assert_eq!(count(&served, "PUT"), 1);

    // anything else is sent again when the limit says so
    fault(&served, "POST", rule());
    admin.create("a").await.ok();
    assert_eq!(count(&served, "POST"), 2);
}
