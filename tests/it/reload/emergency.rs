//! What `[deny]` says is not held up by what is wrong elsewhere.

use std::time::Duration;

use keygate::clock::Clock;

use super::{GET, REFUSED, Stage, WHO, replace, version};
use crate::support::{serve::POLICY, served::text};

/// Who is to be stopped.
const MALLORY: &str = "mallory";

fn denying(deny: &str) -> String {
    // what else is new in it is not taken
    let granted = "\n[[grants]]\nrole = \"admin\"\nclaim = \"new\"\n";
    format!("{POLICY}{granted}\n[deny]\n{deny}\n")
}

/// How a read ends for a subject with this role.
async fn answer(stage: &Stage, subject: &str, role: &str) -> (String, String) {
    let client = stage.gateway.client();
    let token = stage.setup.token_of(subject, &[role]);
    let request = client.request(GET, "k");
    let answer = client.call(GET, Some(&token), &request).await;
    let info = answer.details().and_then(|it| it.error_info().cloned());
    let rule = info.and_then(|mut it| it.metadata.remove("rule"));
    (answer.reason(), rule.unwrap_or_default())
}

/// Waits until a subject is denied, or no more.
async fn becomes(stage: &Stage, subject: &str, reason: &str) {
    let become_so = async { while answer(stage, subject, "admin").await.0 != reason {} };
    let become_so = tokio::time::timeout(Duration::from_secs(10), become_so).await;
    become_so.unwrap_or_else(|_| panic!("{subject}: never {reason:?}"));
}

async fn policy_version(stage: &Stage) -> String {
    let client = stage.gateway.client();
    let request = client.request(WHO, "");
    let token = stage.setup.token();
    let told = client.call(WHO, Some(&token), &request).await;
    text(&told.ok(), "policy_version")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_at_once_whatever_is_wrong_with_other_files() {
    let stage = Stage::new("", "").await;
    let config = stage.text();
    let emergency = denying("subjects = [\"mallory\"]");
    let both = format!("{}+{}", version(POLICY), version(&emergency));
    // a credential that is none, and a configuration that can't be read
    for (name, broken, mended) in [
        ("key", "two\nlines", "first"),
        ("keygate.toml", "[server\n", config.as_str()),
    ] {
        replace(&stage.setup, name, broken);
        while !stage.refused_since().await {}
        assert_eq!(answer(&stage, MALLORY, "admin").await.0, "");

        let clock = Clock::system();
        let written = clock.instant();
        replace(&stage.setup, "policy.toml", &emergency);
        becomes(&stage, MALLORY, "POLICY_DENIED").await;
        let taken = clock.instant() - written;
        println!("{name}: denied after {taken:?}");
        let denied = answer(&stage, MALLORY, "admin").await;
        assert_eq!(denied.1, "deny.subjects[0]");
        assert_eq!(policy_version(&stage).await, both);
        // nothing else of it is in force, and nobody else is stopped
        assert_eq!(answer(&stage, "alice", "admin").await.0, "");
        assert_eq!(answer(&stage, "alice", "new").await.0, "POLICY_DENIED");
        assert!(stage.refused_since().await);

        // a faulty policy changes nothing of that
        let refused = stage.figure(REFUSED).await;
        replace(&stage.setup, "policy.toml", "[roles.a]\n");
        stage.reaches(REFUSED, refused + 1.0).await;
        assert_eq!(answer(&stage, MALLORY, "admin").await.0, "POLICY_DENIED");
        // other words do, and none at all
        let other = denying("subjects = [\"trudy\"]");
        replace(&stage.setup, "policy.toml", &other);
        becomes(&stage, "trudy", "POLICY_DENIED").await;
        assert_eq!(answer(&stage, MALLORY, "admin").await.0, "");
        replace(&stage.setup, "policy.toml", POLICY);
        becomes(&stage, "trudy", "").await;
        assert_eq!(policy_version(&stage).await, version(POLICY));

        // mended, all of it is in force
        replace(&stage.setup, "policy.toml", &emergency);
        becomes(&stage, MALLORY, "POLICY_DENIED").await;
        replace(&stage.setup, name, mended);
        until_version(&stage, &version(&emergency)).await;
        assert_eq!(answer(&stage, "alice", "new").await.0, "");
        assert_eq!(answer(&stage, MALLORY, "admin").await.0, "POLICY_DENIED");
        replace(&stage.setup, "policy.toml", POLICY);
        until_version(&stage, &version(POLICY)).await;
        assert!(!stage.refused_since().await);
    }
}

async fn until_version(stage: &Stage, wanted: &str) {
    let waiting = async { while policy_version(stage).await != wanted {} };
    let waiting = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    waiting.expect("it comes into force");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_mended_without_it_does_not_bring_it_back() {
    let stage = Stage::new("", "").await;
    replace(&stage.setup, "key", "two\nlines");
    replace(&stage.setup, "policy.toml", &denying("rpcs = [\"*/Get*\"]"));
    becomes(&stage, "alice", "POLICY_DENIED").await;
    // both are as they were when they were taken
    replace(&stage.setup, "policy.toml", POLICY);
    replace(&stage.setup, "key", "first");
    stage.taken(2).await;
    becomes(&stage, "alice", "").await;
    assert_eq!(policy_version(&stage).await, version(POLICY));
}
