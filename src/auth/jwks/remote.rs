//! Keys behind a URL, and how they stay current.
//!
//! They are fetched by one background task, so that there is never more than one
//! fetch at a time: at start, from time to time, and when there is no key for a
//! token. The latter happens once in [`COOLDOWN`] at most, whatever tokens come in. While the issuer is down its last keys hold, for a
//! bounded time. Nothing that happens in a fetch, a panic included, ends the task.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fetch::Fetch;
use crate::{
    auth::{Error, Fetching, jws::Jws, keys::KeySet},
    clock::Clock,
    tasks::Tasks,
};

/// Time between two fetches that tokens asked for, and between two attempts while
/// there are keys that hold.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Time before the second attempt while there are no keys. It doubles with every
/// further one, up to [`COOLDOWN`].
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest that a call waits for a fetch: a running one, and its own.
const WAIT: Duration = Duration::from_secs(11);

/// Keys behind a URL.
#[derive(Debug)]
pub(in crate::auth) struct Remote {
    shared: Arc<Shared>,
    /// Ends the task.
    stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    fetch: Fetch,
    refresh: Duration,
    max_age: Duration,
    clock: Clock,
    state: watch::Sender<State>,
    demand: Mutex<Demand>,
    wake: Notify,
}

/// Fetches are numbered from 1.
#[derive(Debug, Default)]
struct State {
    started: u64,
    finished: u64,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    text: Bytes,
    fetched_at: Instant,
}

/// The last fetch that a token asked for.
#[derive(Debug, Default)]
struct Demand {
    number: u64,
    at: Option<Instant>,
}

impl Remote {
    /// No keys yet.
    pub(super) fn new(fetch: Fetch, how: &Fetching, clock: Clock) -> Self {
        let shared = Shared {
            fetch,
            refresh: how.refresh,
            max_age: how.max_age,
            clock,
            state: watch::Sender::default(),
            demand: Mutex::default(),
            wake: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
            stop: CancellationToken::new().drop_guard(),
        }
    }

    /// Begins to fetch.
    pub(super) fn refresh_in(&self, tasks: &Tasks) {
        let shared = Arc::clone(&self.shared);
        let stop = self.stop.token().clone();
        tasks.spawn_background(async move {
            stop.run_until_cancelled(shared.refresh()).await;
        });
    }

    /// The keys, if there are any that hold.
    pub(super) fn held(&self) -> Option<Arc<KeySet>> {
        self.shared.held()
    }

    /// The keys to verify a token with.
    pub(super) async fn holding(&self, jws: &Jws<'_>) -> Result<Arc<KeySet>, Error> {
        self.shared.holding(jws).await
    }
}

impl Shared {
    async fn holding(&self, jws: &Jws<'_>) -> Result<Arc<KeySet>, Error> {
        self.finished(1).await;
        if let Some(keys) = self.held()
            && keys.fits(jws)
        {
            return Ok(keys);
        }
        if let Some(number) = self.ask() {
            self.finished(number).await;
        }
        self.held().ok_or(Error::KeysUnavailable)
    }

    fn held(&self) -> Option<Arc<KeySet>> {
        let state = self.state.borrow();
        let held = state.held.as_ref()?;
        let age = self.clock.instant().duration_since(held.fetched_at);
        (age <= self.max_age).then(|| Arc::clone(&held.keys))
    }

    /// Asks for a fetch that begins from now on, or joins one that was asked for
    /// and is not over. `None` if it is too soon for another.
    fn ask(&self) -> Option<u64> {
        let mut demand = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        let (started, finished) = {
            let state = self.state.borrow();
            (state.started, state.finished)
        };
        if demand.number > finished {
            return Some(demand.number);
        }
        let now = self.clock.instant();
        if demand
            .at
            .is_some_and(|at| now.duration_since(at) < COOLDOWN)
        {
            return None;
        }
        *demand = Demand {
            number: started + 1,
            at: Some(now),
        };
        self.wake.notify_one();
        Some(demand.number)
    }

    /// Waits until that fetch is over, but not for ever.
    async fn finished(&self, number: u64) {
        let mut state = self.state.subscribe();
        // Whether it was in time shows in what is held then.
        let _ = timeout(WAIT, state.wait_for(|it| it.finished >= number)).await;
    }

    async fn refresh(&self) {
        let mut retry = FIRST_RETRY;
        loop {
            self.state.send_modify(|it| it.started += 1);
            let fetched = AssertUnwindSafe(self.fetch()).catch_unwind().await;
            let fetched = fetched.unwrap_or_else(|_| Err("reading them panicked".to_owned()));
            let pause = match fetched {
                Ok(()) => {
                    retry = FIRST_RETRY;
                    self.refresh
                }
                Err(fault) => {
                    tracing::warn!(url = %self.fetch.url, fault, "keys of an issuer can't be fetched");
                    let pause = if self.held().is_some() {
                        COOLDOWN
                    } else {
                        retry
                    };
                    retry = COOLDOWN.min(retry * 2);
                    pause
                }
            };
            self.state.send_modify(|it| it.finished = it.started);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    async fn fetch(&self) -> Result<(), String> {
        let text = self.fetch.run().await?;
        let parsed = KeySet::parse(&text)?;
        for fault in parsed.faults {
            tracing::warn!(url = %self.fetch.url, fault, "a key of an issuer is left out");
        }
        self.hold(text, parsed.keys);
        Ok(())
    }

    /// Keys that have not changed stay the same, and with them the tokens that
    /// were verified with them.
    fn hold(&self, text: Bytes, keys: KeySet) {
        let fetched_at = self.clock.instant();
        self.state.send_modify(|it| match &mut it.held {
            Some(held) if held.text == text => held.fetched_at = fetched_at,
            held => {
                tracing::info!(url = %self.fetch.url, "keys of an issuer were fetched");
                *held = Some(Held {
                    keys: Arc::new(keys),
                    text,
                    fetched_at,
                });
            }
        });
    }
}
