//! The clients of all configured upstreams, with their credentials loaded.

use ::http::{HeaderName, Uri};

use crate::{
    clock::Clock,
    config::{Config, datadog::Org},
    datadog::site,
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
    for org in &config.datadog {
        match datadog(org, clock, random).await {
            Ok(client) => registry.add(client, &org.address(), org.default),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() {
        Ok(registry)
    } else {
        Err(errors)
    }
}

async fn datadog(
    org: &Org,
    clock: &Clock,
    random: &Random,
) -> Result<upstream::Client, Vec<Error>> {
    const API_KEY: HeaderName = HeaderName::from_static("dd-api-key");
    const APP_KEY: HeaderName = HeaderName::from_static("dd-application-key");
    let name = org.name();
    let load = async |source: &credentials::Source, setting| {
        source.load().await.map_err(|fault| Error::Credential {
            upstream: name.clone(),
            setting,
            fault,
        })
    };
    let api_key = load(&org.api_key, "api_key").await;
    let credentials = match (api_key, load(&org.app_key, "app_key").await) {
        (Ok(api_key), Ok(app_key)) => vec![(API_KEY, api_key), (APP_KEY, app_key)],
        (api_key, app_key) => {
            return Err([api_key.err(), app_key.err()]
                .into_iter()
                .flatten()
                .collect());
        }
    };
    let client = http::client(&http::Options {
        connect_timeout: org.connect_timeout,
        pool_max_idle_per_host: org.max_concurrency,
        ca: org.ca.clone(),
    })
    .map_err(|e| vec![e.into()])?;
    let documented = Uri::from_static(site::base_url(org.site).unwrap_or_default());
    let settings = upstream::Settings {
        name: name.clone(),
        base_url: org.base_url.clone().unwrap_or(documented),
        timeout: org.timeout,
        max_concurrency: org.max_concurrency,
        max_response_bytes: org.max_response_bytes,
    };
    Ok(upstream::Client::new(
        settings,
        client,
        credentials,
        clock.clone(),
        random.clone(),
    ))
}
