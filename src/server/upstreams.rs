//! The clients of all configured upstreams, with their credentials loaded, and what
//! they have to know before they are used.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};

use super::state::Before;
use crate::{
    clock::Clock,
    config::{self, Config},
    http,
    random::Random,
    tasks::Tasks,
    telemetry::Metrics,
    upstream::{self, Client, Registry, client::Credentials, credentials, masters},
};

/// Why there is no client for an upstream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A credential can't be loaded.
    #[error("{upstream}: {setting}: {fault}")]
    Credential {
        /// The upstream.
        upstream: String,
        /// The setting that names it.
        setting: &'static str,
        /// What is wrong.
        fault: credentials::Error,
    },
    /// An HTTP client can't be made.
    #[error(transparent)]
    Http(#[from] http::Error),
}

/// Credentials that a client is to present from now on.
pub(super) struct Renewal {
    client: Arc<Client>,
    credentials: Credentials,
}

impl Renewal {
    pub(super) fn take_effect(self) {
        self.client.replace_credentials(self.credentials);
    }
}

/// Clients for all upstreams that are configured.
#[derive(Default)]
pub(super) struct Connected {
    pub(super) registry: Registry,
    /// What changes for those that were there before.
    pub(super) renewals: Vec<Renewal>,
    /// Those that were not.
    pub(super) new: Vec<Arc<Client>>,
}

/// Makes all clients. One whose settings have not changed is kept, and gets its
/// credentials anew if these have.
///
/// # Errors
/// Every [`Error`] that there is.
pub(super) async fn connect(
    config: &Config,
    before: Option<Before<'_>>,
    clock: &Clock,
    random: &Random,
) -> Result<Connected, Vec<Error>> {
    let mut connected = Connected::default();
    let mut errors = Vec::new();
    let load = async |it| {
        let former = before.and_then(|before| Former::of(it, before));
        let loaded = load(it, former.as_ref()).await;
        (it, former, loaded)
    };
    // at once, for the sake of commands
    let all = join_all(config.upstreams.iter().map(load)).await;
    for (it, former, loaded) in all {
        let (credentials, are_new) = match loaded {
            Ok(loaded) => loaded,
            Err(more) => {
                errors.extend(more);
                continue;
            }
        };
        let client = match former.filter(|former| former.is_still(it)) {
            Some(Former { client, .. }) => {
                if are_new {
                    let client = client.clone();
                    connected.renewals.push(Renewal {
                        client,
                        credentials,
                    });
                }
                client
            }
            None => match client(it, credentials, clock, random) {
                Ok(client) => {
                    let client = Arc::new(client);
                    connected.new.push(client.clone());
                    client
                }
                Err(error) => {
                    errors.push(error.into());
                    continue;
                }
            },
        };
        connected.registry.add(client, &it.address, it.default);
    }
    if errors.is_empty() {
        Ok(connected)
    } else {
        Err(errors)
    }
}

/// An upstream as it was before.
struct Former<'a> {
    settings: &'a config::Upstream,
    client: Arc<Client>,
    before: Before<'a>,
}

impl<'a> Former<'a> {
    fn of(upstream: &config::Upstream, before: Before<'a>) -> Option<Self> {
        let mut settings = before.config.upstreams.iter();
        let registry = &before.state.gateway.upstreams;
        Some(Self {
            settings: settings.find(|it| it.name == upstream.name)?,
            client: registry.client(&upstream.name)?.clone(),
            before,
        })
    }

    /// Whether its client is as these settings want it, but for the credentials.
    fn is_still(&self, upstream: &config::Upstream) -> bool {
        let ca = upstream.limits.ca.as_deref();
        self.settings.base_url == upstream.base_url
            && self.settings.limits == upstream.limits
            && !ca.is_some_and(|it| self.before.changed.file(it))
    }

    /// The place of a credential that has not changed.
    fn place(&self, credential: &config::Credential) -> Option<usize> {
        let mut all = self.settings.credentials.iter();
        all.position(|it| it == credential)
            .filter(|_| !self.before.changed.credential(&credential.source))
    }
}

/// An upstream's credentials, and whether any of them may be another than before.
async fn load(
    upstream: &config::Upstream,
    former: Option<&Former<'_>>,
) -> Result<(Credentials, bool), Vec<Error>> {
    let (mut credentials, mut errors) = (Credentials::new(), Vec::new());
    let held = former.map(|it| it.client.credentials());
    let mut are_new = false;
    for (at, it) in upstream.credentials.iter().enumerate() {
        let place = former.and_then(|former| former.place(it));
        let kept = place.and_then(|place| held.as_ref()?.get(place).cloned());
        if let Some(kept) = kept {
            credentials.push(kept);
            continue;
        }
        match it.source.load().await {
            Ok(secret) => {
                // a command may give the same as before
                let same = |(header, held): &(_, SecretString)| {
                    *header == it.header && held.expose_secret() == secret.expose_secret()
                };
                are_new |= !held.as_ref().is_some_and(|it| it.get(at).is_some_and(same));
                credentials.push((it.header.clone(), secret));
            }
            Err(fault) => errors.push(Error::Credential {
                upstream: upstream.name.clone(),
                setting: it.setting,
                fault,
            }),
        }
    }
    if errors.is_empty() {
        Ok((credentials, are_new))
    } else {
        Err(errors)
    }
}

fn client(
    upstream: &config::Upstream,
    credentials: Credentials,
    clock: &Clock,
    random: &Random,
) -> Result<Client, http::Error> {
    let limits = &upstream.limits;
    let http = http::client(&http::Options {
        connect_timeout: limits.connect_timeout,
        pool_max_idle_per_host: limits.max_concurrency,
        ca: limits.ca.clone(),
    })?;
    let settings = upstream::Settings {
        name: upstream.name.clone(),
        base_url: upstream.base_url.clone(),
        timeout: limits.timeout,
        max_concurrency: limits.max_concurrency,
        max_response_bytes: limits.max_response_bytes,
        seek: upstream.seek,
    };
    let (clock, random) = (clock.clone(), random.clone());
    Ok(Client::new(settings, http, credentials, clock, random))
}

/// How long the first calls may be kept waiting for what is known of upstreams.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Looks for our own keys at these upstreams from now on.
pub(super) fn follow(
    clients: &[Arc<Client>],
    (clock, random): (&Clock, &Random),
    tasks: &Tasks,
    metrics: &Metrics,
) {
    for it in clients {
        masters::follow(it, clock, random, tasks, metrics);
    }
}

/// Waits until they have been looked for once, at all upstreams at once, and for a
/// while at most: one that does not answer keeps nobody from the others.
pub(super) async fn first_look(clients: &[Arc<Client>], clock: &Clock) {
    let until = clock.instant() + FIRST_LOOK;
    join_all(clients.iter().map(|it| it.masters().are_known(until))).await;
}
