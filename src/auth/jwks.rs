//! Where an issuer's keys come from.

mod fetch;
mod remote;

use std::{io::Read as _, path::Path, sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;

use self::{fetch::Fetch, remote::Remote};
use super::{Error, Keys, jws::Jws, keys::KeySet};
use crate::{clock::Clock, files, http, tasks::Tasks};

/// The most that a key set may have, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// How long a connection to an issuer may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An issuer's keys. Cheap to clone; clones share what is fetched.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Fixed(Arc<KeySet>),
    Remote(Arc<Remote>),
}

impl Source {
    /// Reads the keys, or the secret, if they don't have to be fetched.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) async fn open(keys: &Keys, clock: &Clock) -> Result<Self, String> {
        match keys {
            Keys::File(path) => read(path)
                .map(|keys| Self::Fixed(Arc::new(keys)))
                .map_err(|fault| format!("{}: {fault}", path.display())),
            Keys::SharedSecret(source) => {
                let secret = source.load().await.map_err(|it| it.to_string())?;
                KeySet::shared(secret.expose_secret().as_bytes())
                    .map(|keys| Self::Fixed(Arc::new(keys)))
                    .map_err(|fault| format!("{source}: {fault}"))
            }
            Keys::Url(url, how) => {
                let client = http::client(&http::Options {
                    connect_timeout: CONNECT_TIMEOUT,
                    pool_max_idle_per_host: 1,
                    ca: how.ca.clone(),
                });
                let fetch = Fetch {
                    url: url.clone(),
                    client: client.map_err(|it| it.to_string())?,
                };
                let remote = Remote::new(fetch, how, clock.clone());
                Ok(Self::Remote(Arc::new(remote)))
            }
        }
    }

    /// Begins to fetch, if the keys are behind a URL. It ends with the tasks, or
    /// when the last clone is dropped.
    pub(super) fn refresh_in(&self, tasks: &Tasks) {
        if let Self::Remote(remote) = self {
            remote.refresh_in(tasks);
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

/// A file has somebody who can mend it: one broken key fails it.
fn read(path: &Path) -> Result<KeySet, String> {
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    files::open(path)
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
