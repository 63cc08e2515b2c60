//! Clients that go away after the request has reached upstream.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use super::{
    bench::{BRIEF, Bench},
    expected::{End, Expected, records_of},
    method::{self, Method},
};
use crate::support::{
    gateway::{PATIENCE, is_terminal},
    served::MAIN,
};

#[tokio::test]
async fn a_call_whose_client_went_away_is_brought_to_an_end_and_recorded() {
    let methods = method::all();
    let bench = Bench::start(&methods).await;
    let asking = methods.into_iter().filter(|it| it.route.is_some());
    let (changes, reads): (Vec<_>, Vec<_>) = asking.partition(Method::is_mutation);
    // upstream says nothing more, or makes the change after all; what changes
    // something may read something before, which nothing stands in the way of
    let (never, late) = (json!({ "hang": true }), json!({ "delay_ms": 500 }));
    go_away(&bench, "never", &reads, &never, "hang").await;
    go_away(&bench, "never", &changes, &never, "hang").await;
    go_away(&bench, "late", &changes, &late, "delay").await;

    let unanswered = reads.iter().chain(&changes);
    let unanswered = unanswered.map(|it| (request_id("never", it), it, lost(it)));
    let made = changes
        .iter()
        .map(|it| (request_id("late", it), it, made()));
    let cells: Vec<_> = unanswered.chain(made).collect();
    let ids: Vec<_> = cells.iter().map(|(id, ..)| id.as_str()).collect();
    all_ended(&bench, &ids).await;
    let records = records_of(bench.end().await);
    let problems = cells.iter().flat_map(|(id, method, expected)| {
        let problems = expected.problems_of_records(method, &records[id]);
        problems.into_iter().map(move |it| format!("{id}: {it}"))
    });
    let problems: Vec<_> = problems.collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn request_id(answer: &str, method: &Method) -> String {
    format!("{answer}.{}", method.name)
}

/// What is recorded when upstream does not answer. A read ends with its client;
/// a change goes on for as long as upstream is given.
fn lost(method: &Method) -> Expected {
    if method.is_mutation() {
        Expected::new("UNKNOWN", "OUTCOME_UNKNOWN", End::Outcome("unknown"))
    } else {
        Expected::new("CANCELLED", "CANCELLED", End::Outcome("unknown"))
    }
}

/// What is recorded when upstream makes the change after the client has gone.
fn made() -> Expected {
    Expected {
        upstream: Some(200..=204),
        ..Expected::new("OK", "", End::Outcome("succeeded"))
    }
}

/// Calls them all, and drops the calls once upstream has received them.
async fn go_away(bench: &Bench, answer: &str, methods: &[Method], fault: &Json, name: &str) {
    let place = if answer == "never" { BRIEF } else { MAIN };
    let mut calls = Vec::new();
    for method in methods {
        let key = bench.key(method, place).await;
        let id = request_id(answer, method);
        calls.push((method, bench.call(method, &key, place, &id)));
    }
    let before = bench.hit_by(name).len();
    bench.fault(methods, |_| Some(json!({ "fault": fault })));
    let calls = calls.into_iter().map(|(method, request)| {
        let client = bench.client.clone();
        async move { client.send(&method.name, request).await }
    });
    let received = async {
        while bench.hit_by(name).len() < before + methods.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = join_all(calls) => panic!("all were answered before upstream had received all"),
        () = received => {}
    }
    bench.fault([], |_| None);
}

/// Waits until each of the calls has ended.
async fn all_ended(bench: &Bench, ids: &[&str]) {
    let ended = async {
        loop {
            let records = records_of(bench.served.records());
            let ended = |id: &&&str| {
                let records = records.get(**id).map_or(&[][..], Vec::as_slice);
                records.iter().any(is_terminal)
            };
            if ids.iter().filter(ended).count() == ids.len() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("a call has no end");
}
