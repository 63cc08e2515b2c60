//! The policy.

use std::{fs, os::unix::fs::symlink, slice::from_ref, time::Duration};

use keygate::clock::Clock;

use super::{
    GET, Stage, WHO, replace,
    steady::{Moment, Steady, counted},
    version,
};
use crate::support::{
    gateway::{Client, records},
    serve::{POLICY, until},
    served::text,
};

/// A policy under which this claim may read keys.
fn policy(claim: &str) -> String {
    format!(
        "[roles.reader]\npermissions = [\"api_keys_read\"]\nkeys = \"any\"\n\n\
         [[grants]]\nrole = \"reader\"\nclaim = \"{claim}\"\n"
    )
}

/// Waits until a policy of this text is in force.
async fn in_force(client: &Client, token: &str, policy: &str) {
    let (request, version) = (client.request(WHO, ""), version(policy));
    loop {
        let answer = client.call(WHO, Some(token), &request).await.ok();
        if text(&answer, "policy_version") == version {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_under_load_and_no_call_is_lost_or_decided_wrongly() {
    const CHANGES: usize = 10;
    let stage = Stage::new("", "").await;
    let clients: Vec<_> = (0..4).map(|_| stage.gateway.client()).collect();
    let (claims, policies) = (["even", "odd"], ["even", "odd"].map(policy));
    let probe = stage.setup.token_of("probe", &[]);
    replace(&stage.setup, "policy.toml", &policies[0]);
    in_force(&clients[0], &probe, &policies[0]).await;

    // even moments: that policy has been in force since; odd ones: it changes
    let moment = Moment::default();
    let callers = claims.map(|claim| {
        let token = stage.setup.token_of(claim, &[claim]);
        Steady::start(&clients, 8, GET, &token, &moment)
    });
    let clock = Clock::system();
    let mut quickest = Duration::MAX;
    for change in 1..=CHANGES {
        callers[0].go_on(50).await;
        let (written, policy) = (clock.instant(), &policies[change % 2]);
        moment.pass();
        // in place, and as a whole
        match change % 3 {
            0 => drop(stage.setup.write("policy.toml", policy)),
            _ => replace(&stage.setup, "policy.toml", policy),
        }
        in_force(&clients[0], &probe, policy).await;
        moment.pass();
        quickest = quickest.min(clock.instant() - written);
    }
    callers[0].go_on(50).await;
    println!("in force after {quickest:?}");
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");

    for (at, callers) in callers.into_iter().enumerate() {
        let calls = callers.stop().await;
        let counted = counted(&calls);
        assert!(
            counted.keys().eq(["OK", "POLICY_DENIED"].iter()),
            "{counted:?}"
        );
        let mut settled = 0;
        for call in calls.iter().filter(|it| it.from == it.to && it.to % 2 == 0) {
            let expected = if call.from / 2 % 2 == at {
                "OK"
            } else {
                "POLICY_DENIED"
            };
            assert_eq!(call.result, expected, "{call:?}");
            settled += 1;
        }
        assert!(settled > CHANGES, "only {settled} of {counted:?}");
    }

    // whatever policy a call was decided with, it was decided as that one says
    let mut decided = 0;
    for record in records(&stage.setup.config(), &["--rpc", GET]) {
        let claim = record["caller"]["subject"].as_str().unwrap();
        let holder = usize::from(claim == "odd");
        let by = policies
            .iter()
            .position(|it| version(it) == record["policy_version"]);
        let permitted = by == Some(holder);
        let kind = if permitted { "outcome" } else { "denied" };
        assert!(by.is_some() && record["kind"] == kind, "{record}");
        decided += 1;
    }
    assert!(decided > CHANGES * 50);
    assert_eq!(stage.figure("keygate_reload_failed").await, 0.0);
}

#[tokio::test]
async fn a_call_under_way_ends_with_the_one_that_it_began_with() {
    let stage = Stage::new("", "").await;
    let (client, token) = (stage.gateway.client(), stage.setup.token());
    let request = client.request(GET, "k");
    stage.upstream.pause();
    let running = client.call(GET, Some(&token), &request);
    let change = async {
        until("it is under way", || {
            (stage.upstream.came("first") > 0).then_some(())
        })
        .await;
        replace(&stage.setup, "policy.toml", "");
        in_force(&client, &token, "").await;
        let denied = client.call(GET, Some(&token), &request).await;
        assert_eq!(denied.reason(), "POLICY_DENIED");
        stage.upstream.go_on();
    };
    let (answer, ()) = tokio::join!(running, change);
    answer.ok();
    let trail = records(&stage.setup.config(), &["--rpc", GET]);
    let kinds = trail.iter().map(|it| [&it["kind"], &it["policy_version"]]);
    let kinds: Vec<_> = kinds.map(|it| it.map(|it| it.as_str().unwrap())).collect();
    let versions = [version(""), version(POLICY)];
    assert_eq!(
        kinds,
        [["denied", &*versions[0]], ["outcome", &versions[1]]]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_one_changes_nothing_and_all_its_faults_are_told() {
    let stage = Stage::new("", "").await;
    let client = stage.gateway.client();
    let token = stage.setup.token();
    let moment = Moment::default();
    let callers = Steady::start(from_ref(&client), 4, GET, &token, &moment);
    assert!(!stage.refused_since().await);
    callers.go_on(20).await;

    replace(
        &stage.setup,
        "policy.toml",
        "[roles.r]\npermissions = [\"api_keys_raed\"]\ncolour = \"red\"\n[[grants]]\nrole = \"q\"\nclaim = \"c\"\n",
    );
    stage.refused(1).await;
    callers.go_on(20).await;
    assert_eq!(stage.figure("keygate_reload_failed").await, 1.0);
    assert!(stage.refused_since().await);
    let line = stage.logged("can't be used").await;
    for fault in [
        "policy.toml",
        "roles.r.permissions[0]",
        "api_keys_read",
        "roles.r.colour",
        "grants[0].role",
    ] {
        assert!(line.contains(fault), "{fault}: {line}");
    }

    // a file that is not there is no policy either
    fs::remove_file(stage.setup.folder.path().join("policy.toml")).unwrap();
    stage.refused(2).await;
    callers.go_on(20).await;
    // what was in force comes into force again
    replace(&stage.setup, "policy.toml", POLICY);
    stage.taken(2).await;
    assert_eq!(stage.figure("keygate_reload_failed").await, 0.0);
    assert!(!stage.refused_since().await);
    super::steady::all_right(&callers.stop().await);
    let versions = records(&stage.setup.config(), &["--rpc", GET]);
    let version = version(POLICY);
    assert!(versions.iter().all(|it| it["policy_version"] == version));
}

/// A volume of Kubernetes': `policy.toml` is a link to `..data/policy.toml`, and
/// `..data` a link to a folder, which is replaced by another.
#[tokio::test]
async fn it_may_be_behind_links_that_are_replaced() {
    let policies = ["even", "odd"].map(policy);
    let fill = |folder: &std::path::Path, at: usize| {
        let data = folder.join(format!("..{at}"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("policy.toml"), &policies[at]).unwrap();
        symlink(&data, folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    };
    let stage = Stage::prepared("", "", |setup| {
        let folder = setup.folder.path();
        fill(folder, 0);
        fs::remove_file(folder.join("policy.toml")).unwrap();
        symlink("..data/policy.toml", folder.join("policy.toml")).unwrap();
    })
    .await;
    let client = stage.gateway.client();
    let token = stage.setup.token_of("odd", &["odd"]);
    let request = client.request(GET, "k");
    let before = client.call(GET, Some(&token), &request).await;
    assert_eq!(before.reason(), "POLICY_DENIED");
    fill(stage.setup.folder.path(), 1);
    in_force(&client, &token, &policies[1]).await;
    client.call(GET, Some(&token), &request).await.ok();
}
