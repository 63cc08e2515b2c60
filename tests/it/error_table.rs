//! The table of errors: every RPC of the contract under every condition that
//! applies to it. The right code and reason, and exactly one terminal record.
//!
//! The RPCs come from the descriptor: a new one is covered, or fails until
//! [`method`] says which conditions apply to it.

mod bench;
mod condition;
mod expected;
mod gone;
mod look;
mod method;
mod panics;
mod quota;

use std::collections::HashMap;

use futures_util::future::join_all;

use crate::support::gateway::Answer;
use bench::Bench;
use condition::Condition;
use expected::{Expected, internals, records_of};
use method::Method;

#[tokio::test]
async fn every_rpc_answers_every_condition_by_the_table_and_leaves_one_terminal_record() {
    let methods = method::all();
    let mut bench = Bench::start(&methods).await;
    let mut cells = Vec::new();
    for condition in Condition::all() {
        let asked = methods.iter();
        let asked = asked.filter_map(|it| Some((it, expected::of(it, condition)?)));
        let mut calls = Vec::new();
        for (method, expected) in asked {
            let request = bench.prepare(method, condition).await;
            calls.push((method, expected, request));
        }
        // what changes something may read something before
        let (changes, reads): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|(it, ..)| it.is_mutation());
        for calls in [reads, changes] {
            bench.fault(calls.iter().map(|(it, ..)| *it), |it| condition.fault(it));
            let answers = calls.into_iter().map(|(method, expected, request)| {
                let client = bench.client.clone();
                async move {
                    let answer = client.send(&method.name, request).await;
                    (method, condition, expected, answer)
                }
            });
            cells.extend(join_all(answers).await);
            bench.fault([], |_| None);
        }
    }
    let changes = methods.iter().filter(|it| it.is_mutation()).count();
    for fault in ["reset_before_response", "hang"] {
        let mut hit = bench.hit_by(fault);
        hit.retain(|it| it != "GET");
        assert_eq!(hit.len(), changes, "{fault}: a change was sent again");
    }
    let records = records_of(bench.end().await);
    let mut problems = Vec::new();
    for (method, condition, expected, answer) in &cells {
        let id = condition::request_id(*condition, method);
        let records = records.get(&id).map_or(&[][..], Vec::as_slice);
        let of_cell = expected
            .problems_of_answer(method, &id, answer)
            .into_iter()
            .chain(expected.problems_of_records(method, records))
            .chain(condition.problems_of_details(method, answer, records))
            .chain(answer.result.as_ref().err().and_then(internals));
        problems.extend(of_cell.map(|it| format!("{id}: {it}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    every_rpc_was_asked(&methods, &cells);
}

type Cell<'a> = (&'a Method, Condition, Expected, Answer);

/// No RPC slips through for want of a condition.
fn every_rpc_was_asked(methods: &[Method], cells: &[Cell<'_>]) {
    let mut counts = HashMap::new();
    for (method, ..) in cells {
        *counts.entry(&method.name).or_insert(0) += 1;
    }
    let conditions = Condition::all().len();
    for method in methods {
        let count = counts.get(&method.name).copied().unwrap_or(0);
        let least = method.local().map_or(conditions, <[_]>::len);
        assert_eq!(count, least, "{}", method.name);
    }
}
