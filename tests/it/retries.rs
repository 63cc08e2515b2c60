//! What is tried again: reads freely, changes only if upstream has refused them
//! by 429 or can't have seen them.

use std::time::Duration;

use prost::Message as _;
use serde_json::{Value as Json, json};

use crate::support::{
    served::{SANDBOX_POLICY, Served},
    upstreams::{inject, requests},
};

const LIST: &str = "keygate.datadog.v2.ApiKeyService/ListApiKeys";
const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";

/// Calls a method while upstream fails once: the code, and how often upstream
/// was asked.
async fn with_one_fault(served: &Served, method: &str, fault: Json) -> (&'static str, usize) {
    let client = served.client();
    let before = requests(served.site()).len();
    inject(served.site(), json!({ "count": 1, "fault": fault }));
    let request = client.request(method, "");
    let token = served.token("tester", &["admin"]);
    let answer = client.call(method, Some(&token), &request).await;
    served.site().faults().clear();
    (answer.code(), requests(served.site()).len() - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fails_in_passing_is_tried_again_and_a_change_is_not() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    for status in [500, 502, 503, 504] {
        let fault = json!({ "status": status, "body": "" });
        let read = with_one_fault(&served, LIST, fault.clone()).await;
        assert_eq!(read, ("OK", 2), "{status}");
        let change = with_one_fault(&served, CREATE, fault).await;
        assert_eq!(change, ("UNKNOWN", 1), "{status}");
    }
    // a status that will not pass is not asked for twice
    let refusal = json!({ "status": 400, "body": { "errors": ["no"] } });
    let read = with_one_fault(&served, LIST, refusal).await;
    assert_eq!(read, ("INVALID_ARGUMENT", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_upstream_refuses_by_429_is_tried_again_if_the_wait_is_short() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let refusal = |seconds: u32| {
        let headers = json!({ "retry-after": seconds.to_string() });
        json!({ "status": 429, "body": { "errors": ["slow down"] }, "headers": headers })
    };
    let change = with_one_fault(&served, CREATE, refusal(1)).await;
    assert_eq!(change, ("OK", 2));
    let change = with_one_fault(&served, CREATE, refusal(60)).await;
    assert_eq!(change, ("RESOURCE_EXHAUSTED", 1));
    // and now it is known: upstream is not even asked
    let client = served.client();
    let before = requests(served.site()).len();
    let token = served.token("tester", &["admin"]);
    let request = client.request(CREATE, "");
    let answer = client.call(CREATE, Some(&token), &request).await;
    assert_eq!(answer.reason(), "RATE_LIMITED");
    let retry = answer.details().and_then(|it| it.retry_info().cloned());
    assert!(retry.and_then(|it| it.retry_delay).is_some());
    assert_eq!(requests(served.site()).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_connection_breaks_is_tried_again_and_a_change_is_not() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let client = served.client();
    let token = served.token("tester", &["admin"]);
    let reset = json!({ "count": 1, "apply": true, "fault": { "reset": "before_response" } });
    for (method, code, asked) in [(LIST, "OK", 2), (CREATE, "UNKNOWN", 1)] {
        let before = requests(served.site()).len();
        inject(served.site(), reset.clone());
        let request = client.request(method, "");
        let answer = client.call(method, Some(&token), &request).await;
        assert_eq!(answer.code(), code, "{method}");
        assert_eq!(requests(served.site()).len() - before, asked, "{method}");
    }
    // the change was made, and nobody made it twice
    let state = served.site().state();
    let made = state["api_keys"].as_array().unwrap().len();
    assert_eq!(made, 2, "the master, and one");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_in_a_hurry_do_not_close_the_way_for_others() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let client = served.client();
    let token = served.token("tester", &["admin"]);
    inject(served.site(), json!({ "fault": { "hang": true } }));
    for _ in 0..20 {
        let message = client.request(LIST, "").encode_to_vec();
        let mut call = tonic::Request::new(message.into());
        call.metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        call.set_timeout(Duration::from_millis(20));
        let answer = client.send(LIST, call).await;
        assert!(answer.result.is_err());
    }
    served.site().faults().clear();
    let request = client.request(LIST, "");
    let answer = client.call(LIST, Some(&token), &request).await;
    assert_eq!(answer.code(), "OK");
}
