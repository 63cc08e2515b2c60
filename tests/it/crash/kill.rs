//! SIGKILL at any moment, hundreds of times, on one trail.

use std::time::Duration;

use keygate::{clock::Clock, random::Random};

use super::{below, books::Books, callers::Callers, seeded, setting};
use crate::support::{
    gateway::{Client, Process},
    serve::{Setup, until},
    served::{MAIN, SANDBOX_POLICY},
    upstreams::{Place, Upstreams},
};

/// How many calls are under way at once.
const CALLERS: usize = 64;

/// How many kills are as many as anyone waits for; `.ci/run` asks for more.
const ROUNDS: u64 = 40;

/// After how many kills the vendors are new ones: they remember everything.
const GENERATION: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_loses_what_anyone_was_told() {
    let rounds = setting("KEYGATE_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("KEYGATE_CRASH_SEED").unwrap_or_else(|| below(&Random::system(), 1000));
    println!(
        "{rounds} kills from seed {seed}: KEYGATE_CRASH_ROUNDS and KEYGATE_CRASH_SEED set them"
    );
    let started = Clock::system().instant();
    let random = seeded(seed);
    let setup = Setup::new("", "").await;
    let without = std::fs::read_to_string(setup.config()).unwrap();
    setup.write("policy.toml", SANDBOX_POLICY);
    let trail = setup.folder.path().join("trail.db");
    let callers = Callers::new(setup.token());
    let (mut books, mut told, mut early) = (Books::default(), 0, 0);
    let mut upstreams = Upstreams::start(Place::everywhere(MAIN)).await;
    let config = |it: &Upstreams| setup.write("keygate.toml", &format!("{without}{}", it.config));
    config(&upstreams);
    for round in 0..=rounds {
        if below(&random, 5) == 0 {
            // while it starts, and writes what the last kill has left open
            early += 1;
            kill_at_start(&setup, &random).await;
        }
        let mut gateway = setup.serve().await;
        books.read(&trail);
        let answers = callers.told();
        books.tell(&answers);
        books.compare(&upstreams);
        told += answers.len();
        if round == rounds {
            break; // what the last kill has left was the last to be looked at
        }
        if round % GENERATION == GENERATION - 1 {
            gateway.process.kill();
            books.turn();
            callers.forget();
            upstreams = Upstreams::start(Place::everywhere(MAIN)).await;
            config(&upstreams);
            gateway = setup.serve().await;
        }
        let address = gateway.grpc;
        let calls = callers.start(CALLERS, |_| Client::new(address), &random);
        let enough = usize::try_from(below(&random, 250)).unwrap();
        until("so many answers", || {
            (callers.count() >= enough).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_micros(below(&random, 5_000))).await;
        gateway.process.kill();
        calls.join_all().await;
    }
    println!(
        "{} kills under load and {early} at the start in {:?}: {told} answers, {} records, outcomes {:?}",
        rounds,
        started.elapsed(),
        books.len(),
        books.outcomes,
    );
    assert!(books.outcomes["succeeded"] > 0);
    assert!(
        books.outcomes["unknown"] > 0,
        "no kill has met a change under way"
    );
}

/// Kills a server before, or just when, it serves.
async fn kill_at_start(setup: &Setup, random: &Random) {
    let config = setup.config();
    let mut process = Process::start(&["serve", "--config", config.to_str().unwrap()]);
    tokio::time::sleep(Duration::from_micros(below(random, 150_000))).await;
    process.kill();
}
