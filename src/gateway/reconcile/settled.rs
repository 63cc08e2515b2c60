//! What was found out of a call, and the record that says it.

use std::sync::Arc;

use super::{Reconciler, case::Case, look};
use crate::audit::{Entry, Finding, Fingerprint, Kind, Owner, Projection};

/// What came of looking for the effect of a call.
pub(super) struct Settled {
    pub(super) case: Arc<Case>,
    pub(super) finding: Finding,
    pub(super) reason: Option<String>,
    /// The key that was made.
    pub(super) made: Option<look::Sighting>,
    pub(super) told: look::Told,
    /// The fingerprint of the key's value, where that shows.
    pub(super) shown: Option<Fingerprint>,
    /// What else it says about the owners of keys.
    pub(super) removed: Vec<String>,
}

impl Settled {
    pub(super) fn new(case: &Arc<Case>, finding: Finding, told: &look::Told) -> Self {
        Self {
            case: case.clone(),
            finding,
            reason: None,
            made: None,
            shown: None,
            told: told.clone(),
            removed: Vec::new(),
        }
    }

    pub(super) fn ambiguous(
        case: &Arc<Case>,
        reason: impl Into<String>,
        told: &look::Told,
    ) -> Self {
        Self {
            reason: Some(reason.into()),
            ..Self::new(case, Finding::Ambiguous, told)
        }
    }
}

impl Reconciler {
    /// The record that says what was found.
    pub(super) fn entry(&self, settled: &Settled) -> Entry {
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
        let shown = settled.shown;
        let new = shown.filter(|it| !record.fingerprints.contains(it));
        record.fingerprints.extend(new);
        if let Some(made) = &settled.made {
            resource.id.clone_from(&made.found.id);
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
