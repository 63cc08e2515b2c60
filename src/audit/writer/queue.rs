//! What is asked of the thread that writes, and how it is taken from the queue.

use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Waiter;
use crate::audit::{Entry, checkpoint::Signed, upkeep::Upkeep};

/// The most commands in one transaction, which bounds how long the first waits.
pub(super) const BATCH: usize = 1024;

/// How often others may go first, which bounds how long the first waits as well.
const YIELDS: u32 = 4;

/// What is asked of the thread.
#[derive(Debug)]
pub(in crate::audit) enum Command {
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

/// Lets whoever is about to append do so, to be written with the same sync, as long as
/// that brings something. With a processor to itself this thread goes on at once.
pub(super) fn gather(queue: &mut mpsc::Receiver<Command>, commands: &mut Vec<Command>) {
    for _ in 0..YIELDS {
        let before = commands.len();
        thread::yield_now();
        while commands.len() < BATCH
            && let Ok(command) = queue.try_recv()
        {
            commands.push(command);
        }
        if commands.len() == before {
            return;
        }
    }
}

/// What is to be written in one piece, and who waits for it.
pub(super) type Piece = (Vec<Entry>, Option<Waiter>);

/// What has been taken from the queue.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) pieces: Vec<Piece>,
    pub(super) checkpoints: Vec<Signed>,
    pub(super) upkeep: Vec<(Upkeep, oneshot::Sender<()>)>,
    pub(super) watch: bool,
    pub(super) close: bool,
}

impl Taken {
    /// Whether there is something to be written.
    pub(super) fn any(&self) -> bool {
        !(self.pieces.is_empty() && self.checkpoints.is_empty() && self.upkeep.is_empty())
    }

    pub(super) fn take(&mut self, command: Command) {
        match command {
            Command::Append(entries, waiter) => self.pieces.push((entries, waiter)),
            Command::Keep(checkpoint) => self.checkpoints.push(checkpoint),
            Command::Watch => self.watch = true,
            Command::Tend(what, done) => self.upkeep.push((what, done)),
            Command::Close => self.close = true,
        }
    }
}
