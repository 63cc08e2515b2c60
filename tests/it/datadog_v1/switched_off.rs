//! Where upstream has switched API v1 off.

use keygate::contract::proto::keygate::datadog::v2::Site;
use serde_json::{Value as Json, json};

use super::{API_KEY, APPLICATION_KEY, Caller, KINDS, VERBS, refused};
use crate::support::{gateway::Sandbox, http::Http, upstreams::asked};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn simulator(sandbox: &Sandbox, name: &str) -> Http {
    Http::new(sandbox.upstream(name), Vec::new())
}

async fn requests(simulator: &Http) -> usize {
    asked(simulator.get("/__state").await.json()).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn government_sites_are_not_even_asked() {
    let sandbox = Sandbox::start();
    let mut admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let mut nobody = Caller::new(sandbox.client(), sandbox.token("nobody"));
    for (site, upstream) in [
        (Site::Us1Fed, "datadog/us1-fed"),
        (Site::Us2Fed, "datadog/us2-fed"),
    ] {
        let simulator = simulator(&sandbox, upstream);
        (admin.site, nobody.site) = (site.into(), site.into());
        for kind in KINDS {
            for verb in VERBS {
                let answer = admin.call(kind, verb, KEY, "a").await;
                refused(&answer, "FAILED_PRECONDITION", "ENDPOINT_DISABLED");
                let message = answer.result.unwrap_err().message().to_owned();
                assert!(message.contains("keygate.datadog.v2"), "{message}");
                // who may not, learns nothing of it
                let answer = nobody.call(kind, verb, KEY, "a").await;
                refused(&answer, "PERMISSION_DENIED", "POLICY_DENIED");
            }
        }
        assert_eq!(requests(&simulator).await, 0, "{upstream}");
        let records = sandbox.records(&["--upstream", upstream, "--subject", "sandbox-admin"]);
        assert_eq!(records.len(), 10);
        for record in records {
            assert_eq!(record["kind"], "refused", "{record}");
            assert_eq!(record["code"], "FAILED_PRECONDITION", "{record}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_time_read_mode_is_told_as_such() {
    let sandbox = Sandbox::with(&["--one-time-read"]);
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    for verb in VERBS {
        let answer = admin.call(APPLICATION_KEY, verb, KEY, "a").await;
        refused(&answer, "FAILED_PRECONDITION", "ENDPOINT_DISABLED");
        let status = answer.result.unwrap_err();
        assert!(status.message().contains("One-Time Read"), "{status}");
    }
    let value = API_KEY.made(admin.create(API_KEY, "a").await);
    for verb in &VERBS[1..] {
        admin.call(API_KEY, verb, &value, "b").await.result.unwrap();
    }
    let records = sandbox.records(&["--kind", "outcome", "--outcome", "rejected"]);
    assert_eq!(records.len(), VERBS.len());
    assert!(records.iter().all(|it| it["upstream_status"] == 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_time_read_mode_is_known_in_other_words_and_nothing_else_is_taken_for_it() {
    const DISABLED: (&str, &str) = ("FAILED_PRECONDITION", "ENDPOINT_DISABLED");
    let sandbox = Sandbox::start();
    let simulator = simulator(&sandbox, "datadog/us1");
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let plain = |words: &str| json!({ "errors": [words] });
    for (status, body, (code, reason)) in [
        (400, plain("not available in one-time read mode"), DISABLED),
        (403, plain("ONE_TIME_READ_MODE is enabled"), DISABLED),
        (
            404,
            json!({ "errors": [{ "title": "Disabled", "detail": "OneTimeRead" }] }),
            DISABLED,
        ),
        (
            403,
            plain("Forbidden"),
            ("FAILED_PRECONDITION", "UPSTREAM_FORBIDDEN"),
        ),
        (
            400,
            plain("One thing at a time: read"),
            ("INVALID_ARGUMENT", "UPSTREAM_REJECTED"),
        ),
        (
            404,
            plain("Application key not found"),
            ("NOT_FOUND", "KEY_NOT_FOUND"),
        ),
        (
            409,
            plain("\"one-time read\" already exists"),
            ("ALREADY_EXISTS", "KEY_EXISTS"),
        ),
        (
            403,
            Json::String("One-Time Read".to_owned()),
            ("FAILED_PRECONDITION", "UPSTREAM_FORBIDDEN"),
        ),
    ] {
        let fault = json!({ "fault": { "status": status, "body": body }, "count": 1 });
        let injected = simulator.post("/__faults", &fault).await;
        assert_eq!(injected.status, 201, "{injected:?}");
        let answer = admin.get(APPLICATION_KEY, KEY).await;
        refused(&answer, code, reason);
    }
}
