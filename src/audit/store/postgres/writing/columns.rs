//! A batch as statements take it: column by column.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{super::text::kept, Parameter};
use crate::audit::{
    Projection,
    store::{Batch, Step},
};

/// A batch, column by column.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) leaves: Vec<&'a [u8]>,
    pub(super) times: Vec<i64>,
    pub(super) calls: Vec<Cow<'a, str>>,
    pub(super) request_ids: Vec<Option<Cow<'a, str>>>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) subjects: Vec<Option<Cow<'a, str>>>,
    pub(super) resource_ids: Vec<Option<Cow<'a, str>>>,
    pub(super) bodies: Vec<&'a [u8]>,
    pub(super) fingerprints: (Vec<String>, Vec<i64>),
    pub(super) opened: (Vec<Cow<'a, str>>, Vec<i64>),
    pub(super) ended: Vec<Cow<'a, str>>,
    pub(super) unresolved: (Vec<Cow<'a, str>>, Vec<i64>),
    pub(super) settled: Vec<Cow<'a, str>>,
    pub(super) subtrees: (Vec<i32>, Vec<i64>, Vec<&'a [u8]>),
    pub(super) checkpoints: (Vec<i64>, Vec<&'a str>),
    pub(super) pruned: Vec<i64>,
    pub(super) forgotten: (Vec<String>, Vec<i64>),
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let mut all = Self::default();
        let mut opened: Vec<(&str, i64)> = Vec::new();
        let mut ended = HashSet::new();
        for (at, row) in (0_i64..).zip(&batch.rows) {
            let said = &row.record;
            all.leaves.push(&row.leaf.0);
            all.times.push(row.time);
            all.calls.push(kept(&said.call));
            all.request_ids.push(said.request_id.as_deref().map(kept));
            all.kinds.push(said.kind.name());
            all.subjects.push(row.columns().subject.map(kept));
            all.resource_ids.push(row.columns().resource_id.map(kept));
            all.bodies.push(&row.body);
            for fingerprint in &said.fingerprints {
                all.fingerprints.0.push(fingerprint.to_string());
                all.fingerprints.1.push(at);
            }
            let step = row.step();
            match step {
                Step::Opens => opened.push((&said.call, at)),
                Step::Ends | Step::EndsUnknown => {
                    opened.retain(|(call, _)| *call != said.call);
                    if ended.insert(&said.call) {
                        all.ended.push(kept(&said.call));
                    }
                }
                Step::Settles => all.settled.extend(said.settles.as_deref().map(kept)),
                Step::None => {}
            }
            if step == Step::EndsUnknown {
                all.unresolved.0.push(kept(&said.id));
                all.unresolved.1.push(at);
            }
        }
        for (call, at) in opened {
            all.opened.0.push(kept(call));
            all.opened.1.push(at);
        }
        for subtree in &batch.subtrees {
            let level = subtree.stored_level().unwrap_or_default();
            all.subtrees.0.push(level.cast_signed());
            all.subtrees.1.push(subtree.index.cast_signed());
            all.subtrees.2.push(&subtree.hash.0);
        }
        for signed in &batch.checkpoints {
            all.checkpoints.0.push(signed.checkpoint.size.cast_signed());
            all.checkpoints.1.push(&signed.note);
        }
        for removal in &batch.removals {
            let position = removal.position.0.cast_signed();
            all.pruned.push(position);
            for fingerprint in &removal.fingerprints {
                all.forgotten.0.push(fingerprint.to_string());
                all.forgotten.1.push(position);
            }
        }
        all
    }
}

/// Keys that were made or removed, each once: a statement changes a row but once.
#[derive(Default)]
pub(super) struct Round<'a> {
    pub(super) created: Created<'a>,
    pub(super) removed: Removed<'a>,
}

#[derive(Default)]
pub(super) struct Created<'a>([Vec<Cow<'a, str>>; 5], Vec<i64>);

#[derive(Default)]
pub(super) struct Removed<'a>([Vec<Cow<'a, str>>; 3], Vec<i64>);

impl Created<'_> {
    pub(super) fn any(&self) -> bool {
        !self.1.is_empty()
    }

    pub(super) fn parameters<'p>(&'p self, count: &'p i64) -> [Parameter<'p>; 7] {
        let Self([upstream, kind, id, issuer, subject], at) = self;
        [count, upstream, kind, id, issuer, subject, at]
    }
}

impl Removed<'_> {
    pub(super) fn any(&self) -> bool {
        !self.1.is_empty()
    }

    pub(super) fn parameters<'p>(&'p self, count: &'p i64) -> [Parameter<'p>; 5] {
        let Self([upstream, kind, id], at) = self;
        [count, upstream, kind, id, at]
    }
}

/// What a batch says about keys, in rounds that follow each other: what is said of
/// one key stays in its order.
pub(super) fn rounds(batch: &Batch) -> Vec<Round<'_>> {
    let mut rounds: Vec<Round<'_>> = Vec::new();
    let mut said: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for (at, row) in (0_i64..).zip(&batch.rows) {
        for projection in &row.projections {
            let (Projection::Created {
                upstream,
                resource_type,
                id,
                ..
            }
            | Projection::Removed {
                upstream,
                resource_type,
                id,
            }) = projection;
            let times = said.entry((upstream, resource_type, id)).or_default();
            if rounds.len() == *times {
                rounds.push(Round::default());
            }
            let round = &mut rounds[*times];
            *times += 1;
            let key = [upstream, resource_type, id].map(|it| kept(it));
            if let Projection::Created { owner, .. } = projection {
                let [upstream, kind, id] = key;
                let row = [
                    upstream,
                    kind,
                    id,
                    kept(&owner.issuer),
                    kept(&owner.subject),
                ];
                for (column, value) in round.created.0.iter_mut().zip(row) {
                    column.push(value);
                }
                round.created.1.push(at);
            } else {
                for (column, value) in round.removed.0.iter_mut().zip(key) {
                    column.push(value);
                }
                round.removed.1.push(at);
            }
        }
    }
    rounds
}
