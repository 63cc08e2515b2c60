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

mod case;
mod decide;
mod look;
mod open;

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};

use super::{Limits, Setup, changes, revocation::Source, trace::Tracer};
use crate::{
    audit::{self, Entry, Finding, Kind, Owner, Projection},
    call::Ledger,
    policy::Permit,
};
use case::Case;
use decide::Decision;
use look::{Looking, Trouble};
use open::{Group, Open};

/// How far the clocks of upstream and ours may be apart.
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

/// What came of looking for the effect of a call.
struct Settled {
    case: Arc<Case>,
    finding: Finding,
    reason: Option<String>,
    /// The key that was made.
    made: Option<look::Sighting>,
    told: look::Told,
    /// What else it says about the owners of keys.
    removed: Vec<String>,
}

impl Settled {
    fn new(case: &Arc<Case>, finding: Finding, told: &look::Told) -> Self {
        Self {
            case: case.clone(),
            finding,
            reason: None,
            made: None,
            told: told.clone(),
            removed: Vec::new(),
        }
    }

    fn ambiguous(case: &Arc<Case>, reason: impl Into<String>, told: &look::Told) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::new(case, Finding::Ambiguous, told)
        }
    }
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
        let mut attempts = FuturesUnordered::new();
        let (mut asked, mut reviewed): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            let is_over =
                |last: Option<Instant>, after| last.is_none_or(|it| clock.instant() >= it + after);
            if is_over(asked, TICK) {
                let review = is_over(reviewed, REVIEW);
                if !self.learn(&mut open, review).await {
                    return;
                }
                asked = Some(clock.instant());
                reviewed = if review { asked } else { reviewed };
            }
            self.ledger.metrics.unresolved(open.count());
            let setup = self.source.current();
            let ready = open.ready(clock.now(), settling(&setup.limits));
            attempts.extend(
                ready
                    .into_iter()
                    .map(|group| self.attempt(setup.clone(), group)),
            );
            let more = async {
                if open.count() == 0 {
                    // whatever is written may be an outcome that is not known
                    let _ = tokio::time::timeout(REVIEW, head.changed()).await;
                }
                tokio::time::sleep(TICK).await;
            };
            tokio::select! {
                Some((group, attempt)) = attempts.next(), if !attempts.is_empty() => match attempt {
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

    /// Takes in what has come to be unknown. False if nobody can tell.
    async fn learn(&self, open: &mut Open, review: bool) -> bool {
        let after = open.newest().filter(|_| !review);
        match self.ledger.trail.unresolved(after).await {
            Ok(new) => new.into_iter().for_each(|it| {
                let makes = it.outcome.effect.as_deref() == Some("create");
                open.add(Case::new(it), makes);
            }),
            Err(error) => {
                let failed = self.ledger.trail.failure().is_some();
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "calls without a known outcome can't be read"
                );
                return !failed && !matches!(error, audit::Error::ThreadEnded);
            }
        }
        true
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
        let entries = settled.iter().map(|it| self.entry(it)).collect();
        match self.ledger.trail.append_all(entries).await {
            Ok(_) => {
                for it in &settled {
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

    /// What is said of calls whose effects will never be told; `None` as long as
    /// there is hope.
    fn give_up(&self, group: &Group, trouble: Trouble) -> Option<Vec<Settled>> {
        let now = self.ledger.clock.now();
        let reason = match trouble {
            Trouble::Never(reason) => reason,
            Trouble::Refused(reason) if group.due.iter().all(|it| it.unknown + PATIENCE < now) => {
                format!("{reason}, for a whole day")
            }
            Trouble::Refused(_) | Trouble::Unavailable => return None,
        };
        let told = look::Told::default();
        let due = group.due.iter();
        Some(
            due.map(|it| Settled::ambiguous(it, &*reason, &told))
                .collect(),
        )
    }

    /// Looks for the effects of a group of calls.
    async fn find(&self, setup: &Setup, group: &Group) -> Result<Vec<Settled>, Trouble> {
        use super::trace::Trace;
        let case = group.case(0);
        let upstream = case.outcome.upstream.as_deref().unwrap_or_default();
        let never = |reason: &str| Trouble::Never(reason.to_owned());
        let sought = group.sought(upstream);
        let traces = group.cases().filter_map(|case| {
            let tracer = self.tracers.get(case.outcome.rpc.as_deref()?)?;
            (tracer.trace)(&sought)
        });
        let in_place = |it: &Trace| matches!(it, Trace::Made(made) if made.in_place);
        // where one of them may have replaced a key, all are held against that
        let trace = traces.reduce(|one, other| if in_place(&one) { one } else { other });
        let trace = trace.ok_or_else(|| never("this version knows no such operation"))?;
        let client = setup.upstreams.client(upstream).ok_or_else(|| {
            Trouble::Refused("the upstream is not among the configured ones".to_owned())
        })?;
        let looking = Looking {
            ledger: &self.ledger,
            permit: &self.permit,
            client,
            call: &case.outcome.call,
            limit: setup.limits.request_timeout,
        };
        match trace {
            Trace::Untold(reason) => Err(never(reason)),
            Trace::Removed(look) => {
                let (all, told) = looking.all(&look, case.from()).await?;
                let settled = match case.the_one(&all)? {
                    Some(_) => Settled::new(case, Finding::NotApplied, &told),
                    None => Settled {
                        removed: case.identities(),
                        ..Settled::new(case, Finding::Applied, &told)
                    },
                };
                Ok(vec![settled])
            }
            Trace::Changed(look) => {
                let (all, told) = looking.all(&look, case.from()).await?;
                let Some(key) = case.the_one(&all)? else {
                    return Ok(vec![Settled::ambiguous(case, "the key is gone", &told)]);
                };
                let setting = |name: &str| (look.reader.setting)(&key.raw, name);
                let changes = &case.intent().changes;
                let settled = match changes::judge(changes, setting, &self.ledger.trail) {
                    changes::Verdict::Made => Settled::new(case, Finding::Applied, &told),
                    changes::Verdict::NotMade => Settled::new(case, Finding::NotApplied, &told),
                    changes::Verdict::Untold => Settled::ambiguous(
                        case,
                        "the key's settings are neither what they were nor what they were to be, \
                         or do not show",
                        &told,
                    ),
                };
                Ok(vec![settled])
            }
            Trace::Made(made) => {
                let (candidates, told) = looking.candidates(&made, group, upstream).await?;
                let seen: Vec<_> = candidates.iter().map(|it| it.candidate()).collect();
                let decided = decide::made(&group.times(settling(&setup.limits)), &seen);
                let settled = decided.into_iter().map(|(at, decision)| {
                    let case = group.case(at);
                    match decision {
                        Decision::Applied(found) => {
                            let made_here = candidates[found].clone();
                            let removed = if made.in_place {
                                made_here.identities()
                            } else {
                                Vec::new()
                            };
                            Settled {
                                made: Some(made_here),
                                removed,
                                ..Settled::new(case, Finding::Applied, &told)
                            }
                        }
                        Decision::NotApplied => Settled::new(case, Finding::NotApplied, &told),
                        Decision::Ambiguous(reason) => Settled::ambiguous(case, reason, &told),
                    }
                });
                Ok(settled.collect())
            }
        }
    }

    /// The record that says what was found.
    fn entry(&self, settled: &Settled) -> Entry {
        let outcome = &settled.case.outcome;
        let mut record = self.ledger.trail.next(outcome, Kind::Reconciled);
        record.settles = Some(outcome.id.clone());
        record.finding = Some(settled.finding);
        record.reason.clone_from(&settled.reason);
        record.upstream_status = settled.told.status;
        record
            .upstream_request_id
            .clone_from(&settled.told.request_id);
        let upstream = outcome.upstream.clone().unwrap_or_default();
        let resource = record.resource.get_or_insert_default();
        let resource_type = resource.resource_type.clone().unwrap_or_default();
        let removed = settled.removed.iter().map(|id| Projection::Removed {
            upstream: upstream.clone(),
            resource_type: resource_type.clone(),
            id: id.clone(),
        });
        let mut projections: Vec<_> = removed.collect();
        if let Some(made) = &settled.made {
            resource.id.clone_from(&made.found.id);
            let new = made.fingerprints.first();
            let new = new.filter(|it| !record.fingerprints.contains(it));
            record.fingerprints.extend(new);
            let owner = outcome.caller.as_ref().map(|it| Owner {
                issuer: it.issuer.clone(),
                subject: it.subject.clone(),
            });
            projections.extend(owner.into_iter().flat_map(|owner| {
                let ids = made.identities().into_iter();
                ids.map(|id| Projection::Created {
                    upstream: upstream.clone(),
                    resource_type: resource_type.clone(),
                    id,
                    owner: owner.clone(),
                })
                .collect::<Vec<_>>()
            }));
        }
        Entry {
            record,
            projections,
        }
    }
}
