//! What calls are let in, decided and made with. All of it changes together:
//! whoever looks sees one whole state, and never parts of two.
//!
//! A state is loaded from a configuration and everything that this names. A later
//! one keeps what has not changed, and with it what was learned meanwhile: keys
//! that were fetched, tokens that were verified, limits that upstreams told of.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::watch;

use super::{Error, listen::Peer, tls::Tls, upstreams};
use crate::{
    auth::{Authenticator, Issuer, Keys},
    clock::Clock,
    config::{self, Config},
    contract::Contract,
    gateway,
    live::Live,
    policy::Policy,
    random::Random,
    status,
    tasks::Tasks,
    upstream::{Client, credentials::Source},
};

/// What calls are let in, decided and made with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct State {
    /// Who calls.
    pub authenticator: Authenticator,
    /// TLS, where connections have it.
    pub tls: Option<Tls>,
    /// What callers may do, and where.
    pub gateway: Arc<gateway::Setup>,
    /// How many calls may be under way at once.
    pub max_in_flight: usize,
    /// For how long records are kept; `None` for ever.
    pub retention: Option<Duration>,
}

impl State {
    /// Whether TLS is the same as in another state.
    #[must_use]
    pub fn has_tls_of(&self, other: &Self) -> bool {
        match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => one.is(other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// The names in the client certificate of a connection at that time; `None`
    /// where none is asked for.
    ///
    /// # Errors
    /// [`status::Error::CertificateInvalid`] if one is asked for, and the connection
    /// has none that holds.
    pub fn admit(
        &self,
        peer: Option<&Peer>,
        at: SystemTime,
    ) -> Result<Option<Arc<[String]>>, status::Error> {
        let Some(tls) = self.tls.as_ref().filter(|it| it.asks_clients()) else {
            return Ok(None);
        };
        let certificate = peer.and_then(|it| it.certificate.as_deref());
        if tls.admits(certificate, at) {
            return Ok(certificate.map(|it| it.names().clone()));
        }
        Err(status::Error::CertificateInvalid)
    }
}

impl gateway::revocation::Source for Live<State> {
    fn current(&self) -> Arc<gateway::Setup> {
        Self::current(self).gateway.clone()
    }

    fn setups(&self) -> BoxStream<'static, Arc<gateway::Setup>> {
        let mut changes = self.changes();
        changes.mark_changed();
        let next = async |mut changes: watch::Receiver<Arc<State>>| {
            changes.changed().await.ok()?;
            let setup = changes.borrow_and_update().gateway.clone();
            Some((setup, changes))
        };
        stream::unfold(changes, next).boxed()
    }
}

/// What a state is loaded with.
#[derive(Clone, Debug)]
pub(super) struct Loader {
    pub(super) contract: Arc<Contract>,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) tasks: Tasks,
}

/// The state before, and what has changed since.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) config: &'a Config,
    pub(super) state: &'a State,
    pub(super) changed: &'a Changed,
}

/// What is to be read anew.
#[derive(Debug)]
pub(super) struct Changed {
    /// What is in these files.
    pub(super) files: BTreeSet<PathBuf>,
    /// What commands give. Nothing tells when that would be something else, and a
    /// command may take long, or fail for reasons of its own: none is run because a
    /// file has changed.
    pub(super) commands: bool,
}

/// Why a configuration can't be used.
pub(super) struct Refusal {
    /// All that is wrong.
    pub(super) faults: Vec<Error>,
    /// The policy that it names, if nothing is wrong with that.
    pub(super) policy: Option<Arc<Policy>>,
}

/// A state that was loaded and does not hold yet.
pub(super) struct Loaded {
    pub(super) state: State,
    pub(super) renewals: Vec<upstreams::Renewal>,
    /// Upstreams that were not there before.
    pub(super) new: Vec<Arc<Client>>,
    /// What is no fault, and hardly meant.
    pub(super) remarks: Vec<String>,
}

impl Loaded {
    /// Tells of remarks in the log.
    pub(super) fn remark(&self) {
        for remark in &self.remarks {
            tracing::warn!("{remark}");
        }
    }
}

impl Changed {
    pub(super) fn file(&self, path: &Path) -> bool {
        self.files.contains(path)
    }

    pub(super) fn credential(&self, source: &Source) -> bool {
        match source {
            // a process can't be given another environment
            Source::Env(_) => false,
            Source::File(path) => self.file(path),
            Source::Command(_) => self.commands,
        }
    }

    fn tls(&self, tls: &config::Tls) -> bool {
        let files = [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()];
        files.into_iter().flatten().any(|it| self.file(it))
    }

