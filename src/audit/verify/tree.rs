//! Grows a tree anew from the records, and holds it against what was signed and
//! what is stored.

use std::collections::{BTreeMap, VecDeque};

use super::{Evidence, Given, Report, Tree, open, reading::StoredTree};
use crate::audit::{
    checkpoint::Checkpoint,
    store::Leaf,
    tree::{Frontier, Hash, STORED_HEIGHT, Subtree},
};

/// A tree that is grown anew.
pub(super) struct Growing<'a> {
    origin: &'a str,
    tree: Frontier,
    /// The tree over the stored hashes, once one of them is another.
    stored: Option<Frontier>,
    /// The place of the next record.
    next: u64,
    /// Whether a record is missing, so that nothing can be said of later roots.
    broken: bool,
    found: Tree,
    /// What is to be compared at which size.
    signed: VecDeque<(Checkpoint, &'static str)>,
    /// Up to here it is what was signed.
    covered: u64,
    /// A root was not the one that was signed: told once.
    differs: bool,
    /// What the roots of complete subtrees may be, by their stored level.
    subtrees: BTreeMap<u32, Vec<Vec<Hash>>>,
    /// The places of leaves asked for by receipts, with the receipts' numbers.
    receipts: BTreeMap<u64, Vec<usize>>,
    evidence: &'a Evidence,
}

impl<'a> Growing<'a> {
    pub(super) fn new(
        stored: &'a StoredTree,
        given: &[Given],
        evidence: &'a Evidence,
        report: &mut Report,
    ) -> Self {
        let origin = stored.origin.as_str();
        let mut signed = Vec::new();
        for note in &stored.checkpoints {
            match open(note, &evidence.keys) {
                Ok(it) => signed.push((it, "checkpoint that is kept beside it")),
                // without a key nobody asked who has signed it
                Err(_) if evidence.keys.is_empty() => {}
                Err(fault) => {
                    let size = Checkpoint::unverified(note).map_or(0, |it| it.size);
                    let what =
                        format!("the checkpoint of {size} records that is kept beside it: {fault}");
                    report.find(origin, None, what);
                }
            }
        }
        let ours = given.iter().filter(|it| it.checkpoint.origin == origin);
        signed.extend(ours.map(|it| (it.checkpoint.clone(), it.kept_as)));
        signed.sort_by_key(|(it, _)| it.size);
        let mut receipts = BTreeMap::<u64, Vec<usize>>::new();
        for (at, receipt) in evidence.receipts.iter().enumerate() {
            if Checkpoint::unverified(&receipt.note).is_ok_and(|it| it.origin == origin) {
                receipts.entry(receipt.index).or_default().push(at);
            }
        }
        let mut growing = Self {
            origin,
            tree: Frontier::default(),
            stored: None,
            next: 0,
            broken: false,
            found: Tree::default(),
            signed: signed.into(),
            covered: 0,
            differs: false,
            subtrees: BTreeMap::new(),
            receipts,
            evidence,
        };
        growing.compare(report);
        growing
    }

    pub(super) fn add(&mut self, leaf: &Leaf<'_>, report: &mut Report) {
        let expected = std::mem::replace(&mut self.next, leaf.index + 1);
        if leaf.index != expected {
            let last = leaf.index.saturating_sub(1);
            let what = if leaf.index < expected {
                "a record has the place of another".to_owned()
            } else if last == expected {
                "this record is missing".to_owned()
            } else {
                format!("the records up to {last} are missing")
            };
            report.find(self.origin, Some(expected.min(leaf.index)), what);
            self.broken = true;
        }
        if self.broken {
            // each by itself can still be looked at
            self.own_hash(leaf, report);
            return;
        }
        let hash = self.own_hash(leaf, report);
        self.receipts(leaf, hash, report);
        let mut completed = Vec::new();
        let mut keep = |it: Subtree| completed.extend(it.stored_level().map(|at| (at, it.hash)));
        let before = (leaf.hash != Some(hash) && self.stored.is_none()).then(|| self.tree.clone());
        self.tree.push(hash, &mut keep);
        self.stored = self.stored.take().or(before);
        if let Some((tree, stored)) = self.stored.as_mut().zip(leaf.hash) {
            tree.push(stored, &mut keep);
        }
        // of each subtree there are as many hashes as there are trees
        for (level, hash) in completed {
            let index = self.tree.size() >> (level * STORED_HEIGHT);
            let index = usize::try_from(index)
                .unwrap_or(usize::MAX)
                .saturating_sub(1);
            let subtrees = self.subtrees.entry(level).or_default();
            if subtrees.len() == index {
                subtrees.push(Vec::with_capacity(1));
            }
            if let Some(hashes) = subtrees.get_mut(index) {
                hashes.push(hash);
            }
        }
        self.compare(report);
    }

