//! The one thread that writes: it takes everything that is queued, commits it in
//! one transaction with one sync, and then acknowledges all of it.
//!
//! It lets those go first who are about to append, and waits for nobody else: what
//! arrives during a sync is the next batch.
//!
//! The first failure is final. If it is that the disk is full, nothing new is
//! accepted any more, but the outcomes of intents that are written still are: there
//! is room for them.
//!
//! A store that may go and come back ([`Remote`](super::store::Remote)) is waited
//! for. Whoever waits for longer than it has patience is refused; what was queued by
//! then is written all the same when it is back.

mod acknowledgement;
mod condition;
mod queue;
mod vouching;

use std::{
    ops::Range,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

pub use self::condition::Availability;
pub(super) use self::{
    acknowledgement::{Acknowledgement, Waiter},
    condition::{Ended, Failure},
    queue::Command,
};
use self::{
    queue::{BATCH, Piece, Taken, gather},
    vouching::Vouching,
};
use super::{
    Appended, Entry, Error, Kind, Outcome, Position, Record,
    checkpoint::Signed,
    debts::Debts,
    note::Signer,
    store::{Batch, Store},
    tree::Frontier,
    upkeep::Upkeep,
};
use crate::{clock::Clock, random::Random};

/// The shortest and the longest time between two attempts to write to a store that
/// is away.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// The outcome of an intent that nobody will ever end otherwise.
pub(super) fn unknown(intent: &Record, clock: &Clock, random: &Random) -> Entry {
    let now = clock.now();
    let id = random.uuid_at(now).to_string();
    Entry::from(Record {
        outcome: Some(Outcome::Unknown),
        code: Some("UNKNOWN".to_owned()),
        reason: Some("OUTCOME_UNKNOWN".to_owned()),
        ..intent.next(Kind::Outcome, id, now)
    })
}

/// Writes until the trail is closed, or fails. The first failure is final.
pub(super) fn run(writer: Writer, queue: mpsc::Receiver<Command>, ended: Ended) {
    if let Err(error) = writer.write_all(queue, &ended.failure) {
        ended.failure.set(error);
    }
    ended.orderly();
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) store: Box<dyn Store>,
    /// The tree with all that is committed: told to whoever makes checkpoints.
    pub(super) head: watch::Sender<Frontier>,
    pub(super) signer: Option<Signer>,
    pub(super) debts: Debts,
    pub(super) availability: watch::Sender<Availability>,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// What comes next, and what has come while a store was away.
struct Coming<'a> {
    queue: &'a mut mpsc::Receiver<Command>,
    held: &'a mut Taken,
}

/// What was not written, and why.
struct Unwritten {
    error: Box<Error>,
    pieces: Vec<Piece>,
}

impl From<Error> for Unwritten {
    fn from(error: Error) -> Self {
        Self {
            error: Box::new(error),
            pieces: Vec::new(),
        }
    }
}

impl Writer {
    fn write_all(
        mut self,
        mut queue: mpsc::Receiver<Command>,
        failure: &Failure,
    ) -> Result<(), Error> {
        let mut commands = Vec::with_capacity(BATCH);
        let mut held = Taken::default();
        while held.any() || queue.blocking_recv_many(&mut commands, BATCH) > 0 {
            gather(&mut queue, &mut commands);
            let mut taken = std::mem::take(&mut held);
            commands.drain(..).for_each(|it| taken.take(it));
            if taken.close {
                // What is queued already is written all the same.
                queue.close();
            }
            let coming = Coming {
                queue: &mut queue,
                held: &mut held,
            };
            let written = self.work(taken, coming);
            let written = written.and_then(|()| Ok(self.store.tidy(self.debts.total())?));
            if let Err(Unwritten { error, pieces }) = written {
                let pays = error.is_full();
                // Before the waiters are dropped, which tells them to look.
                failure.set(*error);
                if pays {
                    self.pay(pieces, queue);
                }
                return Ok(());
            }
        }
        self.store.close()
    }

    /// Does what was taken from the queue.
    fn work(&mut self, taken: Taken, mut coming: Coming<'_>) -> Result<(), Unwritten> {
        coming.held.close = taken.close;
        if !taken.pieces.is_empty() || !taken.checkpoints.is_empty() {
            self.write(taken.pieces, taken.checkpoints, false, &mut coming)?;
        }
        for (what, done) in taken.upkeep {
            self.tend(what, &mut coming)?;
            // Whoever asked for it may have gone.
            let _ = done.send(());
        }
        if taken.watch {
            self.store.look()?;
            let left = self.attend()?;
            if !left.is_empty() {
                coming.held.pieces.push((left, None));
            }
        }
        Ok(())
    }

