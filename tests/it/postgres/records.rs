//! The records are those that a file would hold.

use super::*;
use crate::support::served::id;

/// What a record says, but for what differs from run to run.
fn said(mut record: Json) -> Json {
    let members = record.as_object_mut().unwrap();
    for member in [
        "id",
        "call",
        "time",
        "duration_us",
        "request_id",
        "upstream_request_id",
    ] {
        members.remove(member);
    }
    if let Some(peer) = members.get_mut("peer") {
        *peer = Json::Null;
    }
    for resource in members.get_mut("resource").into_iter() {
        let id = resource.as_object_mut().unwrap().get_mut("id");
        id.into_iter().for_each(|it| *it = Json::Null);
    }
    for caller in members.get_mut("caller").into_iter() {
        caller.as_object_mut().unwrap().remove("token_id");
    }
    let fingerprints = members.get_mut("fingerprints").into_iter();
    fingerprints.for_each(|it| *it = it.as_array().unwrap().len().into());
    record
}

/// Calls of every kind: made, read, deleted, denied, refused, not found.
async fn calls(gateway: &Gateway, stage: &Stage) {
    let client = gateway.client();
    let admin = stage.token();
    let (owner, nobody) = (
        stage.setup.token_of("alice", &["owner"]),
        stage.setup.token_of("nobody", &[]),
    );
    let mine = id(make(&client, &owner, "made-mine").await);
    let other = id(make(&client, &admin, "made-other").await);
    on(&client, GET, &owner, &mine).await.ok();
    let denied = on(&client, GET, &owner, &other).await;
    assert_eq!(denied.reason(), "POLICY_DENIED");
    assert_eq!(make(&client, &nobody, "x").await.reason(), "POLICY_DENIED");
    assert_eq!(
        make(&client, "no-token", "x").await.reason(),
        "TOKEN_INVALID"
    );
    on(&client, DELETE, &owner, &mine).await.ok();
    let gone = on(&client, GET, &admin, &mine).await;
    assert_eq!(gone.reason(), "KEY_NOT_FOUND");
    on(&client, DELETE, &admin, &other).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_calls_leave_the_same_records_as_in_a_file() {
    let stage = Stage::start().await;
    let config = stage.replica("one");
    let mut gateway = Gateway::start(&config).await;
    calls(&gateway, &stage).await;
    assert_eq!(
        gateway.process.terminate(),
        Some(0),
        "{}",
        gateway.process.logged()
    );
    let file = stage.setup.serve().await;
    calls(&file, &stage).await;

    let all = records(&config, &[]);
    let said = |records: Vec<Json>| records.into_iter().map(said).collect::<Vec<_>>();
    let here = said(all.clone());
    assert_eq!(here.len(), 13);
    assert_eq!(here, said(records(&stage.setup.config(), &[])));
    check_steps(&all);

    // and they are found in the same ways
    for filter in [
        vec!["--subject", "alice"],
        vec!["--kind", "denied"],
        vec!["--rpc", "GetCurrentUserApplicationKey"],
        vec!["--upstream", "datadog/us1"],
        vec!["--outcome", "rejected"],
        vec![
            "--since",
            "2000-01-01T00:00:00Z",
            "--until",
            "2999-01-01T00:00:00Z",
        ],
    ] {
        let found = said(records(&config, &filter));
        assert!(!found.is_empty(), "{filter:?}");
        assert_eq!(
            found,
            said(records(&stage.setup.config(), &filter)),
            "{filter:?}"
        );
    }
    let resource = all[0]["resource"]["name"].as_str();
    assert_eq!(resource, Some("made-mine"));
    let id = all[1]["resource"]["id"].as_str().unwrap();
    assert_eq!(records(&config, &["--resource", id]).len(), 5);
    let request = records(&config, &["--request-id", "made-mine"]);
    assert_eq!(texts(&request, "kind"), ["intent", "outcome"]);
    stage.verified(&["one"]);
}