    /// Whether an issuer's keys may be others, or have to be fetched otherwise.
    fn keys(&self, keys: &Keys) -> bool {
        match keys {
            Keys::File(path) => self.file(path),
            Keys::Url(_, fetching) => fetching.ca.as_ref().is_some_and(|it| self.file(it)),
            Keys::SharedSecret(source) => self.credential(source),
        }
    }
}

impl Loader {
    /// Loads all that a configuration names.
    ///
    /// # Errors
    /// Every fault that there is.
    pub(super) async fn load(
        &self,
        config: &Config,
        before: Option<Before<'_>>,
    ) -> Result<Loaded, Refusal> {
        let mut faults = Vec::new();
        let policy = self.policy(config, before).await;
        let policy = policy.map_err(|e| faults.push(e)).ok();
        let tls = tls(config, before).map_err(|e| faults.push(e)).ok();
        let authenticator = self.authenticator(config, before).await;
        let authenticator = authenticator.map_err(|e| faults.push(e)).ok();
        let upstreams = upstreams::connect(config, before, &self.clock, &self.random).await;
        let upstreams = upstreams
            .map_err(|all| faults.extend(all.into_iter().map(Error::from)))
            .ok();
        let (Some(policy), Some(tls), Some(authenticator), Some(connected)) =
            (policy.clone(), tls, authenticator, upstreams)
        else {
            return Err(Refusal { faults, policy });
        };
        let remarks = remarks(config, &policy);
        let server = &config.server;
        let gateway = gateway::Setup {
            policy,
            upstreams: Arc::new(connected.registry),
            limits: gateway::Limits {
                request_timeout: server.request_timeout,
                reserve: server.conclude_reserve,
            },
            loaded_at: self.clock.now(),
            refused_since: None,
        };
        let state = State {
            authenticator,
            tls,
            gateway: Arc::new(gateway),
            max_in_flight: server.max_in_flight,
            retention: config.audit.retention,
        };
        Ok(Loaded {
            state,
            renewals: connected.renewals,
            new: connected.new,
            remarks,
        })
    }

    async fn policy(
        &self,
        config: &Config,
        before: Option<Before<'_>>,
    ) -> Result<Arc<Policy>, Error> {
        let file = &config.policy.file;
        if let Some(it) = before
            && it.config.policy == config.policy
            && !it.changed.file(file)
        {
            return Ok(it.state.gateway.policy.base());
        }
        let (file, contract) = (file.clone(), self.contract.clone());
        // a large one takes a while, and calls are served meanwhile
        let loading = tokio::task::spawn_blocking(move || Policy::load(&file, &contract));
        match loading.await {
            Ok(policy) => Ok(Arc::new(policy?)),
            Err(_) => Err(Error::Interrupted),
        }
    }

    async fn authenticator(
        &self,
        config: &Config,
        before: Option<Before<'_>>,
    ) -> Result<Authenticator, Error> {
        let issuers = &config.auth.issuers;
        let mut former = None;
        if let Some(it) = before {
            let changed = |issuer: &&Issuer| it.changed.keys(&issuer.keys);
            let changed: Vec<_> = issuers.iter().filter(changed).collect();
            if changed.is_empty() && it.config.auth == config.auth {
                return Ok(it.state.authenticator.clone());
            }
            // with other certificates to trust, keys are fetched anew
            let is_fetched = |issuer: &&Issuer| matches!(issuer.keys, Keys::Url(..));
            if !changed.iter().any(is_fetched) {
                former = Some(&it.state.authenticator);
            }
        }
        let (clock, tasks) = (self.clock.clone(), &self.tasks);
        let started = Authenticator::start(issuers.clone(), clock, tasks, former);
        started.await.map_err(Error::Auth)
    }
}

fn remarks(config: &Config, policy: &Policy) -> Vec<String> {
    let tls = config.server.tls.as_ref();
    if tls.is_some_and(|it| it.client_ca.is_some()) {
        return Vec::new();
    }
    let grants = policy.grants_with_certificate();
    grants
        .map(|at| {
            format!(
                "{}: grants[{at}].certificate: the grant never holds, \
                 as without server.tls.client_ca no client shows a certificate",
                config.policy.file.display()
            )
        })
        .collect()
}

fn tls(config: &Config, before: Option<Before<'_>>) -> Result<Option<Tls>, Error> {
    let Some(tls) = &config.server.tls else {
        return Ok(None);
    };
    if let Some(it) = before
        && it.config.server.tls.as_ref() == Some(tls)
        && !it.changed.tls(tls)
    {
        return Ok(it.state.tls.clone());
    }
    Ok(Some(Tls::load(tls)?))
}
