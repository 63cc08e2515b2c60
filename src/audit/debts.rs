//! What the trail owes: an outcome for every intent that is written.

use std::collections::HashMap;

use super::{
    Entry, Kind,
    store::{Batch, Debt, Row, Step},
};

/// The calls that are owed an outcome: their intents are written.
#[derive(Debug, Default)]
pub(super) struct Debts {
    calls: HashMap<String, Debt>,
    total: Debt,
}

impl Debts {
    /// What is owed now.
    pub(super) fn total(&self) -> Debt {
        self.total
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// What is owed when this is written; what it pays is counted all the same.
    pub(super) fn with(&self, batch: &Batch) -> Debt {
        let mut total = self.total;
        let opening = batch.rows.iter().filter(|it| it.step() == Step::Opens);
        opening.for_each(|row| total.add(row));
        total
    }

    /// It is written.
    pub(super) fn written(&mut self, batch: &Batch) {
        for row in &batch.rows {
            match row.step() {
                Step::Opens => {
                    let call = row.record.call.clone();
                    self.calls.entry(call).or_default().add(row);
                    self.total.add(row);
                }
                Step::Ends | Step::EndsUnknown => {
                    if let Some(paid) = self.calls.remove(&row.record.call) {
                        self.total.records -= paid.records;
                        self.total.bytes -= paid.bytes;
                    }
                }
                Step::Settles | Step::None => {}
            }
        }
    }

    /// Whether these are all owed.
    pub(super) fn covers(&self, entries: &[Entry]) -> bool {
        let mut calls = entries.iter().map(|it| &it.record);
        calls.all(|it| it.kind != Kind::Intent && self.calls.contains_key(&it.call))
    }
}

impl Debt {
    fn add(&mut self, row: &Row) {
        self.records += 1;
        self.bytes += row.body.len() as u64;
    }
}
