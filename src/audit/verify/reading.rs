//! Reads a trail for the verifier: on a thread of its own, and from one state of
//! it, while a server may write on.

use std::{
    cell::Cell,
    str,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use super::beside::Sum;
use crate::audit::{
    Error, Position, Settings,
    store::{self, Columns, KeptKey, Leaf, Span, View, terms::Indexed},
    tree::{Hash, STORED_HEIGHT},
};

/// How many records go from one thread to the other at once.
const CHUNK: usize = 512;

/// How many chunks may wait.
pub(super) const AHEAD: usize = 32;

/// What the verifier is handed, in this order.
enum Item {
    Begun(Begun),
    /// Records of the tree that is being read.
    Records(Chunk),
    /// The tree was read; its stored subtrees, by their level from 1 on.
    Subtrees(Vec<Vec<Hash>>),
    /// All terms that are kept apart.
    Terms(Sum),
}

/// What is known before the first record is read.
pub(super) struct Begun {
    pub(super) trees: Vec<StoredTree>,
    pub(super) beside: KeptBeside,
}

/// What the store tells of what it keeps beside the records.
pub(super) struct KeptBeside {
    pub(super) keys: Vec<KeptKey>,
    pub(super) open: Vec<(String, Position)>,
    pub(super) unresolved: Vec<Position>,
    pub(super) spans: Vec<Span>,
    /// Which terms are kept apart.
    pub(super) indexed: Indexed,
    /// A sum of nothing, to add those of records to.
    pub(super) terms: Sum,
}

/// A tree as the store tells of it.
pub(super) struct StoredTree {
    pub(super) origin: String,
    pub(super) size: u64,
    /// The notes of checkpoints, the smallest first.
    pub(super) checkpoints: Vec<String>,
}

/// A trail that is being read.
pub(super) struct Reading {
    items: Receiver<Result<Item, Error>>,
    /// What came after the last chunk of a tree.
    subtrees: Cell<Option<Vec<Vec<Hash>>>>,
    thread: JoinHandle<()>,
}

impl Reading {
    pub(super) fn start(settings: &Settings) -> Result<Self, Error> {
        let view = store::view(settings)?;
        let (send, items) = sync_channel(AHEAD);
        let thread = thread::Builder::new()
            .name("audit-verify".to_owned())
            .spawn(move || {
                if let Err(error) = read(&*view, &send) {
                    // whoever verifies may have given up
                    let _ = send.send(Err(error));
                }
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            items,
            subtrees: Cell::new(None),
            thread,
        })
    }

    fn next(&self) -> Result<Item, Error> {
        self.items.recv().map_err(|_| Error::ThreadEnded)?
    }

    pub(super) fn begun(&self) -> Result<Begun, Error> {
        match self.next()? {
            Item::Begun(begun) => Ok(begun),
            _ => Err(Error::ThreadEnded),
        }
    }

    /// The next records of the tree; `None` if it has no more.
    pub(super) fn chunk(&self) -> Result<Option<Chunk>, Error> {
        match self.next()? {
            Item::Records(chunk) => Ok(Some(chunk)),
            Item::Subtrees(subtrees) => {
                self.subtrees.set(Some(subtrees));
                Ok(None)
            }
            _ => Err(Error::ThreadEnded),
        }
    }

    /// The stored subtrees of the tree that was read.
    pub(super) fn subtrees(&self) -> Vec<Vec<Hash>> {
        self.subtrees.take().unwrap_or_default()
    }

    /// All terms that are kept apart; the last that there is.
    pub(super) fn terms(self) -> Result<Sum, Error> {
        let item = self.next()?;
        // it has nothing left to do, and its panic would have been an error above
        let _ = self.thread.join();
        match item {
            Item::Terms(sum) => Ok(sum),
            _ => Err(Error::ThreadEnded),
        }
    }
}

type Send = SyncSender<Result<Item, Error>>;

fn read(view: &dyn View, send: &Send) -> Result<(), Error> {
    // nobody takes what is sent any more: no error of the trail
    let hand = |item| send.send(Ok(item)).is_ok();
    view.freeze()?;
    let sum = Sum::new();
    let mut trees = Vec::new();
    for (origin, size) in view.origins()? {
        let checkpoints = view.checkpoints(&origin)?;
        trees.push(StoredTree {
            checkpoints: checkpoints.into_iter().map(|(_, note)| note).collect(),
            origin,
            size,
        });
    }
    let origins: Vec<_> = trees.iter().map(|it| it.origin.clone()).collect();
    let unresolved = view.unresolved(None)?;
    hand(Item::Begun(Begun {
        trees,
        beside: KeptBeside {
            keys: view.keys()?,
            open: view.open()?,
            unresolved: unresolved.iter().map(|it| it.position).collect(),
            spans: view.spans()?,
            indexed: view.indexed()?,
            terms: sum.clone(),
        },
    }));
    for origin in &origins {
        let mut chunk = Chunk::default();
        let mut gone = false;
        view.scan(origin, 0, &mut |leaf| {
            chunk.push(leaf);
            if chunk.rows.len() == CHUNK {
                let next = Chunk::like(&chunk);
                gone = !hand(Item::Records(std::mem::replace(&mut chunk, next)));
            }
            !gone
        })?;
        hand(Item::Records(chunk));
        let mut levels = Vec::new();
        loop {
            let level = u32::try_from(levels.len()).unwrap_or(u32::MAX) + 1;
            let most = u64::MAX >> (u64::from(level * STORED_HEIGHT)).min(63);
            let found = view.subtrees(origin, level, 0, most)?;
            if found.is_empty() {
                break;
            }
            levels.push(found);
        }
        hand(Item::Subtrees(levels));
    }
    let mut kept = sum;
    view.terms(&mut |kind, term, position| kept.add(kind, term, position))?;
    hand(Item::Terms(kept));
    Ok(())
}

/// Records, one after the other in one piece of memory.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    position: Position,
    index: u64,
    hash: Option<Hash>,
    time: i64,
    /// Where in the bytes each part ends: body, call, request id, kind, subject,
    /// resource id. `None` for one that is not there.
    ends: [Option<usize>; 6],
}

