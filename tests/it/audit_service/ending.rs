//! A watch ends: with its caller's token, by the policy, by its deadline, and with the
//! gateway. However it ends, it leaves one record.

use std::time::Duration;

use keygate::{
    clock::Clock, contract::proto::keygate::audit::v1::WatchRecordsRequest, sandbox::issuer::Claims,
};
use serde_json::Value as Json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{Auditor, leave_a_record};
use crate::support::{
    gateway::records,
    serve::until,
    served::{SANDBOX_POLICY, Served},
};

/// The one record of a request, as soon as it is there.
pub(super) async fn record(served: &Served, id: &str) -> Json {
    until("it is recorded", || {
        let mut records = served.records();
        records.retain(|it| it["request_id"] == id);
        assert!(records.len() < 2, "{records:#?}");
        records.pop()
    })
    .await
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().unwrap().reason.clone()
}

fn from_the_first() -> WatchRecordsRequest {
    WatchRecordsRequest {
        from_position: Some(0),
        ..WatchRecordsRequest::default()
    }
}

#[tokio::test]
async fn a_watch_ends_with_its_callers_token() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let mut claims = Claims::new("the-auditor", &["auditor"]);
    claims.ttl = Duration::from_secs(2);
    let auditor = Auditor {
        token: served.setup.mint(&claims),
        ..Auditor::new(&served)
    };
    let mut watch = auditor
        .watch_as(&from_the_first(), Some("late"))
        .await
        .unwrap();
    let ended = watch.end().await.unwrap_err();
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::Unauthenticated, "TOKEN_EXPIRED")
    );
    let record = record(&served, "late").await;
    assert_eq!(record["reason"], "TOKEN_EXPIRED", "{record:#}");
    assert_eq!(record["items"], 0, "{record:#}");
}

#[tokio::test]
async fn a_watch_ends_when_the_policy_denies_it() {
    let without_role = SANDBOX_POLICY.replace("claim = \"auditor\"", "claim = \"former-auditor\"");
    for (policy, rule) in [
        (
            format!("{SANDBOX_POLICY}[deny]\nsubjects = [\"the-auditor\"]\n"),
            "deny.subjects[0]",
        ),
        (
            format!("{SANDBOX_POLICY}[deny]\nrpcs = [\"AuditService/Watch*\"]\n"),
            "deny.rpcs[0]",
        ),
        (without_role, "no grant fits the caller"),
    ] {
        let served = Served::with_policy(SANDBOX_POLICY).await;
        let auditor = Auditor::new(&served);
        leave_a_record(&served.client(), &served.token("admin", &["admin"])).await;
        let mut watch = auditor
            .watch_as(&from_the_first(), Some("denied"))
            .await
            .unwrap();
        assert_eq!(watch.position().await.unwrap(), Some(0));
        served.setup.write("policy.toml", &policy);
        let ended = watch.end().await.unwrap_err();
        assert_eq!(reason(&ended), "POLICY_DENIED", "{rule}");
        let record = record(&served, "denied").await;
        assert_eq!(record["kind"], "denied", "{record:#}");
        assert_eq!(record["rule"], rule, "{record:#}");
        assert_eq!(record["items"], 1, "{record:#}");
    }
}

#[tokio::test]
async fn a_watch_keeps_to_its_deadline() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    let mut call = auditor.request(&from_the_first(), Some("brief"));
    call.set_timeout(Duration::from_secs(1));
    let method = format!("{}/WatchRecords", super::SERVICE);
    let answer = auditor.client.send(&method, call).await;
    assert_eq!(answer.code(), "DEADLINE_EXCEEDED");
    let record = record(&served, "brief").await;
    assert_eq!(record["code"], "DEADLINE_EXCEEDED", "{record:#}");
    assert_eq!(record["outcome"], "succeeded", "{record:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_watch_does_not_hold_up_a_gateway_that_ends() {
    let mut served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    leave_a_record(&served.client(), &served.token("admin", &["admin"])).await;
    let mut watch = auditor
        .watch_as(&from_the_first(), Some("ended"))
        .await
        .unwrap();
    assert_eq!(watch.position().await.unwrap(), Some(0));
    let clock = Clock::system();
    let begun = clock.instant();
    served.gateway.process.ask_to_end();
    let ended = watch.end().await.unwrap_err();
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::Unavailable, "SHUTTING_DOWN")
    );
    drop((watch, auditor));
    let code = until("it ends", || served.gateway.process.ended()).await;
    assert_eq!(code, Some(0));
    assert!(clock.instant() - begun < Duration::from_secs(10));
    let mut records = records(&served.setup.config(), &["--request-id", "ended"]);
    let record = records.pop().unwrap();
    assert_eq!(record["reason"], "SHUTTING_DOWN", "{record:#}");
}