    /// The hash of a record's bytes, held against the one that is stored.
    fn own_hash(&mut self, leaf: &Leaf<'_>, report: &mut Report) -> Hash {
        let Some(body) = leaf.body else {
            self.found.pruned += 1;
            return leaf.hash.unwrap_or_else(|| {
                let what = "the bytes of this record were pruned, and its hash is gone";
                report.find(self.origin, Some(leaf.index), what);
                Hash::empty()
            });
        };
        let hash = Hash::leaf(body);
        if leaf.hash != Some(hash) {
            let what = "the bytes of this record are not those that its hash was made of";
            report.find(self.origin, Some(leaf.index), what);
        }
        hash
    }

    fn receipts(&mut self, leaf: &Leaf<'_>, hash: Hash, report: &mut Report) {
        let Some(at) = self.receipts.remove(&leaf.index) else {
            return;
        };
        for receipt in at.iter().filter_map(|it| self.evidence.receipts.get(*it)) {
            let keys = self.evidence.keys.iter();
            let mut verified = keys.map(|key| receipt.verify(hash, key));
            if !verified.any(|it| it.is_ok()) {
                let what = "a receipt proves another record in this place";
                report.find(self.origin, Some(leaf.index), what);
            }
        }
    }

    /// Holds the tree of this size against all that was signed of it.
    fn compare(&mut self, report: &mut Report) {
        while let Some((checkpoint, kept_as)) = self.signed.front() {
            if checkpoint.size > self.tree.size() {
                return;
            }
            // where the stored hashes are what was signed, those records alone were
            // changed whose bytes have another hash: they are told of already
            let stored = self.stored.as_ref().map(Frontier::root);
            if checkpoint.root == self.tree.root() || Some(checkpoint.root) == stored {
                self.found.checkpoints += 1;
                if !self.differs {
                    self.covered = checkpoint.size;
                }
            } else if !self.differs {
                self.differs = true;
                let what = format!(
                    "what is there now was not signed: a {kept_as} of {} records says otherwise; \
                     the records up to {} are as they were signed",
                    checkpoint.size, self.covered
                );
                report.find(self.origin, Some(self.covered), what);
            }
            self.signed.pop_front();
        }
    }

    pub(super) fn finish(mut self, stored: &[Vec<Hash>], report: &mut Report) -> Tree {
        let size = self.next;
        if !self.broken {
            if let Some((checkpoint, kept_as)) = self.signed.back() {
                let what = format!(
                    "the end is cut off: a {kept_as} is of {} records",
                    checkpoint.size
                );
                report.find(self.origin, Some(size), what);
            }
            if let Some((&index, _)) = self.receipts.first_key_value() {
                let what = "a receipt proves this record, and there is none";
                report.find(self.origin, Some(index), what);
            }
            self.compare_stored(stored, report);
            self.found.root = Some(self.tree.root());
        }
        self.found.size = size;
        self.found.covered = self.covered;
        self.found
    }

    fn compare_stored(&self, stored: &[Vec<Hash>], report: &mut Report) {
        let none = Vec::new();
        let levels = self.subtrees.len().max(stored.len());
        for (at, level) in (1..=levels).enumerate() {
            let level = u32::try_from(level).unwrap_or(u32::MAX);
            let grown = self.subtrees.get(&level).unwrap_or(&none);
            let stored = stored.get(at).map_or(&[][..], Vec::as_slice);
            let places = 0..grown.len().max(stored.len());
            let differs = |it: &usize| match (grown.get(*it), stored.get(*it)) {
                (Some(grown), Some(stored)) => !grown.contains(stored),
                _ => true,
            };
            if let Some(first) = places.into_iter().find(differs) {
                let first = (first as u64).saturating_mul(256_u64.saturating_pow(level));
                let what = "a stored hash of the tree is not the one of its records";
                report.find(self.origin, Some(first), what);
                return;
            }
        }
    }
}
