//! Two gateways on one database: what one does, the other knows, also when one of
//! them is killed.

use serde_json::json;
use tokio::task::JoinSet;

use super::*;
use crate::support::{serve::until, served::id, upstreams::inject};

/// How many calls are under way at each.
const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_makes_is_owned_and_found_at_the_other() {
    let stage = Stage::start().await;
    let (one, two) = (stage.replica("one"), stage.replica("two"));
    let (first, second) = (Gateway::start(&one).await, Gateway::start(&two).await);
    let (alice, bob) = (
        stage.setup.token_of("alice", &["owner"]),
        stage.setup.token_of("bob", &["owner"]),
    );
    let key = id(make(&first.client(), &alice, "made-here").await);
    on(&second.client(), GET, &alice, &key).await.ok();
    let denied = on(&second.client(), GET, &bob, &key).await;
    assert_eq!(denied.reason(), "POLICY_DENIED");
    on(&second.client(), DELETE, &alice, &key).await.ok();

    // whichever is asked, all is found, in the order in which it happened
    let found = records(&one, &["--subject", "alice"]);
    assert_eq!(found, records(&two, &["--subject", "alice"]));
    let results = found
        .iter()
        .map(|it| (it["kind"].as_str().unwrap(), it["rpc"].as_str().unwrap()));
    let results: Vec<_> = results.collect();
    assert_eq!(
        results,
        [
            ("intent", CREATE),
            ("outcome", CREATE),
            ("outcome", GET),
            ("intent", DELETE),
            ("outcome", DELETE)
        ]
    );
    let trees = stage.postgres.client(DATABASE).await;
    let trees = trees
        .query("SELECT origin, size FROM keygate.origins ORDER BY 1", &[])
        .await;
    let trees: Vec<(String, i64)> = trees
        .unwrap()
        .iter()
        .map(|it| (it.get(0), it.get(1)))
        .collect();
    assert_eq!(trees, [("one".to_owned(), 2), ("two".to_owned(), 4)]);
    stage.verified(&["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_killed_takes_nothing_with_it() {
    let stage = Stage::start().await;
    let url = stage.postgres.url(DATABASE, DATABASE);
    let one = stage.replica_at("one", &url, ", take_over = \"1s\"");
    let two = stage.replica_at("two", &url, ", take_over = \"1s\"");
    let (first, second) = (Gateway::start(&one).await, Gateway::start(&two).await);
    // slow enough that some calls are always under way upstream
    let site = stage.upstreams.at("datadog/us1/main");
    inject(site, json!({"fault": {"delay_ms": 30}, "apply": true}));

    let token = stage.token();
    let mut calls = JoinSet::new();
    let load = |calls: &mut JoinSet<_>, client: Client, name: &'static str, count: usize| {
        for worker in 0..AT_ONCE {
            let (client, token) = (client.clone(), token.clone());
            calls.spawn(async move {
                let mut answers = Vec::new();
                for number in 0..count {
                    let name = format!("made-{name}-{worker}-{number}");
                    let answer = make(&client, &token, &name).await;
                    let ended = answer.result.is_err();
                    answers.push((name, answer));
                    if ended {
                        break;
                    }
                }
                answers
            });
        }
    };
    load(&mut calls, first.client(), "one", 20);
    load(&mut calls, second.client(), "two", 8);
    until("some are made", || (stage.made().len() > 100).then_some(())).await;
    drop(first); // SIGKILL
    let answers: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    site.faults().clear();

    // whoever was told something finds it recorded
    let all = until("its intents are ended", || {
        let all = records(&two, &[]);
        let ended = texts(all.iter().filter(|it| it["kind"] == "outcome"), "call").len();
        let begun = texts(all.iter().filter(|it| it["kind"] == "intent"), "call").len();
        (begun == ended).then_some(all)
    })
    .await;
    check_steps(&all);
    let outcomes = outcomes(&all);
    let mut lost = 0;
    for (name, answer) in &answers {
        if answer.result.is_ok() {
            assert_eq!(outcomes[name.as_str()], "succeeded", "{name}");
        } else {
            // the connection broke; those that had begun are not known
            assert!(name.starts_with("made-one"), "{name}: {}", answer.reason());
            lost += 1;
        }
    }
    assert_eq!(lost, AT_ONCE);
    let intents = texts(all.iter().filter(|it| it["kind"] == "intent"), "request_id");
    for name in stage.made() {
        assert!(
            intents.contains(&name.as_str()),
            "{name} was made, and not written down"
        );
    }
    let unknown = outcomes.values().filter(|it| **it == "unknown").count();
    assert!((1..=AT_ONCE).contains(&unknown), "{unknown}");
    let answered = answers
        .iter()
        .filter(|(name, _)| name.starts_with("made-two"));
    assert_eq!(
        answered.filter(|(_, it)| it.result.is_ok()).count(),
        AT_ONCE * 8
    );

    // it comes back under its name, and goes on with its tree
    let again = Gateway::start(&one).await;
    make(&again.client(), &token, "made-again").await.ok();
    let mut processes = [again.process, second.process];
    for process in &mut processes {
        tokio::task::block_in_place(|| assert_eq!(process.terminate(), Some(0)));
    }
    stage.verified(&["one", "two"]);
}
