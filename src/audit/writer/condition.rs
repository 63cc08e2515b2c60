//! How the thread that writes fares: whether it has failed, whether its store can be
//! reached, and whether it has ended.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::audit::Error;

/// Whether the trail has failed, and over what. Set once.
#[derive(Clone, Debug, Default)]
pub(in crate::audit) struct Failure {
    cause: Arc<OnceLock<Arc<Error>>>,
    signal: CancellationToken,
}

impl Failure {
    pub(in crate::audit) fn set(&self, cause: Error) {
        // The first cause is the one that counts.
        let _ = self.cause.set(Arc::new(cause));
        self.signal.cancel();
    }

    /// Whether what is owed is still accepted.
    pub(in crate::audit) fn pays(&self) -> bool {
        self.cause.get().is_none_or(|it| it.is_full())
    }

    pub(in crate::audit) fn get(&self) -> Option<Arc<Error>> {
        self.cause.get().cloned()
    }

    pub(in crate::audit) fn signal(&self) -> CancellationToken {
        self.signal.child_token()
    }

    /// What a caller is told who comes when the thread is gone.
    pub(in crate::audit) fn refusal(&self) -> Error {
        self.get().map_or(Error::Closed, Error::Failed)
    }
}

/// Whether the store can be reached.
#[derive(Clone, Debug, Default)]
pub enum Availability {
    /// It can, as far as is known.
    #[default]
    Here,
    /// It can't, for this reason. It is waited for.
    Missed(Arc<Error>),
    /// It is not waited for any more. It may come back.
    Away(Arc<Error>),
}

impl Availability {
    /// Whether it can be reached.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Here)
    }

    /// Why nothing can be recorded for now; `None` if it may be worth waiting.
    #[must_use]
    pub fn away(&self) -> Option<Error> {
        match self {
            Self::Here | Self::Missed(_) => None,
            Self::Away(cause) => Some(Error::Away(cause.clone())),
        }
    }
}

/// Tells when the thread has ended, and counts a panic of it as a failure.
#[derive(Debug)]
pub(in crate::audit) struct Ended {
    pub(in crate::audit) failure: Failure,
    pub(in crate::audit) signal: CancellationToken,
    pub(in crate::audit) orderly: bool,
}

impl Ended {
    pub(super) fn orderly(mut self) {
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
