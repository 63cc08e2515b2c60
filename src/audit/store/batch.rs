//! What is written in one piece, and what its records mean for their calls.

use zeroize::Zeroizing;

use crate::audit::{
    Entry, Error, Fingerprint, Kind, Outcome, Position, Projection, Record,
    checkpoint::Signed,
    record,
    tree::{Frontier, Hash, Subtree},
};

/// What is written in one piece.
#[derive(Debug, Default)]
pub(in crate::audit) struct Batch {
    /// The records, in their order.
    pub(in crate::audit) rows: Vec<Row>,
    /// The subtrees to be stored that they complete.
    pub(in crate::audit) subtrees: Vec<Subtree>,
    /// Checkpoints that were made since the batch before.
    pub(in crate::audit) checkpoints: Vec<Signed>,
    /// Records of which nothing is to stay but their hashes.
    pub(in crate::audit) removals: Vec<Removal>,
    /// A key that fingerprints are made with from here on, and its version.
    pub(in crate::audit) fingerprint_key: Option<(u32, Zeroizing<[u8; 32]>)>,
    /// The tree with all of them in it.
    pub(in crate::audit) tree: Frontier,
    /// The outcomes that are to come when it is written.
    pub(in crate::audit) debt: Debt,
    /// Whether all of it was owed, and has its room already.
    pub(in crate::audit) is_owed: bool,
}

/// Outcomes of which the intents are written: there has to be room for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Debt {
    /// How many.
    pub(in crate::audit) records: u64,
    /// How much their intents say, in bytes.
    pub(in crate::audit) bytes: u64,
}

/// A record of which nothing is to stay but its hash, its time, its kind and the id
/// of its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::audit) struct Removal {
    pub(in crate::audit) position: Position,
    /// What it is found by.
    pub(in crate::audit) fingerprints: Vec<Fingerprint>,
}

/// A record on its way into a store.
#[derive(Debug)]
pub(in crate::audit) struct Row {
    /// Its place in the tree.
    pub(in crate::audit) index: u64,
    /// Its hash there.
    pub(in crate::audit) leaf: Hash,
    /// Its time, in nanoseconds since 1970.
    pub(in crate::audit) time: i64,
    /// What it says.
    pub(in crate::audit) record: Record,
    /// Its exact bytes.
    pub(in crate::audit) body: Vec<u8>,
    /// What it says about owners of keys.
    pub(in crate::audit) projections: Vec<Projection>,
}

/// What a record means for the call that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Step {
    /// The call has no terminal record yet.
    Opens,
    /// It has one.
    Ends,
    /// It has one that says that nobody knows what it did.
    EndsUnknown,
    /// What was not known is known now, as far as it will ever be.
    Settles,
    /// Nothing was ever open.
    None,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            record: row.record,
            projections: row.projections,
        }
    }
}

impl Step {
    /// What a record of this kind, effect and outcome means for its call. Calls that
    /// change nothing are never open.
    pub(in crate::audit) fn of(kind: Kind, effect: Option<&str>, outcome: Option<Outcome>) -> Self {
        let changes = !matches!(effect, Some("read" | "reveal"));
        match kind {
            Kind::Intent => Self::Opens,
            Kind::Reconciled => Self::Settles,
            Kind::Pruned | Kind::Rotated => Self::None,
            _ if !changes => Self::None,
            Kind::Outcome if outcome == Some(Outcome::Unknown) => Self::EndsUnknown,
            Kind::Outcome | Kind::Denied | Kind::Refused => Self::Ends,
        }
    }
}

impl Row {
    /// What it means for its call.
    pub(in crate::audit) fn step(&self) -> Step {
        let record = &self.record;
        Step::of(record.kind, record.effect.as_deref(), record.outcome)
    }
}

impl Batch {
    /// Makes entries ready to be written behind this tree.
    pub(in crate::audit) fn new(
        tree: &Frontier,
        entries: impl IntoIterator<Item = Entry>,
        checkpoints: Vec<Signed>,
    ) -> Result<Self, Error> {
        let mut batch = Self {
            checkpoints,
            tree: tree.clone(),
            ..Self::default()
        };
        for Entry {
            mut record,
            projections,
        } in entries
        {
            let body = record.encode().map_err(Error::Encode)?;
            let (index, leaf) = (batch.tree.size(), Hash::leaf(&body));
            let subtrees = &mut batch.subtrees;
            batch.tree.push(leaf, |it| {
                if it.stored_level().is_some() {
                    subtrees.push(it);
                }
            });
            batch.rows.push(Row {
                index,
                leaf,
                time: record::nanoseconds(&record.time),
                record,
                body,
                projections,
            });
        }
        Ok(batch)
    }
}
