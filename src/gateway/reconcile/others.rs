//! What other calls did to the key that a call was about, as the trail tells.

use std::collections::{HashMap, HashSet};

use super::{
    case::{self, Case},
    look::{Looking, Trouble},
};
use crate::audit::{Filter, Finding, Kind, Outcome, Query, Record};

/// Other calls that changed the very key, or may have.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// They have not ended.
    under_way: Vec<Record>,
    /// They ended while the call was under way, or since.
    since: Vec<Record>,
    /// They had ended before it began, and did it.
    before: Vec<Record>,
    /// They had ended before it began, and may have done it.
    perhaps_before: Vec<Record>,
}

impl Others {
    /// Whether any of another effect than this may have changed the key meanwhile.
    pub(super) fn may_have_since(&self, but_for: &str) -> Result<bool, Trouble> {
        let is_other = |it: &Record| it.effect.as_deref() != Some(but_for);
        if self.under_way.iter().any(is_other) {
            // that will be known soon
            return Err(Trouble::Unavailable);
        }
        Ok(self.since.iter().any(is_other))
    }

    /// Whether the key had been removed before.
    pub(super) fn had_removed(&self) -> bool {
        self.before.iter().any(removes)
    }

    /// The same as far as that is known.
    pub(super) fn may_have_removed(&self) -> bool {
        self.perhaps_before.iter().any(removes)
    }

    /// Whether one may have changed the key before to what this was to make of it.
    pub(super) fn may_have_made(&self, change: &Record) -> bool {
        let sets_all = |other: &Record| {
            change.changes.iter().all(|it| {
                let mut sets = other.changes.iter();
                sets.any(|other| (&other.setting, &other.to) == (&it.setting, &it.to))
            })
        };
        self.perhaps_before.iter().any(sets_all)
    }
}

fn removes(record: &Record) -> bool {
    record.effect.as_deref() == Some("delete")
}

impl Looking<'_> {
    /// The other calls that changed the very key, or may have. It is asked after
    /// upstream was: whatever shows there had its intent before.
    pub(super) async fn others(&self, case: &Case) -> Result<Others, Trouble> {
        let (id, fingerprints) = match case.id() {
            Some(id) => (Some(id.to_owned()), None),
            None => (None, Some(case.outcome.fingerprints.clone())),
        };
        let query = Query {
            filter: Filter {
                upstream: case.outcome.upstream.clone(),
                kinds: vec![Kind::Intent, Kind::Outcome, Kind::Reconciled],
                resource_type: Some(case.resource_type().to_owned()),
                resource_id: id,
                fingerprints,
                ..Filter::default()
            },
            ..Query::default()
        };
        let (call, begun) = (case.outcome.call.clone(), case.begun);
        let others = self.ledger.trail.read(move |reader| {
            let mut others = Others::default();
            let (mut ended, mut found) = (HashSet::new(), HashMap::new());
            // the newest first: what was found out, the outcome, the intent
            for stored in reader.records(query) {
                let record = stored?.record;
                let is_change = !matches!(record.effect.as_deref(), Some("read" | "reveal"));
                if !is_change || record.call == call {
                    continue;
                }
                match (record.kind, record.outcome) {
                    (Kind::Reconciled, _) => found.extend(record.settles.zip(record.finding)),
                    (Kind::Intent, _) => {
                        if !ended.contains(&record.call) {
                            others.under_way.push(record);
                        }
                    }
                    (_, outcome) => {
                        ended.insert(record.call.clone());
                        let is_before = case::time(&record) < begun;
                        let list = match (outcome, found.get(&record.id)) {
                            (Some(Outcome::Succeeded | Outcome::Unknown), _) if !is_before => {
                                &mut others.since
                            }
                            (Some(Outcome::Succeeded), _)
                            | (Some(Outcome::Unknown), Some(Finding::Applied)) => {
                                &mut others.before
                            }
                            (Some(Outcome::Unknown), None | Some(Finding::Ambiguous)) => {
                                &mut others.perhaps_before
                            }
                            _ => continue,
                        };
                        list.push(record);
                    }
                }
            }
            Ok(others)
        });
        others.await.map_err(|_| Trouble::Unavailable)
    }
}
