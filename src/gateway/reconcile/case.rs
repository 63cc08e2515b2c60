//! One call of which nobody knows what it did.

use std::time::SystemTime;

use super::{
    SKEW,
    look::{Sighting, Trouble},
};
use crate::{
    audit::{Position, Record, Unresolved},
    json,
};

/// One call, or what it did to one of its keys.
#[derive(Debug)]
pub(super) struct Case {
    /// Where its outcome is.
    pub(super) position: Position,
    intent: Option<Record>,
    /// The outcome `unknown`.
    pub(super) outcome: Record,
    /// When it began.
    pub(super) begun: SystemTime,
    /// When its outcome was unknown.
    pub(super) unknown: SystemTime,
}

impl Case {
    pub(super) fn new(unresolved: Unresolved) -> Self {
        let Unresolved {
            position,
            intent,
            outcome,
        } = unresolved;
        let unknown = time(&outcome);
        let begun = intent.as_ref().map_or(unknown, time).min(unknown);
        Self {
            position,
            intent,
            outcome,
            begun,
            unknown,
        }
    }

    /// The record of what was to be done.
    pub(super) fn intent(&self) -> &Record {
        self.intent.as_ref().unwrap_or(&self.outcome)
    }

    /// When it can have had an effect, at the earliest.
    pub(super) fn from(&self) -> SystemTime {
        self.begun - SKEW
    }

    /// The same, at the latest.
    pub(super) fn to(&self) -> SystemTime {
        self.unknown + SKEW
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.outcome.resource.as_ref()?.id.as_deref()
    }

    /// The name that the call gave, as far as the trail has it.
    pub(super) fn name(&self) -> Option<&str> {
        self.outcome.resource.as_ref()?.name.as_deref()
    }

    pub(super) fn parent(&self) -> Option<&str> {
        self.outcome.resource.as_ref()?.parent.as_deref()
    }

    pub(super) fn resource_type(&self) -> &str {
        let resource = self.outcome.resource.as_ref();
        resource
            .and_then(|it| it.resource_type.as_deref())
            .unwrap_or_default()
    }

    /// What the trail knows the key by that it is about.
    pub(super) fn identities(&self) -> Vec<String> {
        match self.id() {
            Some(id) => vec![id.to_owned()],
            None => {
                let fingerprints = self.outcome.fingerprints.iter();
                fingerprints.map(ToString::to_string).collect()
            }
        }
    }

    /// The key that it is about, among those that were seen.
    pub(super) fn the_one<'s>(
        &self,
        seen: &'s [Sighting],
    ) -> Result<Option<&'s Sighting>, Trouble> {
        let found = match self.id() {
            Some(id) => {
                if seen.iter().any(|it| it.found.id.is_none()) {
                    return Err(Trouble::unreadable());
                }
                let mut seen = seen.iter();
                seen.find(|it| it.found.id.as_deref() == Some(id))
            }
            None if self.outcome.fingerprints.is_empty() => {
                let reason = "the record does not name the key";
                return Err(Trouble::Never(reason.to_owned()));
            }
            None => {
                let known = &self.outcome.fingerprints;
                let is_it = |it: &&Sighting| it.fingerprints.iter().any(|it| known.contains(it));
                let found = seen.iter().find(is_it);
                if found.is_none() && seen.iter().any(|it| it.fingerprints.is_empty()) {
                    let reason = "upstream does not show the values of all keys";
                    return Err(Trouble::Never(reason.to_owned()));
                }
                found
            }
        };
        Ok(found)
    }
}

/// A record's time.
pub(super) fn time(record: &Record) -> SystemTime {
    let read = json::timestamp(&record.time).map(|(time, _)| SystemTime::try_from(time));
    // it wrote the time itself
    read.and_then(Result::ok).unwrap_or(SystemTime::UNIX_EPOCH)
}
