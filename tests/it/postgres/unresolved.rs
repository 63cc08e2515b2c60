//! Changes whose answer was lost: what one replica can't find out any more is found
//! out by another, and once.

use std::{path::Path, time::Duration};

use serde_json::json;

use super::{proxy::Proxy, *};
use crate::support::{
    gateway::{PATIENCE, contract},
    http::Http,
    serve::until,
    upstreams::{inject, requests},
};

/// Calls don't have long, so that what is lost is soon looked for.
const SERVER: &str = "request_timeout = \"3s\"\nconclude_reserve = \"100ms\"\n";

/// For how long a replica is away before its place is taken.
const TAKE_OVER: &str = ", reconnect = \"1s\", take_over = \"1s\"";

impl Stage {
    /// Has the next request for a key meet a fault, after it took effect or before.
    fn fault(&self, fault: &Json, apply: bool) {
        let route = contract().operation(CREATE).unwrap().route.clone();
        let rule = json!({ "route": route, "count": 1, "apply": apply, "fault": fault });
        inject(self.upstreams.at("datadog/us1/main"), rule);
    }

    /// Makes a key, and loses the answer.
    async fn lose(&self, client: &Client, token: &str, name: &str, apply: bool) {
        self.fault(&json!({ "reset": "before_response" }), apply);
        let answer = make(client, token, name).await;
        assert_eq!(answer.reason(), "OUTCOME_UNKNOWN", "{name}");
    }

    /// The ids of all keys that were made upstream under this name.
    fn ids(&self, name: &str) -> Vec<String> {
        let state = self.upstreams.at("datadog/us1/main").state();
        let keys = state["application_keys"].as_array().unwrap().iter();
        let keys = keys.filter(|it| it["name"] == name);
        keys.map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// In whose trees the records of a kind are.
    async fn trees_of(&self, kind: &str) -> Vec<String> {
        let client = self.postgres.client(DATABASE).await;
        let sql = "SELECT origin FROM keygate.records WHERE kind = $1 ORDER BY position";
        let rows = client.query(sql, &[&kind]).await.unwrap();
        rows.iter().map(|it| it.get(0)).collect()
    }

    /// Who is to find out what became of calls.
    async fn unresolved(&self) -> Vec<String> {
        let client = self.postgres.client(DATABASE).await;
        let sql = "SELECT origin FROM keygate.unresolved ORDER BY position";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|it| it.get(0)).collect()
    }
}

/// Waits until so many calls have been told of: the records that say so. Nobody looks
/// before whatever was sent has had its time, nor all the time for what others left.
async fn reconciled(stage: &Stage, config: &Path, count: usize) -> Vec<Json> {
    let looking = async {
        while stage.trees_of("reconciled").await.len() < count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE * 3, looking).await;
    let told = records(config, &["--kind", "reconciled"]);
    found.unwrap_or_else(|_| panic!("not all is reconciled: {told:#?}"));
    told
}

/// How many calls a gateway has yet to find out about, as it tells.
async fn open(gateway: &Gateway) -> String {
    let http = Http::new(gateway.http.clone(), Vec::new());
    let text = http.get("/metrics").await.body;
    let text = std::str::from_utf8(&text).unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|it| it.strip_prefix("keygate_calls_unresolved "));
    line.unwrap_or_default().to_owned()
}

