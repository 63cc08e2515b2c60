//! Where an issuer's keys come from, and how they stay current.
//!
//! Keys behind a URL are fetched by one background task, so that there is never
//! more than one fetch at a time: at start, every [`REFRESH`], and when a token
//! has a `kid` that the set does not have. The latter happens once in
//! [`COOLDOWN`] at most, whatever tokens come in. While the issuer is down its
//! last keys hold, for [`MAX_AGE`].

use std::{
    fs::File,
    io::Read as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::ACCEPT};
use http_body_util::{BodyExt as _, Full, Limited};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{Error, Jwks, jws::Jws, keys::KeySet};
use crate::{clock::Clock, http::Client, tasks::Tasks};

/// Time between two fetches that nobody asked for.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// Time between two fetches that tokens asked for.
const COOLDOWN: Duration = Duration::from_secs(30);
/// The longest time between two attempts after a failure.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// How long keys hold that can't be refreshed.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);
/// The longest that a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that a call waits for a fetch: a running one, and its own.
const WAIT: Duration = Duration::from_secs(11);
/// The most that a key set may have, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// An issuer's keys.
#[derive(Debug)]
pub(super) enum Source {
    Fixed(Arc<KeySet>),
    Remote(Arc<Remote>),
}

/// Keys behind a URL.
#[derive(Debug)]
pub(super) struct Remote {
    url: Uri,
    client: Client,
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

impl Source {
    /// Reads the keys, if they are in a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn open(jwks: &Jwks, client: &Client, clock: &Clock) -> Result<Self, String> {
        match jwks {
            Jwks::File(path) => read(path)
                .map(|keys| Self::Fixed(Arc::new(keys)))
                .map_err(|fault| format!("{}: {fault}", path.display())),
            Jwks::Url(url) => Ok(Self::Remote(Arc::new(Remote {
                url: url.clone(),
                client: client.clone(),
                clock: clock.clone(),
                state: watch::Sender::default(),
                demand: Mutex::default(),
                wake: Notify::new(),
            }))),
        }
    }

    /// Begins to fetch, if the keys are behind a URL.
    pub(super) fn refresh_in(&self, tasks: &Tasks) {
        if let Self::Remote(remote) = self {
            let remote = Arc::clone(remote);
            tasks.spawn_background(async move { remote.refresh().await });
        }
    }

    /// Whether these keys still count.
    pub(super) fn is_current(&self, keys: &Arc<KeySet>) -> bool {
        match self {
            Self::Fixed(fixed) => Arc::ptr_eq(fixed, keys),
            Self::Remote(remote) => remote.held().is_some_and(|it| Arc::ptr_eq(&it, keys)),
        }
    }

    /// The keys to verify a token with: if its own is not among them, then even
    /// after asking the issuer.
    pub(super) async fn holding(&self, jws: &Jws<'_>) -> Result<Arc<KeySet>, Error> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Remote(remote) => remote.holding(jws).await,
        }
    }
}

impl Remote {
    async fn holding(&self, jws: &Jws<'_>) -> Result<Arc<KeySet>, Error> {
        self.finished(1).await;
        let keys = self.held().ok_or(Error::KeysUnavailable)?;
        if keys.fits(jws) {
            return Ok(keys);
        }
        let Some(number) = self.ask() else {
            return Ok(keys);
        };
        self.finished(number).await;
        self.held().ok_or(Error::KeysUnavailable)
    }

    fn held(&self) -> Option<Arc<KeySet>> {
        let state = self.state.borrow();
        let held = state.held.as_ref()?;
        let age = self.clock.instant().duration_since(held.fetched_at);
        (age <= MAX_AGE).then(|| Arc::clone(&held.keys))
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
        let mut failures = 0;
        loop {
            self.state.send_modify(|it| it.started += 1);
            let pause = match self.fetch().await {
                Ok((text, keys)) => {
                    failures = 0;
                    self.hold(text, keys);
                    REFRESH
                }
                Err(fault) => {
                    tracing::warn!(url = %self.url, fault, "keys of an issuer can't be fetched");
                    let backoff = Duration::from_secs(1 << failures.min(5));
                    failures += 1;
                    backoff.min(MAX_BACKOFF)
                }
            };
            self.state.send_modify(|it| it.finished = it.started);
            tokio::select! {
                () = sleep(pause) => {}
                () = self.wake.notified() => {}
            }
        }
    }

    /// Keys that have not changed stay the same, and with them the tokens that
    /// were verified with them.
    fn hold(&self, text: Bytes, keys: KeySet) {
        let fetched_at = self.clock.instant();
        self.state.send_modify(|it| match &mut it.held {
            Some(held) if held.text == text => held.fetched_at = fetched_at,
            held => {
                tracing::info!(url = %self.url, "keys of an issuer were fetched");
                *held = Some(Held {
                    keys: Arc::new(keys),
                    text,
                    fetched_at,
                });
            }
        });
    }

    async fn fetch(&self) -> Result<(Bytes, KeySet), String> {
        let request = Request::get(&self.url)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .body(Full::default())
            .map_err(|error| error.to_string())?;
        let answer = async {
            let response = self.client.request(request).await.map_err(|error| {
                let cause = std::error::Error::source(&error);
                cause.map_or_else(|| error.to_string(), ToString::to_string)
            })?;
            let status = response.status();
            if status.is_redirection() {
                return Err(format!(
                    "it answers {status}, and redirects are not followed"
                ));
            }
            if status != StatusCode::OK {
                return Err(format!("it answers {status}"));
            }
            let body = Limited::new(response.into_body(), MAX_BYTES)
                .collect()
                .await;
            Ok(body
                .map_err(|_| format!("its answer breaks off or is over {MAX_BYTES} bytes"))?
                .to_bytes())
        };
        let text = timeout(FETCH_TIMEOUT, answer)
            .await
            .map_err(|_| format!("it does not answer within {FETCH_TIMEOUT:?}"))??;
        let parsed = KeySet::parse(&text)?;
        for fault in parsed.faults {
            tracing::warn!(url = %self.url, fault, "a key of an issuer is left out");
        }
        Ok((text, parsed.keys))
    }
}

/// A file has somebody who can mend it: one broken key fails it.
fn read(path: &Path) -> Result<KeySet, String> {
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut text))
        .map_err(|error| format!("it can't be read: {error}"))?;
    if text.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let parsed = KeySet::parse(&text)?;
    if parsed.faults.is_empty() {
        Ok(parsed.keys)
    } else {
        Err(parsed.faults.join("; "))
    }
}
