//! Finds out what became of changes whose outcome is not known: after a crash, and
//! after an answer that was lost.
//!
//! Each such call gets one more record, of the kind `reconciled`: applied, not
//! applied, or ambiguous where upstream can't tell. It is asked only when nothing
//! of the call can be under way any more, so that one look decides. What can't be
//! asked now is asked again, for as long as it takes, also after another start.
//! Nothing waits for this, and calls of callers go first.
//!
//! Where to look is told by each operation ([`super::trace`]); requests go the way
//! that all go.

mod attempts;
mod case;
mod decide;
mod find;
mod look;
mod open;
mod others;
mod settled;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;

use super::{Limits, Setup, revocation::Source, trace::Tracer};
use crate::{audit, call::Ledger, policy::Permit};
use attempts::Attempts;
use case::Case;
use look::Trouble;
use open::{Group, Open};
use settled::Settled;

/// How far times may be off that were measured by upstream's clock and by ours.
const SKEW: Duration = Duration::from_secs(5);

/// How long a change takes at most to show, once nobody works on it any more.
const SPREAD: Duration = Duration::from_secs(10);

/// How long it is asked again what upstream answers, but does not tell.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the trail is asked for more.
const TICK: Duration = Duration::from_secs(1);

/// How often it is asked for all, and not for what is new alone: what another
/// replica has left, if it is gone, is not.
const REVIEW: Duration = Duration::from_secs(30);

/// How long after its outcome is known to be unknown a change can be looked for.
///
/// By then whatever was sent has had a call's whole time once more, and so has any
/// other call that may have made a key within the same time: it has its outcome.
fn settling(limits: &Limits) -> Duration {
    limits.request_timeout + SPREAD
}

/// What looks for the effects.
#[derive(Debug)]
pub struct Reconciler {
    ledger: Ledger,
    source: Arc<dyn Source>,
    tracers: HashMap<&'static str, Tracer>,
    permit: Permit,
}

/// What came of looking for the effects of some calls.
enum Attempt {
    /// These records say it.
    Settled(Vec<Settled>),
    /// It has to be tried again.
    Again,
    /// The trail takes no more records.
    Ended,
}

impl Reconciler {
    /// Looks for the effects of these operations. The setup that holds says where
    /// upstreams are.
    pub fn new(
        ledger: Ledger,
        source: Arc<dyn Source>,
        tracers: impl Iterator<Item = &'static Tracer>,
    ) -> Self {
        Self {
            ledger,
            source,
            tracers: tracers.map(|it| (it.method, *it)).collect(),
            permit: Permit::to_reconcile(),
        }
    }

    /// Runs for as long as the trail takes records.
    pub async fn run(self) {
        let clock = &self.ledger.clock;
        let mut open = Open::default();
        let mut head = self.ledger.trail.head();
        let mut attempts = Attempts::new();
        let (mut asked, mut reviewed): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let is_over =
                |last: Option<Instant>, after| last.is_none_or(|it| clock.instant() >= it + after);
            let review = is_over(reviewed, REVIEW);
            if is_over(asked, TICK)
                && (asked.is_none() || review || head.has_changed().unwrap_or(true))
            {
                head.mark_unchanged();
                match attempts.beside(self.learn(&mut open, review)).await {
                    Ok(()) => {
                        asked = Some(clock.instant());
                        reviewed = if review { asked } else { reviewed };
                    }
                    Err(_) if self.ledger.trail.failure().is_some() => return,
                    Err(error) => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "calls without a known outcome can't be read"
                        );
                        asked = None;
                    }
                }
            }
            self.ledger.metrics.unresolved(open.count());
            let setup = self.source.current();
            let ready = open.ready(clock.now(), settling(&setup.limits));
            let ready = ready.into_iter();
            attempts.begin(ready.map(|group| self.attempt(setup.clone(), group)));
            let mut written = head.clone();
            let more = async {
                if open.count() == 0 {
                    // it may be an outcome that is not known
                    let _ = tokio::time::timeout(REVIEW, written.changed()).await;
                }
                tokio::time::sleep(TICK).await;
            };
            tokio::select! {
                Some((group, attempt)) = attempts.next() => match attempt {
                    Attempt::Settled(settled) => {
                        open.settle(&group, settled.iter().map(|it| it.case.position));
                    }
                    Attempt::Again => open.postpone(&group, clock.now(), &self.ledger.random),
                    Attempt::Ended => return,
                },
                () = more => {}
            }
        }
    }

    /// Takes in what has come to be unknown.
    async fn learn(&self, open: &mut Open, review: bool) -> Result<(), audit::Error> {
        let after = open.newest().filter(|_| !review);
        for new in self.ledger.trail.unresolved(after).await? {
            let makes = new.outcome.effect.as_deref() == Some("create");
            open.add(Case::new(new), makes);
        }
        Ok(())
    }

    /// Looks for the effects of a group of calls, and writes down what is found.
    async fn attempt(&self, setup: Arc<Setup>, group: Group) -> (Group, Attempt) {
        // one that can't be dealt with must not keep others from being told
        let found = AssertUnwindSafe(self.find(&setup, &group)).catch_unwind();
        let found = found.await.unwrap_or_else(|_| {
            tracing::error!(
                call = group.case(0).outcome.call,
                "looking for an effect panicked"
            );
            Err(Trouble::Unavailable)
        });
        let settled = match found {
            Ok(settled) => settled,
            Err(trouble) => match self.give_up(&group, trouble) {
                Some(settled) => settled,
                None => return (group, Attempt::Again),
            },
        };
        // while this one was cut off, another replica may have done it
        let trail = &self.ledger.trail;
        let at = settled.iter().map(|it| it.case.position).collect();
        let still = match trail.still_unresolved(at).await {
            Ok(still) => still,
            Err(_) if trail.failure().is_some() => return (group, Attempt::Ended),
            Err(_) => return (group, Attempt::Again),
        };
        let own = settled
            .iter()
            .filter(|it| still.contains(&it.case.position));
        let own: Vec<_> = own.collect();
        if own.is_empty() {
            return (group, Attempt::Settled(settled));
        }
        let entries = own.iter().map(|it| self.entry(it)).collect();
        match trail.append_all(entries).await {
            Ok(_) => {
                for it in own {
                    self.ledger.metrics.reconciled(it.finding);
                    tracing::info!(
                        call = it.case.outcome.call,
                        rpc = it.case.outcome.rpc,
                        finding = it.finding.name(),
                        reason = it.reason,
                        "reconciled"
                    );
                }
                (group, Attempt::Settled(settled))
            }
            // the store may come back
            Err(audit::Error::Away(_)) => (group, Attempt::Again),
            Err(_) => (group, Attempt::Ended),
        }
    }
}
