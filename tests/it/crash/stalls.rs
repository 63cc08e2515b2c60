//! How long the machine lets those wait that could go on: what depends on time is
//! not held against whoever had to wait as well.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use keygate::{clock::Clock, tasks::Tasks};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long is slept at a time, and what that may take on a machine that has nothing
/// else to do. What it takes beyond that is waited in vain.
const SLEEP: Duration = Duration::from_millis(10);
const WAKING: Duration = Duration::from_millis(2);

/// Counts from when it is made. Cheap to clone.
#[derive(Clone)]
pub(super) struct Stalls {
    nanos: Arc<AtomicU64>,
    _end: Arc<DropGuard>,
}

impl Stalls {
    pub(super) fn start() -> Self {
        let (nanos, end) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
        let (total, ended) = (nanos.clone(), end.clone());
        Tasks::new().spawn(async move {
            let clock = Clock::system();
            while !ended.is_cancelled() {
                let before = clock.instant();
                tokio::time::sleep(SLEEP).await;
                let over = (clock.instant() - before).saturating_sub(SLEEP + WAKING);
                total.fetch_add(u64::try_from(over.as_nanos()).unwrap(), Relaxed);
            }
        });
        Self {
            nanos,
            _end: Arc::new(end.drop_guard()),
        }
    }

    /// How long it was in all.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Relaxed))
    }
}