/// Waits until a gateway has nothing left to find out.
async fn knows_all(gateway: &Gateway) {
    let looking = async {
        while open(gateway).await != "0" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let known = tokio::time::timeout(PATIENCE * 3, looking).await;
    known.expect("it has calls left to find out about");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_replica_did_not_find_out_another_does() {
    let stage = Stage::configured(Postgres::start().await, SERVER).await;
    let url = stage.postgres.url(DATABASE, DATABASE);
    let [one, two] = ["one", "two"].map(|it| stage.replica_at(it, &url, TAKE_OVER));
    let (mut first, second) = (Gateway::start(&one).await, Gateway::start(&two).await);
    let alice = stage.setup.token_of("alice", &["owner"]);

    // two answers are lost, and of one call not even the end is known
    stage.lose(&first.client(), &alice, "made-lost", true).await;
    stage.lose(&first.client(), &alice, "made-not", false).await;
    stage.fault(&json!({ "hang": true }), true);
    let (client, token) = (first.client(), alice.clone());
    let tasks = keygate::tasks::Tasks::new();
    let open_call = tasks.spawn(async move { make(&client, &token, "made-open").await });
    let site = stage.upstreams.at("datadog/us1/main");
    until("upstream has it", || {
        let hung = |it: &Json| it["fault"] == "hang";
        requests(site).iter().any(hung).then_some(())
    })
    .await;
    assert_eq!(stage.unresolved().await, ["one", "one"]);
    first.process.kill();
    assert!(open_call.await.unwrap().result.is_err());

    // another is to find out, and does
    let told = reconciled(&stage, &two, 3).await;
    assert!(stage.unresolved().await.is_empty());
    assert_eq!(stage.trees_of("reconciled").await, ["two"; 3]);
    let mut findings: Vec<_> = told
        .iter()
        .map(|it| {
            let name = it["resource"]["name"].as_str().unwrap();
            (name, it["finding"].as_str().unwrap())
        })
        .collect();
    findings.sort_unstable();
    assert_eq!(
        findings,
        [
            ("made-lost", "applied"),
            ("made-not", "not_applied"),
            ("made-open", "applied")
        ]
    );
    for record in &told {
        let name = record["resource"]["name"].as_str().unwrap();
        let of_call = records(&two, &["--request-id", name]);
        assert_eq!(
            texts(&of_call, "kind"),
            ["intent", "outcome", "reconciled"],
            "{name}"
        );
        assert_eq!(of_call[1]["outcome"], "unknown", "{name}");
        assert_eq!(record["settles"], of_call[1]["id"], "{name}");
        assert_eq!(record["caller"]["subject"], "alice", "{name}");
        let id = record["resource"]["id"].as_str().map(str::to_owned);
        assert_eq!(id, stage.ids(name).pop(), "{name}");
    }
    // whoever made it owns it, though nobody was told so
    let key = stage.ids("made-lost").pop().unwrap();
    on(&second.client(), DELETE, &alice, &key).await.ok();

    // who was dead has nothing to add
    let again = Gateway::start(&one).await;
    knows_all(&again).await;
    knows_all(&second).await;
    make(&again.client(), &alice, "made-again").await.ok();
    assert_eq!(records(&two, &["--kind", "reconciled"]), told);
    check_steps(&records(&two, &[]));
    stage.verified(&["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_cut_off_does_not_repeat_what_another_has_found_out() {
    let stage = Stage::configured(Postgres::start().await, SERVER).await;
    let proxy = Proxy::start(stage.postgres.socket());
    let url = stage.postgres.url(DATABASE, DATABASE);
    let behind = proxy.url(&url, stage.postgres.socket());
    let one = stage.replica_at("one", &behind, TAKE_OVER);
    let two = stage.replica_at("two", &url, TAKE_OVER);
    let (first, second) = (Gateway::start(&one).await, Gateway::start(&two).await);
    let token = stage.token();
    for (name, apply) in [("made-lost", true), ("made-not", false)] {
        stage.lose(&first.client(), &token, name, apply).await;
    }
    let gathered = async {
        while open(&first).await != "2" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let gathered = tokio::time::timeout(PATIENCE, gathered).await;
    gathered.expect("it is to find out about both");
    proxy.close();

    let told = reconciled(&stage, &two, 2).await;
    assert_eq!(stage.trees_of("reconciled").await, ["two"; 2]);
    // it has found out as well, and could not write it down
    proxy.open();
    knows_all(&first).await;
    knows_all(&second).await;
    let begun = keygate::clock::Clock::system().instant();
    while make(&first.client(), &token, "made-after")
        .await
        .result
        .is_err()
    {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(records(&two, &["--kind", "reconciled"]), told);
    stage.verified(&["one", "two"]);
}
