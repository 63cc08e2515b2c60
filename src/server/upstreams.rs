//! The clients of all configured upstreams, with their credentials loaded.

use crate::{
    clock::Clock,
    config::{self, Config},
    http,
    random::Random,
    upstream::{self, Registry, credentials},
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

/// Makes all clients.
///
/// # Errors
/// Every [`Error`] that there is.
pub async fn connect(
    config: &Config,
    clock: &Clock,
    random: &Random,
) -> Result<Registry, Vec<Error>> {
    let (mut registry, mut errors) = (Registry::default(), Vec::new());
    for it in &config.upstreams {
        match client(it, clock, random).await {
            Ok(client) => registry.add(client, &it.address, it.default),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() {
        Ok(registry)
    } else {
        Err(errors)
    }
}

async fn client(
    upstream: &config::Upstream,
    clock: &Clock,
    random: &Random,
) -> Result<upstream::Client, Vec<Error>> {
    let (mut credentials, mut errors) = (Vec::new(), Vec::new());
    for it in &upstream.credentials {
        match it.source.load().await {
            Ok(secret) => credentials.push((it.header.clone(), secret)),
            Err(fault) => errors.push(Error::Credential {
                upstream: upstream.name.clone(),
                setting: it.setting,
                fault,
            }),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let limits = &upstream.limits;
    let http = http::client(&http::Options {
        connect_timeout: limits.connect_timeout,
        pool_max_idle_per_host: limits.max_concurrency,
        ca: limits.ca.clone(),
    })
    .map_err(|e| vec![e.into()])?;
    let settings = upstream::Settings {
        name: upstream.name.clone(),
        base_url: upstream.base_url.clone(),
        timeout: limits.timeout,
        max_concurrency: limits.max_concurrency,
        max_response_bytes: limits.max_response_bytes,
    };
    let (clock, random) = (clock.clone(), random.clone());
    Ok(upstream::Client::new(
        settings,
        http,
        credentials,
        clock,
        random,
    ))
}
