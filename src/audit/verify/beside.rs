//! What is kept beside the records, held against what they say: who owns which key,
//! what is open, and what records are found by.
//!
//! None of it is signed. Who changed it would change what callers may do, or hide
//! records from whoever searches.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
};

use super::{Report, reading::KeptBeside, said::Said};
use crate::audit::{
    Kind, Position,
    store::{
        KeptKey, Leaf, Span, Step,
        terms::{FINGERPRINT, Indexed},
    },
};

/// A sum over terms in any order. Two are the same if the same were added,
/// as nobody knows beforehand how they are hashed.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    hashers: [RandomState; 2],
    sum: [u64; 2],
    count: u64,
}

impl Sum {
    pub(super) fn new() -> Self {
        Self {
            hashers: [RandomState::new(), RandomState::new()],
            sum: [0; 2],
            count: 0,
        }
    }

    pub(super) fn add(&mut self, kind: char, term: &str, position: Position) {
        for (sum, hasher) in self.sum.iter_mut().zip(&self.hashers) {
            *sum = sum.wrapping_add(hasher.hash_one((kind, term, position)));
        }
        self.count += 1;
    }

    fn is(&self, other: &Self) -> bool {
        self.sum == other.sum && self.count == other.count
    }
}

/// What is kept beside the records, and what they said so far.
pub(super) struct Beside {
    keys: HashMap<Position, Vec<KeptKey>>,
    /// All of them, hashed as nobody knows beforehand.
    owned: HashSet<u64>,
    kept_open: BTreeSet<(String, Position)>,
    kept_unresolved: BTreeSet<Position>,
    open: HashMap<String, Vec<Position>>,
    unresolved: HashMap<String, Position>,
    /// Calls that ended in a tree that was read before the one that they began in:
    /// of a replica that another one has ended for.
    ended: HashSet<String>,
    settled: HashSet<String>,
    indexed: Indexed,
    terms: Sum,
    kept_spans: Vec<Span>,
    spans: BTreeMap<u64, Span>,
    /// The ids of all records, hashed as nobody knows beforehand: none may come twice.
    ids: HashSet<u64>,
    hasher: RandomState,
}

impl Beside {
    pub(super) fn new(kept: KeptBeside) -> Self {
        let hasher = RandomState::new();
        let mut keys = HashMap::<_, Vec<_>>::new();
        let mut owned = HashSet::with_capacity(kept.keys.len());
        for key in kept.keys {
            owned.insert(hasher.hash_one((&*key.upstream, &*key.resource_type, &*key.id)));
            keys.entry(key.position).or_default().push(key);
        }
        Self {
            keys,
            owned,
            kept_open: kept.open.into_iter().collect(),
            kept_unresolved: kept.unresolved.into_iter().collect(),
            open: HashMap::new(),
            unresolved: HashMap::new(),
            ended: HashSet::new(),
            settled: HashSet::new(),
            indexed: kept.indexed,
            terms: kept.terms,
            kept_spans: kept.spans,
            spans: BTreeMap::new(),
            ids: HashSet::new(),
            hasher,
        }
    }

    pub(super) fn add(&mut self, origin: &str, leaf: &Leaf<'_>, report: &mut Report) {
        let keys = self.keys.remove(&leaf.position).unwrap_or_default();
        let span = Span::of(leaf.position, leaf.columns.time);
        self.spans.entry(span.number).or_insert(span).add(span);
        // what a pruned record said is gone
        let Some(body) = leaf.body else { return };
        let mut find = |what: &str| report.find(origin, Some(leaf.index), what);
        let Some(said) = Said::read(body) else {
            find("this record can't be read");
            return;
        };
        if !said.fits(&leaf.columns) {
            find("what this record is found by is not what it says");
        }
        for key in &keys {
            let upstream = said.upstream.as_deref() == Some(&key.upstream);
            let resource = said.resource.as_ref();
            let resource_type = resource.and_then(|it| it.resource_type.as_deref());
            if !(upstream
                && resource_type == Some(&key.resource_type)
                && said.made(&key.issuer, &key.subject, &key.id))
            {
                find("a key is kept as somebody's own by this record, which does not say so");
            }
        }
        if let Some(made) = said.made_key()
            && !self.owned.contains(&self.hasher.hash_one(made))
        {
            find("this record says who made a key, which is kept as nobody's");
        }
        let (fingerprints, columns) = match self.indexed {
            Indexed::Fingerprints => (true, false),
            Indexed::Before(end) => (leaf.position.0 < end, leaf.position.0 < end),
        };
        if fingerprints {
            for fingerprint in said.fingerprints.iter().collect::<BTreeSet<_>>() {
                self.terms.add(FINGERPRINT, fingerprint, leaf.position);
            }
        }
        if columns {
            for (kind, term) in leaf.columns.terms() {
                self.terms.add(kind, term, leaf.position);
            }
        }
        if !self.ids.insert(self.hasher.hash_one(&*said.id)) {
            find("this record is there twice");
        }
        self.step(&said, leaf.position);
    }

    fn step(&mut self, said: &Said<'_>, position: Position) {
        match said.step() {
            Step::Opens => {
                let call = said.call.clone().into_owned();
                self.open.entry(call).or_default().push(position);
            }
            Step::Ends => self.end(said),
            Step::EndsUnknown => {
                self.end(said);
                let id = said.id.clone().into_owned();
                self.unresolved.insert(id, position);
            }
            Step::Settles => {
                let settled = said.settles.as_deref().unwrap_or_default();
                if self.unresolved.remove(settled).is_none() {
                    self.settled.insert(settled.to_owned());
                }
            }
            Step::None => {}
        }
    }

    fn end(&mut self, said: &Said<'_>) {
        if self.open.remove(&*said.call).is_none() && said.kind == Kind::Outcome {
            self.ended.insert(said.call.clone().into_owned());
        }
    }

    pub(super) fn finish(self, terms: &Sum, report: &mut Report) {
        const WHERE: &str = "beside the records";
        let mut left: Vec<_> = self.keys.into_keys().collect();
        left.sort_unstable();
        if let Some(first) = left.first() {
            let what = format!(
                "a key is kept as somebody's own by a record that is not there, position {first}"
            );
            report.find(WHERE, None, what);
        }
        let (ended, settled) = (self.ended, self.settled);
        let calls = self.open.into_iter().filter(|(it, _)| !ended.contains(it));
        let open = calls.flat_map(|(call, all)| all.into_iter().map(move |it| (call.clone(), it)));
        if open.collect::<BTreeSet<_>>() != self.kept_open {
            let what = "the calls that are kept as open are not those that are";
            report.find(WHERE, None, what);
        }
        let unresolved = self.unresolved.into_iter();
        let unresolved = unresolved.filter(|(it, _)| !settled.contains(it));
        let unresolved: BTreeSet<_> = unresolved.map(|(_, at)| at).collect();
        if unresolved != self.kept_unresolved {
            let what = "the calls that are kept as unresolved are not those that are";
            report.find(WHERE, None, what);
        }
        if !self.kept_spans.into_iter().eq(self.spans.into_values()) {
            let what = "the times that records are found by are not those of the records";
            report.find(WHERE, None, what);
        }
        if !self.terms.is(terms) {
            let what = "the terms that records are found by are not those in the records";
            report.find(WHERE, None, what);
        }
    }
}
