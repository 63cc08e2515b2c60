//! PostgreSQL is killed under load, and started again: gateways wait for it, refuse
//! what can't be recorded, and serve again by themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::StatusCode;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::*;
use crate::support::{gateway::PATIENCE, http::Http, serve::until};

/// How many calls are under way at each gateway.
const AT_ONCE: usize = 16;

/// Calls both gateways until it is told to stop.
struct Load {
    calls: JoinSet<Vec<(String, Answer)>>,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
}

impl Load {
    fn start(clients: &[Client], token: &str) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut calls = JoinSet::new();
        for worker in 0..AT_ONCE * clients.len() {
            let (client, token) = (clients[worker % clients.len()].clone(), token.to_owned());
            let (stop, made): (_, Arc<AtomicUsize>) = (stop.clone(), Arc::clone(&made));
            calls.spawn(async move {
                let mut answers = Vec::new();
                while !stop.load(Relaxed) {
                    let name = format!("made-{worker}-{}", answers.len());
                    let answer = make(&client, &token, &name).await;
                    if answer.result.is_ok() {
                        made.fetch_add(1, Relaxed);
                    } else {
                        // as clients do, it does not ask again at once
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    answers.push((name, answer));
                }
                answers
            });
        }
        Self { calls, stop, made }
    }

    /// Waits until so many more calls have succeeded.
    async fn go_on(&self, more: usize) {
        let goal = self.made.load(Relaxed) + more;
        until("more are made", || {
            (self.made.load(Relaxed) >= goal).then_some(())
        })
        .await;
    }

    async fn stop(self) -> Vec<(String, Answer)> {
        self.stop.store(true, Relaxed);
        self.calls.join_all().await.into_iter().flatten().collect()
    }
}

/// Waits until a gateway tells that it serves, or that it does not.
pub(super) async fn becomes(gateway: &Gateway, serving: bool) {
    let http = Http::new(gateway.http.clone(), Vec::new());
    let channel = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect_lazy());
    let looking = async {
        loop {
            let ready = http.get("/readyz").await.status == StatusCode::OK;
            let told = health.check(HealthCheckRequest::default()).await.unwrap();
            let told = told.into_inner().status() == ServingStatus::Serving;
            if ready == serving && told == serving {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("serving: {serving}: never"));
}

/// Checks what was told against what is recorded, and that against what was done.
#[track_caller]
fn check(stage: &Stage, answers: &[(String, Answer)], all: &[Json]) {
    check_steps(all);
    let outcomes = outcomes(all);
    let intents = texts(all.iter().filter(|it| it["kind"] == "intent"), "request_id");
    let made = stage.made();
    for name in &made {
        assert!(
            intents.contains(&name.as_str()),
            "{name} was made, and not written down"
        );
    }
    for (name, answer) in answers {
        let outcome = outcomes.get(name.as_str()).copied();
        match answer.reason().as_str() {
            "" if answer.result.is_ok() => assert_eq!(outcome, Some("succeeded"), "{name}"),
            "AUDIT_UNAVAILABLE" => {
                assert!(
                    matches!(outcome, None | Some("not_sent")),
                    "{name}: {outcome:?}"
                );
                assert!(!made.contains(name), "{name} was made, and refused");
            }
            "OUTCOME_UNKNOWN" => assert!(outcome.is_some(), "{name}"),
            other => panic!("{name}: {other} {:?}", answer.result),
        }
    }
    // what is recorded as done was done
    for (name, outcome) in outcomes {
        if outcome == "succeeded" {
            assert!(made.iter().any(|it| it == name), "{name} was never made");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_loses_nothing() {
    let mut stage = Stage::start().await;
    let (one, two) = (stage.replica("one"), stage.replica("two"));
    let gateways = [Gateway::start(&one).await, Gateway::start(&two).await];
    let clients = gateways.each_ref().map(Gateway::client);
    let load = Load::start(&clients, &stage.token());
    // a crash of the server, its machine pulling the plug on it, and a quick restart
    for round in 0..4 {
        load.go_on(30).await;
        tokio::task::block_in_place(|| match round {
            0 | 1 => stage.postgres.kill(),
            _ => stage.postgres.stop(),
        });
        for gateway in &gateways {
            becomes(gateway, false).await;
        }
        stage.postgres.start_again().await;
        for gateway in &gateways {
            becomes(gateway, true).await;
        }
    }
    load.go_on(30).await;
    let answers = load.stop().await;
    let failed = answers.iter().filter(|(_, it)| it.result.is_err()).count();
    println!("{} calls, of which {failed} failed", answers.len());
    check(&stage, &answers, &records(&one, &[]));
    stage.verified(&["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_is_not_waited_for() {
    let mut stage = Stage::start().await;
    let url = stage.postgres.url(DATABASE, DATABASE);
    let config = stage.replica_at("one", &url, ", reconnect = \"1s\"");
    let gateway = Gateway::start(&config).await;
    let load = Load::start(&[gateway.client()], &stage.token());
    load.go_on(30).await;
    tokio::task::block_in_place(|| stage.postgres.kill());
    becomes(&gateway, false).await;
    let made = load.made.load(Relaxed);
    // refused at once, before upstream is asked
    let requests = || stage.upstreams.requests().len();
    let client = gateway.client();
    loop {
        let (before, begun) = (requests(), keygate::clock::Clock::system().instant());
        let answer = on(&client, GET, &stage.token(), "no-such-key").await;
        assert_eq!(answer.reason(), "AUDIT_UNAVAILABLE");
        if begun.elapsed() < Duration::from_millis(200) && requests() == before {
            break;
        }
    }
    let ready = Http::new(gateway.http.clone(), Vec::new())
        .get("/readyz")
        .await;
    let told = String::from_utf8_lossy(&ready.body);
    assert!(told.contains("the audit store"), "{told}");
    assert_eq!(
        load.made.load(Relaxed),
        made,
        "a key was made that is not recorded"
    );

    stage.postgres.start_again().await;
    becomes(&gateway, true).await;
    load.go_on(30).await;
    let answers = load.stop().await;
    check(&stage, &answers, &records(&config, &[]));
    stage.verified(&["one"]);
}
