//! What replicas leave to others: intents without a terminal record.
//!
//! A replica that has been away for a while has its open intents ended as `unknown`
//! by another one. If it was only cut off, it comes back with what it knows: its
//! terminal records of these calls then settle what the other could not know.

use std::collections::HashMap;

use super::{Error, Postgres};
use crate::audit::{
    self, Entry, Finding, Kind, Outcome, Record,
    store::{Batch, Remote},
};

impl Postgres {
    /// Sees which open calls have been ended by others.
    pub(super) fn note_ended_by_others(&mut self) -> Result<(), audit::Error> {
        if self.open.is_empty() {
            return Ok(());
        }
        let still = self.view.open_calls(&self.writer.origin)?;
        let ended: Vec<_> = self.open.difference(&still).cloned().collect();
        let ended = self.view.ended(&ended)?;
        for call in ended.keys() {
            self.open.remove(call);
        }
        self.ended_by_others.extend(ended);
        Ok(())
    }

    /// Makes of terminal records of calls that others have ended what settles these.
    pub(super) fn settle_in(&self, batch: &mut Batch) -> Result<(), audit::Error> {
        let settles = |record: &Record| match record.kind {
            Kind::Outcome | Kind::Refused | Kind::Denied => {
                self.ended_by_others.get(&record.call).cloned()
            }
            Kind::Intent | Kind::Reconciled | Kind::Pruned | Kind::Rotated => None,
        };
        if self.ended_by_others.is_empty()
            || !batch.rows.iter().any(|it| settles(&it.record).is_some())
        {
            return Ok(());
        }
        let entries = std::mem::take(&mut batch.rows).into_iter().map(|row| {
            let mut record = row.record;
            if let Some(outcome) = settles(&record) {
                record.kind = Kind::Reconciled;
                record.finding = Some(match record.outcome.take() {
                    Some(Outcome::Succeeded) => Finding::Applied,
                    Some(Outcome::Unknown) => Finding::Ambiguous,
                    Some(Outcome::Rejected | Outcome::NotSent) | None => Finding::NotApplied,
                });
                record.settles = Some(outcome);
            }
            Entry {
                record,
                projections: row.projections,
            }
        });
        let checkpoints = std::mem::take(&mut batch.checkpoints);
        *batch = Batch::new(&self.tree, entries.collect::<Vec<_>>(), checkpoints)?;
        Ok(())
    }

    /// Locks those of other origins that have been away for long enough, and hands
    /// over what they have left open.
    fn take_over(&mut self) -> Result<Vec<Record>, audit::Error> {
        let Some(session) = &self.session else {
            return Ok(Vec::new());
        };
        let (location, mine) = (&self.location, &self.writer.origin);
        let now = self.clock.instant();
        let away = self.driver.run(session.away(location, mine))?;
        let since: HashMap<_, _> = away
            .into_iter()
            .map(|origin| {
                let since = self.away.get(&origin).copied().unwrap_or(now);
                (origin, since)
            })
            .collect();
        self.away = since;
        let gone = self
            .away
            .iter()
            .filter(|(_, since)| now.saturating_duration_since(**since) >= location.take_over);
        let mut left = Vec::new();
        for (origin, _) in gone {
            if !self.driver.run(session.lock(location, origin))? {
                continue;
            }
            self.held.push(origin.clone());
            self.driver.run(session.adopt(location, mine, origin))?;
            let open = self.view.open_intents(origin)?;
            if !open.is_empty() {
                tracing::warn!(
                    origin,
                    intents = open.len(),
                    "another replica is gone, and its open intents are ended here"
                );
            }
            left.extend(open);
        }
        if left.is_empty() {
            self.let_go()?;
        }
        Ok(left)
    }

    /// Unlocks other origins: what they have left is dealt with.
    pub(super) fn let_go(&mut self) -> Result<(), Error> {
        let held = std::mem::take(&mut self.held);
        let Some(session) = &self.session else {
            return Ok(());
        };
        for origin in &held {
            self.away.remove(origin);
            self.driver.run(session.unlock(&self.location, origin))?;
        }
        Ok(())
    }
}

impl Remote for Postgres {
    fn patience(&self) -> std::time::Duration {
        self.location.reconnect
    }

    fn attend(&mut self) -> Result<Vec<Record>, audit::Error> {
        if !self.is_connected() {
            self.reconnect(None)?;
        }
        self.take_over().inspect_err(|_| self.session = None)
    }
}
