//! One Datadog site with one organization, over real HTTP: API keys,
//! application keys and access tokens, those of service accounts too, and the two
//! validation probes of API v2; and the keys once more as the legacy API v1 shows
//! them.
//!
//! It promises the formats, limits and quirks that the recorded answers of the
//! real API show. Where those are silent:
//!
//! - a missing credential is 401, a wrong one 403, a scope that a scoped
//!   application key lacks is 403;
//! - a page has 10 entries unless asked otherwise, but 100 for application keys;
//! - one window counts all requests, and its headers come with every answer
//!   that no fault made up;
//! - the key that is one too many is 400;
//! - a service account that is not there is 404, and so is a service account's
//!   token among personal ones, but for their list.
//!
//! It must not know keygate: the vendor's own clients use it as they use the
//! real API.

mod access_tokens;
mod api_keys;
mod application_keys;
mod caller;
mod document;
mod org;
mod query;
mod reach;
mod secret;
mod time;
mod v1;
mod validate;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{
    faults::Faults,
    http::{self, Server, Vendor, Verdict},
    rate::{Limit, Standing, Window},
};
use crate::{clock::Clock, random::Random, tasks::Tasks};

use document::Refusal;
use org::Org;

pub use org::NoSuchKey;

/// How a site is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name: `us1`. A Government site, `us1-fed` or `us2-fed`, has no
    /// API v1.
    pub name: String,
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// The master API key (32 hex digits); random if absent.
    pub api_key: Option<SecretString>,
    /// The master application key (40 hex digits); random if absent.
    pub app_key: Option<SecretString>,
    /// The id of the service account that is there from the start; random if
    /// absent.
    pub service_account_id: Option<String>,
    /// One-Time Read mode: a key's value is in the answer that created it only,
    /// and API v1 has no application keys.
    pub one_time_read: bool,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// API keys that the organization may have.
    pub max_api_keys: usize,
    /// Application keys that a user may have.
    pub max_application_keys_per_user: usize,
    /// The limit on requests.
    pub rate_limit: Limit,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "us1".to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_key: None,
            app_key: None,
            service_account_id: None,
            one_time_read: false,
            latency: Duration::ZERO,
            max_api_keys: 50,
            max_application_keys_per_user: 1_000,
            rate_limit: Limit {
                name: "key_management".to_owned(),
                requests: 100_000,
                period: Duration::from_secs(10),
            },
        }
    }
}

/// A running site. Cheap to clone; it stops with the tasks it was started on.
#[derive(Clone)]
pub struct Site {
    server: Server,
    simulator: Arc<Simulator>,
    api_key: SecretString,
    app_key: SecretString,
    service_account_id: String,
}

