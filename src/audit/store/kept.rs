//! What stores keep, as it is read.

use crate::audit::{Position, tree::Hash};

/// A record as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Kept {
    pub(in crate::audit) position: Position,
    pub(in crate::audit) origin: String,
    pub(in crate::audit) index: u64,
    pub(in crate::audit) leaf: Hash,
    pub(in crate::audit) body: Vec<u8>,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Place {
    pub(in crate::audit) origin: String,
    pub(in crate::audit) index: u64,
    pub(in crate::audit) leaf: Hash,
}

/// A leaf of a tree as a store keeps it.
#[derive(Clone, Copy, Debug)]
pub(in crate::audit) struct Leaf<'a> {
    pub(in crate::audit) position: Position,
    pub(in crate::audit) index: u64,
    /// The kept hash; `None` if what is kept is no hash.
    pub(in crate::audit) hash: Option<Hash>,
    /// The record's bytes; `None` if they were pruned.
    pub(in crate::audit) body: Option<&'a [u8]>,
    /// What is kept beside the record, to find it by.
    pub(in crate::audit) columns: Columns<'a>,
}

/// What stores keep beside a record's bytes, to find it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Columns<'a> {
    pub(in crate::audit) time: i64,
    pub(in crate::audit) call: &'a str,
    /// `None` if it is the call's id.
    pub(in crate::audit) request_id: Option<&'a str>,
    pub(in crate::audit) kind: &'a str,
    pub(in crate::audit) subject: Option<&'a str>,
    pub(in crate::audit) resource_id: Option<&'a str>,
}

/// The times of [`SPAN`] neighbouring records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Span {
    /// Which ones: the position of the first, divided by their number.
    pub(in crate::audit) number: u64,
    /// In nanoseconds since 1970.
    pub(in crate::audit) earliest: i64,
    pub(in crate::audit) latest: i64,
}

/// How many records are in a span.
pub(in crate::audit) const SPAN: u64 = 256;

impl Span {
    /// That of one record alone.
    pub(in crate::audit) fn of(position: Position, time: i64) -> Self {
        Self {
            number: position.0 / SPAN,
            earliest: time,
            latest: time,
        }
    }

    /// Adds another of the same records.
    pub(in crate::audit) fn add(&mut self, other: Self) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
    }
}

/// In SQL, the first record that may be of a time or later, by a table of spans; the
/// time stands in it as `?`.
pub(in crate::audit) fn since(spans: &str) -> String {
    let never = i64::MAX;
    format!(
        "coalesce((SELECT number * {SPAN} FROM {spans}
             WHERE latest >= ? ORDER BY number LIMIT 1), {never})"
    )
}

/// The same, behind the last record that may be before a time.
pub(in crate::audit) fn until(spans: &str) -> String {
    format!(
        "coalesce((SELECT (number + 1) * {SPAN} FROM {spans}
             WHERE earliest < ? ORDER BY number DESC LIMIT 1), 0)"
    )
}

/// The kinds of records that tell of the trail itself, as SQL has them. They stay.
pub(in crate::audit) const UPKEEP: &str = "'pruned', 'rotated'";

/// A key and its maker as a store keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) struct KeptKey {
    pub(in crate::audit) upstream: String,
    pub(in crate::audit) resource_type: String,
    pub(in crate::audit) id: String,
    pub(in crate::audit) issuer: String,
    pub(in crate::audit) subject: String,
    /// The record that says so.
    pub(in crate::audit) position: Position,
}
