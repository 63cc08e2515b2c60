//! Calls that go on while something changes under them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::task::JoinSet;

use crate::support::{gateway::Client, serve::until};

/// What calls can tell of when they were made: a number that the test moves on.
#[derive(Clone, Default)]
pub(super) struct Moment(Arc<AtomicUsize>);

impl Moment {
    pub(super) fn now(&self) -> usize {
        self.0.load(SeqCst)
    }

    pub(super) fn pass(&self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What became of a call.
#[derive(Clone, Debug)]
pub(super) struct Called {
    /// The moments when it began and ended.
    pub(super) from: usize,
    pub(super) to: usize,
    /// `OK`, or the error's reason.
    pub(super) result: String,
}

/// Callers that call the same method again and again.
pub(super) struct Steady {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    callers: JoinSet<Vec<Called>>,
}

impl Steady {
    /// So many callers, one after the other on each of these connections.
    pub(super) fn start(
        clients: &[Client],
        callers: usize,
        method: &'static str,
        token: &str,
        moment: &Moment,
    ) -> Self {
        let mut steady = Self {
            stop: Arc::default(),
            done: Arc::default(),
            callers: JoinSet::new(),
        };
        for at in 0..callers {
            let client = clients[at % clients.len()].clone();
            let (token, moment) = (token.to_owned(), moment.clone());
            let (stop, done) = (steady.stop.clone(), steady.done.clone());
            let request = client.request(method, "k");
            steady.callers.spawn(async move {
                let mut calls = Vec::new();
                while !stop.load(SeqCst) {
                    let from = moment.now();
                    let answer = client.call(method, Some(&token), &request).await;
                    let result = match (answer.code(), answer.reason()) {
                        ("OK", _) => "OK".to_owned(),
                        // the transport's own errors have no reason
                        (code, reason) if reason.is_empty() => {
                            format!("{code}: {:?}", answer.result)
                        }
                        (_, reason) => reason,
                    };
                    let to = moment.now();
                    calls.push(Called { from, to, result });
                    done.fetch_add(1, SeqCst);
                }
                calls
            });
        }
        steady
    }

    /// Waits until so many more calls have been made.
    pub(super) async fn go_on(&self, calls: usize) {
        let before = self.done.load(SeqCst);
        let done = || (self.done.load(SeqCst) >= before + calls).then_some(());
        until("calls go on", done).await;
    }

    /// Ends the calls, and tells what became of them.
    pub(super) async fn stop(self) -> Vec<Called> {
        self.stop.store(true, SeqCst);
        let all = self.callers.join_all().await;
        all.into_iter().flatten().collect()
    }
}

/// How many calls had each result.
pub(super) fn counted(calls: &[Called]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for call in calls {
        *counted.entry(call.result.as_str()).or_default() += 1;
    }
    counted
}

/// All of them succeeded.
#[track_caller]
pub(super) fn all_right(calls: &[Called]) {
    let counted = counted(calls);
    assert!(counted.keys().eq(["OK"].iter()), "{counted:?}");
}
