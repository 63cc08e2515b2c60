//! Connections to PostgreSQL that break at the worst time.

use super::{proxy::Proxy, *};
use crate::support::{serve::until, served::id, upstreams::inject};

/// A stage whose replica `one` reaches the server through a proxy.
async fn stage(more: &str) -> (Stage, Proxy, PathBuf) {
    let stage = Stage::start().await;
    let proxy = Proxy::start(stage.postgres.socket());
    let url = stage.postgres.url(DATABASE, DATABASE);
    let url = proxy.url(&url, stage.postgres.socket());
    let config = stage.replica_at("one", &url, more);
    (stage, proxy, config)
}

/// What is recorded of a request: kinds and results, in their order.
fn steps(config: &std::path::Path, request: &str) -> Vec<String> {
    let found = records(config, &["--request-id", request]);
    let step = |it: &Json| {
        let result = ["finding", "outcome", "kind"].map(|name| it[name].as_str());
        result.into_iter().flatten().next().unwrap().to_owned()
    };
    found.iter().map(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_never_repeated() {
    let (stage, proxy, config) = stage("").await;
    let gateway = Gateway::start(&config).await;
    let (client, token) = (gateway.client(), stage.token());
    let direct = stage.replica("reader");
    make(&client, &token, "made-before").await.ok();
    for (at, cut) in [Proxy::cut_after_commit, Proxy::cut_before_commit]
        .into_iter()
        .cycle()
        .take(6)
        .enumerate()
    {
        cut(&proxy);
        let name = format!("made-{at}");
        make(&client, &token, &name).await.ok();
        assert_eq!(proxy.cut(), at + 1);
        assert_eq!(steps(&direct, &name), ["intent", "succeeded"], "{name}");
    }
    assert_eq!(stage.made().len(), 7);
    assert_eq!(records(&direct, &[]).len(), 14);
    stage.verified(&["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_cut_off_comes_back_with_what_it_knows() {
    let (stage, proxy, config) = stage(", reconnect = \"60s\"").await;
    let one = Gateway::start(&config).await;
    let url = stage.postgres.url(DATABASE, DATABASE);
    let two = stage.replica_at("two", &url, ", take_over = \"1s\"");
    let second = Gateway::start(&two).await;

    // it is cut off between an intent and its outcome, and its place is taken
    let site = stage.upstreams.at("datadog/us1/main");
    inject(
        site,
        serde_json::json!({"fault": {"delay_ms": 300}, "count": 1, "apply": true}),
    );
    let (client, token) = (one.client(), stage.setup.token_of("alice", &["owner"]));
    let call = {
        let token = token.clone();
        let tasks = keygate::tasks::Tasks::new();
        tasks.spawn(async move { make(&client, &token, "made-late").await })
    };
    until("it is sent", || (!stage.made().is_empty()).then_some(())).await;
    proxy.close();
    until("another ends it", || {
        (steps(&two, "made-late") == ["intent", "unknown"]).then_some(())
    })
    .await;
    assert!(!call.is_finished(), "it was answered without a record");

    proxy.open();
    let key = id(call.await.unwrap());
    assert_eq!(steps(&two, "made-late"), ["intent", "unknown", "applied"]);
    let all = records(&two, &["--request-id", "made-late"]);
    assert_eq!(all[2]["settles"], all[1]["id"]);
    // whoever made it owns it, everywhere
    on(&second.client(), DELETE, &token, &key).await.ok();
    stage.verified(&["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_place_was_taken_writes_no_more() {
    let (stage, proxy, config) = stage("").await;
    let mut first = Gateway::start(&config).await;
    make(&first.client(), &stage.token(), "made-first")
        .await
        .ok();
    proxy.close();
    // somebody starts another one under its name
    let direct = stage.replica("one-again");
    let text = std::fs::read_to_string(&direct).unwrap();
    let text = text.replace("origin = \"one-again\"", "origin = \"one\"");
    stage.setup.write("one-again.toml", &text);
    let second = Gateway::start(&direct).await;
    proxy.open();
    let exit = until("the first ends", || first.process.ended()).await;
    let told = first.process.logged();
    assert_eq!(exit, Some(74), "{told}");
    assert!(
        told.contains("another keygate has begun to write as `one`"),
        "{told}"
    );
    make(&second.client(), &stage.token(), "made-second")
        .await
        .ok();
    assert_eq!(records(&direct, &[]).len(), 4);
    stage.verified(&["one"]);
}
