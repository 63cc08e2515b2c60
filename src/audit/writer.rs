//! The one thread that writes: it takes everything that is queued, commits it in
//! one transaction with one sync, and then acknowledges all of it.
//!
//! It never waits for more to come: what arrives during a sync is the next batch.
//!
//! The first failure is final. If it is that the disk is full, nothing new is
//! accepted any more, but the outcomes of intents that are written still are: there
//! is room for them.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Appended, Entry, Error, Position, Receipt,
    checkpoint::{Checkpoint, Signed},
    debts::Debts,
    note::Signer,
    store::{Batch, Row, Store},
    tree::{Frontier, proof},
    upkeep::Upkeep,
};

/// The most commands in one transaction, which bounds how long the first waits.
const BATCH: usize = 1024;

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Write these, all or none.
    Append(Vec<Entry>, Option<Waiter>),
    /// Keep this checkpoint, which was sent out.
    Keep(Signed),
    /// See whether everything is as it should be.
    Watch,
    /// Do this, all or nothing of it, and tell.
    Tend(Upkeep, oneshot::Sender<()>),
    /// Write what came before, then end.
    Close,
}

/// Whoever waits for what is appended.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) acknowledge: oneshot::Sender<Acknowledgement>,
    /// Whether receipts are asked for.
    pub(super) receipts: bool,
}

/// Tells one waiter its position, and through it all others of the batch.
///
/// Each wake-up from another thread costs a system call, so the thread wakes one
/// waiter alone, and that one wakes the others from within the runtime. They are
/// woken when this is dropped, hence also if its receiver is gone.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    /// Taken once.
    appended: Option<Appended>,
    others: Vec<(oneshot::Sender<Acknowledgement>, Appended)>,
}

impl Acknowledgement {
    fn send(mut waiting: Vec<(oneshot::Sender<Self>, Appended)>) {
        if let Some((first, appended)) = waiting.pop() {
            let (appended, others) = (Some(appended), waiting);
            // If it no longer waits, what comes back is dropped: see above.
            drop(first.send(Self { appended, others }));
        }
    }

    pub(super) fn appended(mut self) -> Option<Appended> {
        self.appended.take()
    }
}

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        for (other, appended) in self.others.drain(..) {
            let (appended, others) = (Some(appended), Vec::new());
            drop(other.send(Self { appended, others }));
        }
    }
}

/// Whether the trail has failed, and over what. Set once.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    cause: Arc<OnceLock<Arc<Error>>>,
    signal: CancellationToken,
}

impl Failure {
    pub(super) fn set(&self, cause: Error) {
        // The first cause is the one that counts.
        let _ = self.cause.set(Arc::new(cause));
        self.signal.cancel();
    }

    /// Whether what is owed is still accepted.
    pub(super) fn pays(&self) -> bool {
        self.cause.get().is_none_or(|it| it.is_full())
    }

    pub(super) fn get(&self) -> Option<Arc<Error>> {
        self.cause.get().cloned()
    }

    pub(super) fn signal(&self) -> CancellationToken {
        self.signal.child_token()
    }

    /// What a caller is told who comes when the thread is gone.
    pub(super) fn refusal(&self) -> Error {
        self.get().map_or(Error::Closed, Error::Failed)
    }
}

/// Writes until the trail is closed, or fails. The first failure is final.
pub(super) fn run(writer: Writer, queue: mpsc::Receiver<Command>, ended: Ended) {
    if let Err(error) = writer.write_all(queue, &ended.failure) {
        ended.failure.set(error);
    }
    ended.orderly();
}

/// Tells when the thread has ended, and counts a panic of it as a failure.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) failure: Failure,
    pub(super) signal: CancellationToken,
    pub(super) orderly: bool,
}

impl Ended {
    fn orderly(mut self) {
        self.orderly = true;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.orderly {
            self.failure.set(Error::ThreadEnded);
        }
        self.signal.cancel();
    }
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Box<dyn Store>,
    /// The tree with all that is committed: told to whoever makes checkpoints.
    pub(super) head: watch::Sender<Frontier>,
    pub(super) signer: Option<Signer>,
    pub(super) debts: Debts,
}

/// What is to be written in one piece, and who waits for it.
type Piece = (Vec<Entry>, Option<Waiter>);

/// What was not written, and why.
struct Unwritten {
    error: Error,
    pieces: Vec<Piece>,
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        let pieces = Vec::new();
        Self { error, pieces }
    }
}

