//! One region of Coveo with one organization, over real HTTP: the API keys of
//! the Authorization Server API.
//!
//! It promises the routes, members and statuses that the vendor's description
//! of the API, its documentation and its TypeScript client show. Where those are
//! silent:
//!
//! - a missing or unknown token is 401, a foreign organization is 403, and so is
//!   one of the organization's own API keys: such a key can't have the privilege
//!   to view or edit others;
//! - an update replaces everything that a caller can write: what the body leaves
//!   out is gone, and members that nobody knows are kept as they came;
//! - a bulk call is all or nothing: a key that does not exist is 412, as is one
//!   that can't be activated because it has expired;
//! - a key is disabled after 90 days without use, and says so 14 days before; it
//!   says that it will expire 14 days before;
//! - in a lifetime a year has 365 days and a month 30.
//!
//! It must not know keygate: the vendor's own client uses it as it uses the real
//! API.

mod api_keys;
mod caller;
mod document;
mod key;
mod lifetime;
mod secret;
mod templates;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    middleware,
};
use prost_types::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{
    faults::Faults,
    http::{self, Server, Vendor, Verdict},
};
use crate::{
    clock::Clock, contract::proto::keygate::coveo::v1::Region, coveo::region, random::Random,
    tasks::Tasks,
};

use document::{Refusal, identified};
use key::{ApiKey, Exposure};

pub use key::Severity;

/// How a region is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, for the state dump: `us`.
    pub name: String,
    /// The region.
    pub region: Region,
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// The organization's id; random if absent.
    pub organization_id: Option<String>,
    /// The master token; random if absent.
    pub token: Option<SecretString>,
    /// Whether that token is the value of one of the organization's API keys, and
    /// has the privilege to edit them all the same.
    pub token_is_api_key: bool,
    /// Whether times are date-time text, as the description of the API says, or
    /// milliseconds, as the vendor's client has them.
    pub date_times: bool,
    /// How long every answer takes at least.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "us".to_owned(),
            region: Region::Us,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            organization_id: None,
            token: None,
            token_is_api_key: false,
            date_times: false,
            latency: Duration::ZERO,
        }
    }
}

/// No key has this id.
#[derive(Debug, thiserror::Error)]
#[error("no key has this id")]
pub struct NoSuchKey;

/// A running organization. Cheap to clone; it stops with the tasks it was
/// started on.
#[derive(Clone)]
pub struct Organization {
    server: Server,
    simulator: Arc<Simulator>,
}

impl Organization {
    /// Starts an organization that has no API keys, but for the master's if it is one.
    ///
    /// # Errors
    /// [`http::Error`] if it can't listen.
    pub async fn start(
        options: Options,
        clock: Clock,
        random: Random,
        tasks: &Tasks,
    ) -> Result<Self, http::Error> {
        let region = region::name(options.region).unwrap_or_default();
        let token = options.token.unwrap_or_else(|| secret::token(&random));
        let mut keys = Vec::new();
        if options.token_is_api_key {
            keys.push(ApiKey::master(&token, &random, clock.now()));
        }
        let simulator = Arc::new(Simulator {
            name: options.name,
            region,
            organization_id: options
                .organization_id
                .unwrap_or_else(|| secret::organization_id(region, &random)),
            token,
            date_times: options.date_times,
            clock: clock.clone(),
            random,
            keys: Mutex::new(keys),
        });
        let serve = http::Options {
            address: options.address,
            latency: options.latency,
        };
        let server = Server::start(Arc::clone(&simulator), serve, clock, tasks).await?;
        Ok(Self { server, simulator })
    }

    /// Its base URL, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.simulator.name
    }

    /// The organization's id.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.simulator.organization_id
    }

    /// The master token.
    #[must_use]
    pub fn token(&self) -> &SecretString {
        &self.simulator.token
    }

    /// The faults it makes.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// What `GET /__state` answers, secrets included.
    #[must_use]
    pub fn state(&self) -> Value {
        self.server.state()
    }

    /// Reports a key as found in public, at this URL.
    ///
    /// # Errors
    /// [`NoSuchKey`] if the id is nobody's.
    pub fn report_exposure(
        &self,
        id: &str,
        severity: Severity,
        url: &str,
    ) -> Result<(), NoSuchKey> {
        let mut keys = self.simulator.keys();
        let key = keys.iter_mut().find(|key| key.id == id).ok_or(NoSuchKey)?;
        key.exposure = Some(Exposure {
            id: self.simulator.random.uuid().to_string(),
            severity,
            url: url.to_owned(),
            created: self.simulator.clock.now(),
        });
        Ok(())
    }
}

/// The organization itself, as its handlers see it.
struct Simulator {
    name: String,
    region: &'static str,
    organization_id: String,
    token: SecretString,
    date_times: bool,
    clock: Clock,
    random: Random,
    keys: Mutex<Vec<ApiKey>>,
}

impl Simulator {
    fn keys(&self) -> MutexGuard<'_, Vec<ApiKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A time as answers write it.
    fn time(&self, time: SystemTime) -> Value {
        let Timestamp { seconds, nanos } = Timestamp::from(time);
        let millis = seconds * 1_000 + i64::from(nanos / 1_000_000);
        if self.date_times {
            let whole = Timestamp {
                seconds,
                nanos: nanos - nanos % 1_000_000,
            };
            json!(whole.to_string())
        } else {
            json!(millis)
        }
    }

    /// A key as answers show it, with its value or with a mask for it.
    fn shown(&self, key: &ApiKey, value: &str) -> Value {
        let now = self.clock.now();
        key.members(value, &self.organization_id, now, |time| self.time(time))
    }
}

impl Vendor for Simulator {
    fn routes(self: Arc<Self>) -> Router {
        let keys = api_keys::routes();
        Router::new()
            .nest("/rest/organizations/{organization_id}/apikeys", keys)
            .fallback(|| async { Refusal::not_found("NOT_FOUND", "Not found") })
            .method_not_allowed_fallback(|| async {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                Refusal::new(status, "METHOD_NOT_ALLOWED", "Method not allowed")
            })
            .layer(middleware::from_fn_with_state(
                Arc::clone(&self),
                identified,
            ))
            .with_state(self)
    }

    fn credentials(&self, headers: &HeaderMap) -> Vec<(&'static str, Verdict)> {
        vec![("authorization", caller::verdict(self, headers))]
    }

    fn state(&self) -> Map<String, Value> {
        let keys = self.keys();
        let keys = keys
            .iter()
            .map(|key| self.shown(key, key.value.expose_secret()));
        Map::from_iter([
            ("vendor".to_owned(), json!("coveo")),
            ("name".to_owned(), json!(self.name)),
            ("region".to_owned(), json!(self.region)),
            ("organization_id".to_owned(), json!(self.organization_id)),
            ("api_keys".to_owned(), keys.collect()),
            ("templates".to_owned(), templates::all()),
        ])
    }
}