impl Site {
    /// Starts a site that holds its two master keys, a service account, and
    /// nothing else.
    ///
    /// # Errors
    /// [`http::Error`] if it can't listen.
    pub async fn start(
        options: Options,
        clock: Clock,
        random: Random,
        tasks: &Tasks,
    ) -> Result<Self, http::Error> {
        let api_key = options.api_key.unwrap_or_else(|| secret::api_key(&random));
        let app_key = options
            .app_key
            .unwrap_or_else(|| secret::application_key(&random));
        let now = clock.now();
        let mut org = Org::found(&random, now, api_key.clone(), app_key.clone());
        let service_account_id = options
            .service_account_id
            .unwrap_or_else(|| random.uuid().to_string());
        org.add_service_account(&service_account_id, "service account", now);
        let simulator = Arc::new(Simulator {
            name: options.name,
            one_time_read: options.one_time_read,
            max_api_keys: options.max_api_keys,
            max_application_keys_per_user: options.max_application_keys_per_user,
            window: Window::new(options.rate_limit),
            clock: clock.clone(),
            random,
            org: Mutex::new(org),
        });
        let serve = http::Options {
            address: options.address,
            latency: options.latency,
        };
        let server = Server::start(Arc::clone(&simulator), serve, clock, tasks).await?;
        Ok(Self {
            server,
            simulator,
            api_key,
            app_key,
            service_account_id,
        })
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

    /// The master API key.
    #[must_use]
    pub fn api_key(&self) -> &SecretString {
        &self.api_key
    }

    /// The master application key.
    #[must_use]
    pub fn app_key(&self) -> &SecretString {
        &self.app_key
    }

    /// The id of the service account that is there from the start.
    #[must_use]
    pub fn service_account_id(&self) -> &str {
        &self.service_account_id
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

    /// Adds a user with an application key, whose value this is.
    #[must_use]
    pub fn add_user(&self, name: &str) -> SecretString {
        let value = secret::application_key(&self.simulator.random);
        let now = self.simulator.clock.now();
        self.simulator
            .org()
            .add_user(&self.simulator.random, now, name, value.clone());
        value
    }

    /// Adds a service account, whose id this is.
    #[must_use]
    pub fn add_service_account(&self, name: &str) -> String {
        let now = self.simulator.clock.now();
        let id = self.simulator.random.uuid().to_string();
        self.simulator.org().add_service_account(&id, name, now);
        id
    }

    /// Reports a key or token as found in public.
    ///
    /// # Errors
    /// [`NoSuchKey`] if the id is nobody's.
    pub fn report_leak(&self, id: &str, source: &str) -> Result<(), NoSuchKey> {
        let now = self.simulator.clock.now();
        let leak = self.simulator.random.uuid().to_string();
        self.simulator.org().report_leak(id, leak, source, now)
    }
}

/// The site itself, as its handlers see it.
struct Simulator {
    name: String,
    one_time_read: bool,
    max_api_keys: usize,
    max_application_keys_per_user: usize,
    window: Window,
    clock: Clock,
    random: Random,
    org: Mutex<Org>,
}

impl Simulator {
    fn org(&self) -> MutexGuard<'_, Org> {
        self.org.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor for Simulator {
    fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .nest("/api/v1", v1::routes(&self))
            .nest("/api/v2", v2())
            .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "Not Found") })
            .method_not_allowed_fallback(|| async {
                Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            })
            .layer(middleware::from_fn_with_state(Arc::clone(&self), limited))
            .with_state(self)
    }

    fn credentials(&self, headers: &HeaderMap) -> Vec<(&'static str, Verdict)> {
        caller::verdicts(&self.org(), headers)
    }

    fn state(&self) -> Map<String, Value> {
        let mut state = self.org().state();
        state.insert("vendor".to_owned(), "datadog".into());
        state.insert("name".to_owned(), self.name.as_str().into());
        state.insert("one_time_read".to_owned(), self.one_time_read.into());
        state
    }
}

fn v2() -> Router<Arc<Simulator>> {
    api_keys::routes()
        .merge(application_keys::routes())
        .merge(access_tokens::routes())
        .merge(validate::routes())
}

/// Counts every request and tells the client where it stands.
async fn limited(
    State(simulator): State<Arc<Simulator>>,
    request: Request,
    next: Next,
) -> Response {
    let standing = simulator.window.count(simulator.clock.instant());
    let mut response = if standing.admitted {
        next.run(request).await
    } else {
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests").into_response()
    };
    tell(simulator.window.limit(), standing, response.headers_mut());
    response
}

fn tell(limit: &Limit, standing: Standing, headers: &mut HeaderMap) {
    // A client that comes back on the second must not find the window still shut.
    let reset = standing.reset.as_millis().div_ceil(1_000);
    headers.insert("x-ratelimit-limit", limit.requests.into());
    headers.insert("x-ratelimit-period", limit.period.as_secs().into());
    headers.insert("x-ratelimit-remaining", standing.remaining.into());
    if let Ok(reset) = u64::try_from(reset) {
        headers.insert("x-ratelimit-reset", reset.into());
    }
    if let Ok(name) = HeaderValue::from_str(&limit.name) {
        headers.insert("x-ratelimit-name", name);
    }
}