    /// Writes what is owed, and nothing else, until that is done, or can't be.
    fn pay(mut self, mut pieces: Vec<Piece>, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::with_capacity(BATCH);
        loop {
            pieces.retain(|(entries, _)| self.debts.covers(entries));
            let mut coming = Coming {
                queue: &mut queue,
                held: &mut Taken::default(),
            };
            if !pieces.is_empty() && self.write(pieces, Vec::new(), true, &mut coming).is_err() {
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
    fn tend(&mut self, upkeep: Upkeep, coming: &mut Coming<'_>) -> Result<(), Error> {
        let (entry, removals, fingerprint_key) = match upkeep {
            Upkeep::Remove(removals) => (None, removals, None),
            Upkeep::Rotate(entry, key) => (Some(*entry), Vec::new(), Some(key)),
        };
        let before = self.head.borrow().clone();
        let mut batch = Batch::new(&before, entry, Vec::new())?;
        batch.removals = removals;
        batch.fingerprint_key = fingerprint_key;
        batch.debt = self.debts.with(&batch);
        self.commit(&mut batch, &mut [], coming)?;
        if !batch.rows.is_empty() {
            self.head.send_replace(batch.tree);
        }
        Ok(())
    }

    /// Writes a batch and tells those who wait. What was not written comes back. What is
    /// owed has its room already.
    fn write(
        &mut self,
        pieces: Vec<Piece>,
        checkpoints: Vec<Signed>,
        is_owed: bool,
        coming: &mut Coming<'_>,
    ) -> Result<(), Unwritten> {
        let (mut entries, mut waiting) = (Vec::with_capacity(pieces.len()), Vec::new());
        for (more, waiter) in pieces {
            waiting.push((waiter, entries.len()..entries.len() + more.len()));
            entries.extend(more);
        }
        let before = self.head.borrow().clone();
        let mut batch = Batch::new(&before, entries, checkpoints)?;
        batch.debt = self.debts.with(&batch);
        batch.is_owed = is_owed;
        let first = match self.commit(&mut batch, &mut waiting, coming) {
            Ok(first) => first,
            Err(error) => {
                let mut entries = batch.rows.into_iter().map(Entry::from);
                let pieces = waiting
                    .into_iter()
                    .map(|(waiter, of)| (entries.by_ref().take(of.len()).collect(), waiter));
                return Err(Unwritten {
                    pieces: pieces.collect(),
                    error: Box::new(error),
                });
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

    /// Writes a batch. Where the store is away for too long, whoever waits is refused,
    /// and what else comes by then is held.
    fn commit(
        &mut self,
        batch: &mut Batch,
        waiting: &mut [(Option<Waiter>, Range<usize>)],
        coming: &mut Coming<'_>,
    ) -> Result<Position, Error> {
        let mut outage: Option<(Instant, Duration)> = None;
        loop {
            let error = match self.store.write(batch) {
                Ok(first) => {
                    self.here();
                    return Ok(first);
                }
                Err(error) if error.is_passing() => error,
                Err(error) => return Err(error),
            };
            let now = self.clock.instant();
            let (since, pause) = outage.get_or_insert((now, BACKOFF.0));
            let remote = self.store.remote();
            let patience = remote.map_or(Duration::ZERO, |it| it.patience());
            if now.saturating_duration_since(*since) < patience {
                self.missed(error, Availability::Missed);
            } else if coming.held.close {
                return Err(error);
            } else {
                self.missed(error, Availability::Away);
                // what they wanted to be written is written all the same
                waiting.iter_mut().for_each(|(waiter, _)| *waiter = None);
                while let Ok(command) = coming.queue.try_recv() {
                    coming.held.take(command);
                }
                let held = coming.held.pieces.iter_mut();
                held.for_each(|(_, waiter)| *waiter = None);
            }
            thread::sleep(*pause);
            *pause = (*pause * 2).min(BACKOFF.1);
        }
    }

    /// Looks after the store. Gives what is to be written of what others have left.
    fn attend(&mut self) -> Result<Vec<Entry>, Error> {
        let Some(store) = self.store.remote() else {
            return Ok(Vec::new());
        };
        match store.attend() {
            Ok(left) => {
                self.here();
                let entries = left.iter().map(|it| unknown(it, &self.clock, &self.random));
                Ok(entries.collect())
            }
            Err(error) if error.is_passing() => {
                self.missed(error, Availability::Missed);
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    fn here(&self) {
        self.availability.send_if_modified(|it| {
            let was_here = it.is_here();
            *it = Availability::Here;
            !was_here
        });
    }

    fn missed(&self, error: Error, how: fn(Arc<Error>) -> Availability) {
        let error = Arc::new(error);
        self.availability.send_if_modified(|it| {
            let next = how(error);
            let changed = std::mem::discriminant(it) != std::mem::discriminant(&next);
            // nobody waits again for what has been given up, until it is back
            if changed && !matches!(it, Availability::Away(_)) {
                *it = next;
                return true;
            }
            false
        });
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
