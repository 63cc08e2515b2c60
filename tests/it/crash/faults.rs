//! The disk fails at each of its operations, or the trail's files are taken away:
//! nothing is done that is not written down, and everyone is told.
//!
//! What is done to the disk is counted beforehand, without a fault; then each of
//! these operations is made to fail, every one in a gateway of its own.

mod ending;
mod serving;
mod starting;
mod taken;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use keygate::random::Random;
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    below,
    bench::{Bench, CREATE},
    callers::{Callers, Told},
    setting,
};
use crate::support::{
    disk::{Errno, Fault, Operation, Part, Seen},
    serve::{Gateway, until},
    upstreams::{inject, requests},
};

/// How an operation fails.
const ERRORS: &[Errno] = &[Errno::Eio, Errno::Enospc, Errno::Erofs];

/// In how many ways each operation is made to fail where somebody waits; `.ci/run` asks
/// for more. Which ones, goes by turns.
const WAYS: u64 = 1;

/// Gateways at once.
const AT_ONCE: usize = 8;

/// How often something is tried whose timing the machine decides about.
const TRIES: usize = 20;

/// What changes files.
const CHANGES: [Operation; 5] = [
    Operation::Write,
    Operation::Sync,
    Operation::Truncate,
    Operation::Allocate,
    Operation::Unlink,
];

/// One operation fails, once.
fn once(operation: Operation, part: Part, error: Errno) -> Fault {
    Fault {
        operations: vec![operation],
        parts: vec![part],
        at: 1,
        error,
        lasting: false,
    }
}

/// How many of these operations there were on each part between two looks.
fn between(before: &Seen, after: &Seen, of: &[Operation]) -> Seen {
    let all = after
        .iter()
        .map(|(which, count)| (*which, count - before[which]));
    all.filter(|((operation, _), count)| of.contains(operation) && *count > 0)
        .collect()
}

/// Counts what is done to the disk, until it has come out the same twice.
async fn counted(when: &str, count: impl AsyncFn() -> Seen) -> Seen {
    let mut all: Vec<Seen> = Vec::new();
    for _ in 0..TRIES {
        let next = count().await;
        if all.contains(&next) {
            return next;
        }
        all.push(next);
    }
    panic!("{when}: it never comes out the same: {all:#?}")
}

/// Makes each of the operations that were counted fail, with these errors by turns, and
/// in every other round of them so that all later ones fail as well. A case says whether
/// it came to that; none may be left out.
async fn each(when: &str, counted: &Seen, errors: &[Errno], case: impl AsyncFn(&Fault) -> bool) {
    let ways = setting("KEYGATE_FAULTS").unwrap_or(WAYS);
    let seed = setting("KEYGATE_CRASH_SEED").unwrap_or_else(|| below(&Random::system(), 1000));
    println!(
        "{when}: {counted:?}, {ways} ways from seed {seed}: KEYGATE_FAULTS and KEYGATE_CRASH_SEED set them"
    );
    let fault = |(operation, part), at, turn: u64| Fault {
        operations: vec![operation],
        parts: vec![part],
        at,
        error: errors[turn as usize % errors.len()],
        lasting: turn / errors.len() as u64 % 2 == 1,
    };
    let faults = counted.iter().flat_map(|(&which, &count)| {
        let all = (1..=count).flat_map(move |at| (0..ways).map(move |way| (at, way)));
        all.map(move |(at, way)| fault(which, at, at + seed + way))
    });
    let (case, again) = (&case, &AtomicUsize::new(0));
    let failed = stream::iter(faults).map(|fault| async move {
        for _ in 0..TRIES {
            let came = AssertUnwindSafe(case(&fault)).catch_unwind().await;
            match came {
                Ok(true) => return (fault.operations[0], fault.parts[0], fault.at),
                Ok(false) => again.fetch_add(1, Relaxed),
                Err(panic) => {
                    println!("{when}, seed {seed}: {fault:?}");
                    resume_unwind(panic)
                }
            };
        }
        panic!("{when}: it never came to {fault:?}")
    });
    let failed: Vec<_> = failed.buffer_unordered(AT_ONCE).collect().await;
    println!(
        "{when}: {} faults, {} of them tried again",
        failed.len(),
        again.load(Relaxed)
    );
    let mut covered: BTreeMap<(Operation, Part), Vec<u64>> = BTreeMap::new();
    for (operation, part, at) in failed {
        covered.entry((operation, part)).or_default().push(at);
    }
    covered.values_mut().for_each(|it| {
        it.sort_unstable();
        it.dedup();
    });
    let wanted = counted
        .iter()
        .map(|(which, &count)| (*which, (1..=count).collect()));
    assert_eq!(
        covered,
        wanted.collect(),
        "{when}: not everything has failed"
    );
}

/// Begins changes that upstream makes at once and tells of as much later as this says,
/// one each, and waits until all are made, or were refused.
async fn under_way(
    bench: &Bench,
    gateway: &Gateway,
    callers: &std::sync::Arc<Callers>,
    late_ms: &[u64],
) -> JoinSet<()> {
    let site = bench.upstreams.at("datadog/us1/main");
    let before = requests(site).len();
    let mut all = JoinSet::new();
    for (at, late) in late_ms.iter().enumerate() {
        let route = "POST /api/v2/api_keys";
        let fault = json!({ "delay_ms": late });
        inject(
            site,
            json!({ "route": route, "count": 1, "apply": true, "fault": fault }),
        );
        let (callers, client) = (callers.clone(), gateway.client());
        let call = all.spawn(async move {
            callers.make(&client, CREATE).await;
        });
        until("it is under way, or refused", || {
            let known = requests(site).len() > before + at || call.is_finished();
            known.then_some(())
        })
        .await;
    }
    all
}

/// Nobody was told anything else than that it is done, that it could not be recorded,
/// or that nobody knows; and in time.
#[track_caller]
fn are_fair(bench: &Bench, answers: &[Told], logged: &str) {
    for one in answers {
        let may_be = ["", "AUDIT_UNAVAILABLE", "OUTCOME_UNKNOWN"];
        assert!(may_be.contains(&one.reason.as_str()), "{one:?}: {logged}");
        // the callers give 20 seconds
        let took = one.took.saturating_sub(bench.stalls.total());
        assert!(took.as_secs() < 5, "{one:?}: {logged}");
    }
}

/// What of it was a success.
fn done(answers: Vec<Told>) -> Vec<Told> {
    let done = answers.into_iter().filter(|it| it.code == "OK");
    done.collect()
}