impl Writer {
    fn write_all(
        mut self,
        mut queue: mpsc::Receiver<Command>,
        failure: &Failure,
    ) -> Result<(), Error> {
        let mut commands = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut commands, BATCH) > 0 {
            let (mut pieces, mut checkpoints) = (Vec::with_capacity(commands.len()), Vec::new());
            let mut upkeep = Vec::new();
            for command in commands.drain(..) {
                match command {
                    Command::Append(entries, waiter) => pieces.push((entries, waiter)),
                    Command::Keep(checkpoint) => checkpoints.push(checkpoint),
                    Command::Watch => {}
                    Command::Tend(what, done) => upkeep.push((what, done)),
                    // What is queued already is written all the same.
                    Command::Close => queue.close(),
                }
            }
            let mut written = if pieces.is_empty() && checkpoints.is_empty() {
                Ok(())
            } else {
                self.write(pieces, checkpoints)
            };
            for (what, done) in upkeep {
                written = written.and_then(|()| Ok(self.tend(what)?));
                if written.is_ok() {
                    // Whoever asked for it may have gone.
                    let _ = done.send(());
                }
            }
            let written = written.and_then(|()| Ok(self.store.watch(self.debts.total())?));
            if let Err(Unwritten { error, pieces }) = written {
                let pays = error.is_full();
                // Before the waiters are dropped, which tells them to look.
                failure.set(error);
                if pays {
                    self.pay(pieces, queue);
                }
                return Ok(());
            }
        }
        self.store.close()
    }

    /// Writes what is owed, and nothing else, until that is done, or can't be.
    fn pay(mut self, mut pieces: Vec<Piece>, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::with_capacity(BATCH);
        loop {
            pieces.retain(|(entries, _)| self.debts.covers(entries));
            if !pieces.is_empty() && self.write_owed(pieces).is_err() {
                return;
            }
            if self.debts.is_empty() || queue.blocking_recv_many(&mut commands, BATCH) == 0 {
                return;
            }
            pieces = Vec::new();
            for command in commands.drain(..) {
                match command {
                    Command::Append(entries, waiter) => pieces.push((entries, waiter)),
                    Command::Keep(_) | Command::Watch | Command::Tend(..) => {}
                    Command::Close => queue.close(),
                }
            }
        }
    }

    /// Does what is done to a trail beside appending calls' records.
    fn tend(&mut self, upkeep: Upkeep) -> Result<(), Error> {
        let (entry, removals, fingerprint_key) = match upkeep {
            Upkeep::Remove(removals) => (None, removals, None),
            Upkeep::Rotate(entry, key) => (Some(*entry), Vec::new(), Some(key)),
        };
        let before = self.head.borrow().clone();
        let mut batch = Batch::new(&before, entry, Vec::new())?;
        batch.removals = removals;
        batch.fingerprint_key = fingerprint_key;
        batch.debt = self.debts.with(&batch);
        self.store.write(&batch)?;
        if !batch.rows.is_empty() {
            self.head.send_replace(batch.tree);
        }
        Ok(())
    }

    /// Writes a batch and tells those who wait. What was not written comes back.
    fn write(&mut self, pieces: Vec<Piece>, checkpoints: Vec<Signed>) -> Result<(), Unwritten> {
        self.write_batch(pieces, checkpoints, false)
    }

    /// The same for what is owed, for which there is room.
    fn write_owed(&mut self, pieces: Vec<Piece>) -> Result<(), Unwritten> {
        self.write_batch(pieces, Vec::new(), true)
    }

    fn write_batch(
        &mut self,
        pieces: Vec<Piece>,
        checkpoints: Vec<Signed>,
        is_owed: bool,
    ) -> Result<(), Unwritten> {
        let (mut entries, mut waiting) = (Vec::with_capacity(pieces.len()), Vec::new());
        for (more, waiter) in pieces {
            waiting.push((waiter, entries.len()..entries.len() + more.len()));
            entries.extend(more);
        }
        let before = self.head.borrow().clone();
        let batch = Batch::new(&before, entries, checkpoints);
        let mut batch = batch?;
        batch.debt = self.debts.with(&batch);
        batch.is_owed = is_owed;
        let first = match self.store.write(&batch) {
            Ok(first) => first,
            Err(error) => {
                let mut entries = batch.rows.into_iter().map(Entry::from);
                let pieces = waiting
                    .into_iter()
                    .map(|(waiter, of)| (entries.by_ref().take(of.len()).collect(), waiter));
                let pieces = pieces.collect();
                return Err(Unwritten { error, pieces });
            }
        };
        self.debts.written(&batch);
        let waiting = waiting.into_iter();
        let waiting: Vec<_> = waiting.filter_map(|(it, of)| Some((it?, of))).collect();
        let appended = self.appended(&batch, before, first, &waiting);
        self.head.send_replace(batch.tree);
        let waiters = waiting.into_iter().map(|(it, _)| it.acknowledge);
        Acknowledgement::send(waiters.zip(appended).collect());
        Ok(())
    }

    /// What those are to be told who wait for parts of a batch.
    fn appended(
        &self,
        batch: &Batch,
        before: Frontier,
        first: Position,
        waiting: &[(Waiter, Range<usize>)],
    ) -> Vec<Appended> {
        let receipts = waiting.iter().any(|(it, _)| it.receipts);
        let signer = self.signer.as_ref().filter(|_| receipts);
        let vouching = signer.map(|it| Vouching::new(it, before, batch));
        let appended = waiting.iter().map(|(waiter, of)| {
            let rows = batch.rows.get(of.clone()).unwrap_or_default();
            let receipts = match &vouching {
                Some(it) if waiter.receipts => it.receipts(rows),
                _ => Vec::new(),
            };
            let position = Position(first.0 + of.start as u64);
            Appended { position, receipts }
        });
        appended.collect()
    }
}

/// A batch that is committed, and a checkpoint with all of it.
struct Vouching {
    recent: proof::Recent,
    checkpoint: Signed,
}

impl Vouching {
    fn new(signer: &Signer, before: Frontier, batch: &Batch) -> Self {
        let leaves = batch.rows.iter().map(|it| it.leaf).collect();
        Self {
            recent: proof::Recent::new(before, leaves),
            checkpoint: Checkpoint::sign(signer, &batch.tree),
        }
    }

    fn receipts(&self, rows: &[Row]) -> Vec<Receipt> {
        let Signed { checkpoint, note } = &self.checkpoint;
        let receipts = rows.iter().filter_map(|row| {
            // the batch and the edge before it have all that is needed
            let path = proof::inclusion(&self.recent, row.index, checkpoint.size).ok()?;
            Some(Receipt {
                record: row.record.id.clone(),
                index: row.index,
                path,
                note: note.clone(),
            })
        });
        receipts.collect()
    }
}
