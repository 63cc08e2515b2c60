//! The one thread that writes: it takes everything that is queued, commits it in
//! one transaction with one sync, and then acknowledges all of it.
//!
//! It never waits for more to come: what arrives during a sync is the next batch.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Entry, Error, Position, store::Store};

/// The most commands in one transaction, which bounds how long the first waits.
const BATCH: usize = 1024;

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Write these, all or none; tell whoever waits for them.
    Append(Vec<Entry>, Option<oneshot::Sender<Acknowledgement>>),
    /// Write what came before, then end.
    Close,
}

/// Tells one waiter its position, and through it all others of the batch.
///
/// Each wake-up from another thread costs a system call, so the thread wakes one
/// waiter alone, and that one wakes the others from within the runtime. They are
/// woken when this is dropped, hence also if its receiver is gone.
#[derive(Debug)]
pub(super) struct Acknowledgement {
    position: Position,
    others: Vec<(oneshot::Sender<Acknowledgement>, Position)>,
}

impl Acknowledgement {
    fn send(mut waiting: Vec<(oneshot::Sender<Self>, Position)>) {
        if let Some((first, position)) = waiting.pop() {
            let others = waiting;
            // If it no longer waits, what comes back is dropped: see above.
            drop(first.send(Self { position, others }));
        }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }
}

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        for (other, position) in self.others.drain(..) {
            let others = Vec::new();
            drop(other.send(Self { position, others }));
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
pub(super) fn run(store: Store, queue: mpsc::Receiver<Command>, ended: Ended) {
    if let Err(error) = write_all(store, queue, &ended.failure) {
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

fn write_all(
    mut store: Store,
    mut queue: mpsc::Receiver<Command>,
    failure: &Failure,
) -> Result<(), Error> {
    let mut commands = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut commands, BATCH) > 0 {
        let mut entries = Vec::with_capacity(commands.len());
        let mut waiting = Vec::with_capacity(commands.len());
        for command in commands.drain(..) {
            match command {
                Command::Append(more, waiter) => {
                    waiting.extend(waiter.map(|it| (it, entries.len())));
                    entries.extend(more);
                }
                // What is queued already is written all the same.
                Command::Close => queue.close(),
            }
        }
        if entries.is_empty() {
            continue;
        }
        match store.write(entries) {
            Ok(positions) => Acknowledgement::send(
                waiting
                    .into_iter()
                    .filter_map(|(waiter, at)| Some((waiter, positions.get(at).copied()?)))
                    .collect(),
            ),
            Err(error) => {
                // Before the waiters are dropped, which tells them to look.
                failure.set(error);
                return Ok(());
            }
        }
    }
    store.close()
}
