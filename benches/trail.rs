//! What it costs to search a large trail, by `cargo bench --bench trail`.
//!
//! It fills a trail with as many records as `KEYGATE_BENCH_RECORDS` says (200,000;
//! the target is about 10,000,000), half of them under one fingerprint key and half
//! under the next. Then it asks as an investigator would, with the program itself. It
//! ends with 1 if a leaked key is not found in time. `KEYGATE_BENCH_FOLDER` keeps the
//! trail there, and takes one that is there.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it is a program for the person who reads its figures"
)]

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant, SystemTime},
};

use keygate::{
    audit::{
        Caller, Entry, Kind, Location, Mandate, Outcome, Peer, Reader, Resource, Settings, Trail,
    },
    clock::{Clock, Source},
    random::Random,
};

/// What a search for a leaked key may take.
const TARGET: Duration = Duration::from_secs(1);

/// The leaked key, and how many records have it.
const LEAKED: &str = "0123456789abcdef0123456789abcdef";
const TIMES: u64 = 40;

/// How many keys all the other records are about.
const KEYS: u64 = 200_000;

/// How many records are appended in one piece.
const PIECE: u64 = 20_000;

/// A clock that goes 100 ms a record, so that a trail has a history.
#[derive(Clone)]
struct History(std::sync::Arc<std::sync::atomic::AtomicU64>, SystemTime);

impl Source for History {
    fn now(&self) -> SystemTime {
        let passed = self.0.fetch_add(100, std::sync::atomic::Ordering::Relaxed);
        self.1 + Duration::from_millis(passed)
    }

    fn instant(&self) -> Instant {
        Clock::system().instant()
    }
}

/// A record as calls leave them: every fourth is about a key, and has its fingerprint.
fn record(trail: &Trail, at: u64, all: u64) -> Entry {
    let mut record = trail.record(Kind::Outcome, "");
    record.call.clone_from(&record.id);
    record.request_id = Some(record.id.clone());
    record.outcome = Some(Outcome::Succeeded);
    record.caller = Some(Caller {
        issuer: "https://issuer.example".to_owned(),
        subject: format!("system:serviceaccount:team-{}:api", at % 500),
        claims: vec!["admin".to_owned()],
        token_id: None,
    });
    record.peer = Some(Peer {
        address: "192.0.2.7:4711".to_owned(),
        certificate: None,
    });
    let about_a_key = at % 4 == 0;
    let (rpc, effect) = match about_a_key {
        true => ("GetApiKey", "reveal"),
        false => ("ListApiKeys", "read"),
    };
    record.rpc = Some(format!("keygate.datadog.v2.ApiKeyService/{rpc}"));
    record.effect = Some(effect.to_owned());
    record.permission = Some("api_keys_read".to_owned());
    record.rule = Some("grants[0] roles.admin".to_owned());
    record.upstream = Some("datadog/us1/main".to_owned());
    record.code = Some("OK".to_owned());
    record.upstream_status = Some(200);
    record.duration_us = Some(1234);
    if about_a_key {
        // in an order that no index likes
        let key = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS;
        let leaked = at % (all / TIMES / 4 * 4) == 0 && at / (all / TIMES / 4 * 4) < TIMES;
        let secret = match leaked {
            true => LEAKED.to_owned(),
            false => format!("secret-{key}"),
        };
        record.fingerprints = vec![trail.fingerprint(&secret)];
        record.resource = Some(Resource {
            resource_type: Some("api_key".to_owned()),
            id: Some(format!("{key:08x}-0000-4000-8000-000000000000")),
            ..Resource::default()
        });
    }
    Entry::from(record)
}

async fn fill(settings: &Settings, count: u64) {
    let begun = Clock::system().instant();
    let start = Clock::system().now() - Duration::from_millis(100 * count);
    let clock = Clock::from_source(History(std::sync::Arc::default(), start));
    let mut at = 0;
    for end in [count / 2, count] {
        let trail = Trail::open(settings, clock.clone(), Random::system()).unwrap();
        while at < end {
            let piece = at..(at + PIECE).min(end);
            at = piece.end;
            let entries = piece.map(|it| record(&trail, it, count)).collect();
            trail.append_all(entries).await.unwrap();
            if at % (50 * PIECE) == 0 {
                println!("  {at} records after {:.0?}", begun.elapsed());
            }
        }
        if end < count {
            let mandate = Mandate {
                caller: None,
                rule: "a bench".to_owned(),
            };
            trail.rotate_fingerprint_key(mandate).await.unwrap();
        }
        trail.close().await.unwrap();
    }
    let took = begun.elapsed();
    println!(
        "filled with {count} records in {took:.0?}: {:.0} a second",
        count as f64 / took.as_secs_f64()
    );
}

/// Runs `keygate audit list`. How many records it finds, and how long it takes.
fn list(store: &str, args: &[&str], input: &str) -> (u64, Duration) {
    let begun = Clock::system().instant();
    let mut child = Command::new(env!("CARGO_BIN_EXE_keygate"))
        .args(["audit", "list", "--limit", "1000000", "--store", store])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let took = begun.elapsed();
    assert!(output.status.success());
    let lines = output.stdout.iter().filter(|it| **it == b'\n').count();
    (lines as u64, took)
}

fn size(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    files.map(|it| it.unwrap().metadata().unwrap().len()).sum()
}

fn main() -> ExitCode {
    let count = env::var("KEYGATE_BENCH_RECORDS").map_or(200_000, |it| it.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let folder = env::var_os("KEYGATE_BENCH_FOLDER");
    let folder = folder.map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let store = format!("sqlite:{}", folder.join("trail.db").display());
    let settings = Settings::at(store.parse::<Location>().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    if !folder.join("trail.db").exists() {
        runtime.block_on(fill(&settings, count));
    }
    let there = Reader::open(&settings).unwrap().end().unwrap().0;
    println!("{there} records, {} MB", size(&folder) / 1_000_000);
    let id = format!("{:08x}-0000-4000-8000-000000000000", 4242);
    let mut missed = false;
    let questions: [(&str, &[&str], &str); 6] = [
        ("a leaked key", &["--secret", "-"], LEAKED),
        (
            "a leaked key, as it was pasted",
            &["--secret", "-"],
            &format!("DD-API-KEY: '{LEAKED}'\n"),
        ),
        ("no such key", &["--secret", "-"], "nobody's"),
        ("a resource", &["--resource", &id], ""),
        (
            "a subject, an hour",
            &[
                "--subject",
                "system:serviceaccount:team-7:api",
                "--since",
                "1h",
            ],
            "",
        ),
        (
            "a pattern, an hour",
            &["--subject", "*team-7:*", "--since", "1h"],
            "",
        ),
    ];
    for (what, args, input) in questions {
        let times = (0..5)
            .map(|_| list(&store, args, input))
            .collect::<Vec<_>>();
        let slowest = times.iter().map(|it| it.1).max().unwrap_or_default();
        println!(
            "{what}: {} records, {:.1?} (the slowest of 5)",
            times[0].0, slowest
        );
        if what.contains("leaked") {
            let right = times.iter().all(|it| it.0 == TIMES) && slowest < TARGET;
            missed |= !right;
        }
    }
    if missed {
        println!("a leaked key was not found as it should be, in {TARGET:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
