//! Those who wait for what they appended, and how they are told.

use tokio::sync::oneshot;

use crate::audit::Appended;

/// Whoever waits for what is appended.
#[derive(Debug)]
pub(in crate::audit) struct Waiter {
    pub(in crate::audit) acknowledge: oneshot::Sender<Acknowledgement>,
    /// Whether receipts are asked for.
    pub(in crate::audit) receipts: bool,
}

/// Tells one waiter its position, and through it all others of the batch.
///
/// Each wake-up from another thread costs a system call, so the thread wakes one
/// waiter alone, and that one wakes the others from within the runtime. They are
/// woken when this is dropped, hence also if its receiver is gone.
#[derive(Debug)]
pub(in crate::audit) struct Acknowledgement {
    /// Taken once.
    appended: Option<Appended>,
    others: Vec<(oneshot::Sender<Acknowledgement>, Appended)>,
}

impl Acknowledgement {
    pub(super) fn send(mut waiting: Vec<(oneshot::Sender<Self>, Appended)>) {
        if let Some((first, appended)) = waiting.pop() {
            let (appended, others) = (Some(appended), waiting);
            // If it no longer waits, what comes back is dropped: see above.
            drop(first.send(Self { appended, others }));
        }
    }

    pub(in crate::audit) fn appended(mut self) -> Option<Appended> {
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
