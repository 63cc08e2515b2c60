//! Looks for the effects of a group of calls, and decides.

use std::{sync::Arc, time::Duration};

use super::{
    PATIENCE, Reconciler,
    case::Case,
    decide::{self, Decision},
    look::{self, Looking, Trouble},
    open::Group,
    settled::Settled,
    settling,
};
use crate::{
    audit::Finding,
    gateway::{
        Setup,
        changes::{self, Verdict},
        trace::{Look, Made, Trace},
    },
};

impl Reconciler {
    /// What is said of calls whose effects will never be told; `None` as long as
    /// there is hope.
    pub(super) fn give_up(&self, group: &Group, trouble: Trouble) -> Option<Vec<Settled>> {
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
    pub(super) async fn find(&self, setup: &Setup, group: &Group) -> Result<Vec<Settled>, Trouble> {
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
            Trace::Removed(look) => removed(&looking, case, &look).await,
            Trace::Changed(look) => changed(&looking, case, &look).await,
            Trace::Made(made) => {
                let spell = settling(&setup.limits);
                self::made(&looking, group, &made, upstream, spell).await
            }
        }
    }
}

/// Another call may have done it, or undone it.
const SINCE: &str = "another call has changed the key at the same time or since";

/// Another call may have done it.
const BEFORE: &str = "another call whose outcome is unknown may have done the same before";

async fn removed(
    looking: &Looking<'_>,
    case: &Arc<Case>,
    look: &Look,
) -> Result<Vec<Settled>, Trouble> {
    let (all, told) = looking.all(look, case.from()).await?;
    if case.the_one(&all)?.is_some() {
        return Ok(vec![Settled::new(case, Finding::NotApplied, &told)]);
    }
    // no update removes it
    let others = looking.others(case).await?;
    let settled = if others.may_have_since("update")? {
        Settled::ambiguous(case, SINCE, &told)
    } else if others.had_removed() {
        Settled::new(case, Finding::NotApplied, &told)
    } else if others.may_have_removed() {
        Settled::ambiguous(case, BEFORE, &told)
    } else {
        Settled {
            removed: case.identities(),
            ..Settled::new(case, Finding::Applied, &told)
        }
    };
    Ok(vec![settled])
}

async fn changed(
    looking: &Looking<'_>,
    case: &Arc<Case>,
    look: &Look,
) -> Result<Vec<Settled>, Trouble> {
    let (all, told) = looking.all(look, case.from()).await?;
    let Some(key) = case.the_one(&all)? else {
        return Ok(vec![Settled::ambiguous(case, "the key is gone", &told)]);
    };
    // it is there, so nobody has removed it
    let others = looking.others(case).await?;
    if others.may_have_since("delete")? {
        return Ok(vec![Settled::ambiguous(case, SINCE, &told)]);
    }
    let setting = |name: &str| (look.reader.setting)(&key.raw, name);
    let intent = case.intent();
    let settled = match changes::judge(&intent.changes, setting, &looking.ledger.trail) {
        Verdict::Made if others.may_have_made(intent) => Settled::ambiguous(case, BEFORE, &told),
        Verdict::Made => Settled {
            shown: key.fingerprints.first().copied(),
            ..Settled::new(case, Finding::Applied, &told)
        },
        Verdict::NotMade => Settled::new(case, Finding::NotApplied, &told),
        Verdict::Untold => {
            let reason = "the key's settings are neither what they were nor what they were to be, \
                or do not show";
            Settled::ambiguous(case, reason, &told)
        }
    };
    Ok(vec![settled])
}

async fn made(
    looking: &Looking<'_>,
    group: &Group,
    made: &Made,
    upstream: &str,
    settling: Duration,
) -> Result<Vec<Settled>, Trouble> {
    let (candidates, told) = looking.candidates(made, group, upstream).await?;
    let there: Vec<_> = candidates.iter().map(look::Sighting::candidate).collect();
    let decided = decide::made(&group.times(settling), &there);
    let settled = decided.into_iter().map(|(at, decision)| {
        let case = group.case(at);
        let found = match decision {
            Decision::Applied(found) => candidates[found].clone(),
            Decision::NotApplied => return Settled::new(case, Finding::NotApplied, &told),
            Decision::Ambiguous(reason) => return Settled::ambiguous(case, reason, &told),
        };
        Settled {
            removed: if made.in_place {
                found.identities()
            } else {
                Vec::new()
            },
            shown: found.fingerprints.first().copied(),
            made: Some(found),
            ..Settled::new(case, Finding::Applied, &told)
        }
    });
    Ok(settled.collect())
}