impl Chunk {
    /// One that has room for as much.
    fn like(other: &Self) -> Self {
        Self {
            bytes: Vec::with_capacity(other.bytes.len() + other.bytes.len() / 8),
            rows: Vec::with_capacity(CHUNK),
        }
    }

    fn push(&mut self, leaf: Leaf<'_>) {
        let of = leaf.columns;
        let texts = [
            Some(of.call),
            of.request_id,
            Some(of.kind),
            of.subject,
            of.resource_id,
        ];
        let texts = texts.map(|it| it.map(str::as_bytes));
        let [call, request_id, kind, subject, resource_id] = texts;
        let parts = [leaf.body, call, request_id, kind, subject, resource_id];
        let ends = parts.map(|part| {
            self.bytes.extend_from_slice(part?);
            Some(self.bytes.len())
        });
        self.rows.push(Row {
            position: leaf.position,
            index: leaf.index,
            hash: leaf.hash,
            time: of.time,
            ends,
        });
    }

    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Leaf<'_>> {
        let mut begin = 0;
        self.rows.iter().map(move |row| {
            let parts = row.ends.map(|end| {
                let part = &self.bytes[begin..end?];
                begin += part.len();
                Some(part)
            });
            let [body, call, request_id, kind, subject, resource_id] = parts;
            Leaf {
                position: row.position,
                index: row.index,
                hash: row.hash,
                body,
                columns: Columns {
                    time: row.time,
                    call: text(call).unwrap_or_default(),
                    request_id: text(request_id),
                    kind: text(kind).unwrap_or_default(),
                    subject: text(subject),
                    resource_id: text(resource_id),
                },
            }
        })
    }
}

/// What was a text before.
fn text(bytes: Option<&[u8]>) -> Option<&str> {
    bytes.map(|it| str::from_utf8(it).unwrap_or_default())
}
