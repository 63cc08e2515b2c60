//! One Braintrust instance with one organization, over real HTTP: the API keys
//! of its users and the service tokens of its service accounts.
//!
//! It promises what the vendor's API reference says, and the refusal of API keys
//! that make API keys, which its knowledge base says. Where those are silent:
//!
//! - a credential that is missing or wrong is 401, one that may not is 403;
//! - an id or a cursor that is nobody's is 400, in plain text;
//! - a user sees the user's own API keys, a service account with owner rights all
//!   of them, another one none;
//! - a list has 100 objects at most unless asked otherwise;
//! - a token that is replaced keeps its id, and counts as created anew; of several
//!   of the same name it is the newest;
//! - a body that makes no sense is 400 in JSON, every other refusal plain text.
//!
//! It must not know keygate: the vendor's own clients use it as they use the
//! real API.

mod api_keys;
mod caller;
mod list;
mod org;
mod refusal;
mod secret;
mod service_tokens;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use prost_types::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{
    faults::Faults,
    http::{self, Server, Vendor, Verdict},
    rate::{Limit, Standing, Window},
};
use crate::{clock::Clock, random::Random, tasks::Tasks};

use org::Org;
use refusal::Refusal;

/// How an instance is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name, for the state dump: `default`.
    pub name: String,
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// A path before the API's own, as a data plane behind a gateway has it:
    /// `/braintrust`. Empty: none.
    pub path: String,
    /// The master service token; random if absent.
    pub token: Option<SecretString>,
    /// The id of the service account without owner rights; random if absent.
    pub service_account_id: Option<String>,
    /// Names of the API keys that the organization's user has from the start,
    /// oldest first: the API makes none.
    pub api_keys: Vec<String>,
    /// How long every answer takes at least.
    pub latency: Duration,
    /// The limit on requests.
    pub rate_limit: Limit,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            path: String::new(),
            token: None,
            service_account_id: None,
            api_keys: ["laptop", "notebook", "evaluations"]
                .map(str::to_owned)
                .into(),
            latency: Duration::ZERO,
            rate_limit: Limit {
                name: "requests".to_owned(),
                requests: 100_000,
                period: Duration::from_secs(10),
            },
        }
    }
}

/// A running instance. Cheap to clone; it stops with the tasks it was started on.
#[derive(Clone)]
pub struct Instance {
    server: Server,
    simulator: Arc<Simulator>,
    token: SecretString,
    path: String,
}

impl Instance {
    /// Starts an instance with a master service token, whose account has owner
    /// rights, a further service account without, and a user with some API keys.
    ///
    /// # Errors
    /// [`http::Error`] if it can't listen.
    pub async fn start(
        options: Options,
        clock: Clock,
        random: Random,
        tasks: &Tasks,
    ) -> Result<Self, http::Error> {
        let token = options
            .token
            .unwrap_or_else(|| secret::service_token(&random));
        let service_account_id = options
            .service_account_id
            .unwrap_or_else(|| random.uuid().to_string());
        let mut org = Org::found(&random, clock.now(), token.clone(), service_account_id);
        for name in options.api_keys {
            org.add_api_key(&random, clock.now(), name);
        }
        let simulator = Arc::new(Simulator {
            name: options.name,
            path: options.path.clone(),
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
            token,
            path: options.path,
        })
    }

    /// Its base URL, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}{}", self.server.base_url(), self.path)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.simulator.name
    }

    /// The master service token.
    #[must_use]
    pub fn token(&self) -> &SecretString {
        &self.token
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

    /// The id of the service account without owner rights, which is there for
    /// tokens to be made for.
    #[must_use]
    pub fn service_account_id(&self) -> String {
        self.simulator.org().service_account_id().to_owned()
    }

    /// Makes an API key for the organization's user, as the settings page does.
    /// Returns its id.
    pub fn add_api_key(&self, name: &str) -> String {
        let now = self.simulator.clock.now();
        let random = &self.simulator.random;
        self.simulator
            .org()
            .add_api_key(random, now, name.to_owned())
    }
}

/// The instance itself, as its handlers see it.
struct Simulator {
    name: String,
    path: String,
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
        let v1 = api_keys::routes().merge(service_tokens::routes());
        Router::new()
            .nest(&format!("{}/v1", self.path), v1)
            .fallback(|| async { Refusal::text(StatusCode::NOT_FOUND, "Not Found") })
            .method_not_allowed_fallback(|| async {
                Refusal::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            })
            .layer(middleware::from_fn_with_state(Arc::clone(&self), limited))
            .with_state(self)
    }

    fn credentials(&self, headers: &HeaderMap) -> Vec<(&'static str, Verdict)> {
        caller::verdicts(&self.org(), headers)
    }

    fn state(&self) -> Map<String, Value> {
        let mut state = self.org().state();
        state.insert("vendor".to_owned(), "braintrust".into());
        state.insert("name".to_owned(), self.name.as_str().into());
        state
    }
}

/// Counts every request, refuses those that are too many, and gives every answer
/// an id.
async fn limited(
    State(simulator): State<Arc<Simulator>>,
    request: Request,
    next: Next,
) -> Response {
    let standing = simulator.window.count(simulator.clock.instant());
    let mut response = if standing.admitted {
        next.run(request).await
    } else {
        refused(standing)
    };
    let id = simulator.random.uuid().to_string();
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-bt-internal-trace-id", id);
    }
    response
}

fn refused(standing: Standing) -> Response {
    // A client that comes back on the second must not find the window still shut.
    let reset = standing.reset.as_millis().div_ceil(1_000);
    let refusal = Refusal::text(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    let mut response = refusal.into_response();
    if let Ok(reset) = u64::try_from(reset) {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, reset.into());
    }
    response
}

/// A time as this API writes it, to the millisecond: `2024-10-31T17:24:47.101Z`.
fn written(time: SystemTime) -> String {
    let mut stamp = Timestamp::from(time);
    stamp.nanos -= stamp.nanos % 1_000_000;
    stamp.to_string()
}
