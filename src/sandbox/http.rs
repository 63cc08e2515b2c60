//! What every simulator shares: a server on a port of its own, the faults it is
//! told to make, the log of what it was asked, and the routes that control it.
//!
//! | control route | does |
//! |---|---|
//! | `GET /__state` | the vendor's whole state, secrets included, `requests` and `faults` |
//! | `POST /__faults` | adds a rule (see [`faults`]) |
//! | `GET /__faults` | the rules that still hold |
//! | `DELETE /__faults` | removes all rules |
//!
//! They need no credentials, are never delayed, counted, logged or faulted.
//! This module knows no vendor: a [`Vendor`] brings its routes and its state.

mod connection;
mod exchange;
mod log;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    middleware,
    routing::get,
};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::faults::{self, Faults};
use crate::{clock::Clock, tasks::Tasks};

use log::Log;

/// Why a simulator can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port can't be had.
    #[error("can't listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What became of a credential that a request may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is valid.
    Valid,
    /// It is not.
    Invalid,
    /// The request carries none.
    Missing,
}

/// A vendor's own part of a simulator.
pub trait Vendor: Send + Sync + 'static {
    /// Its routes, and its answer to unknown ones.
    fn routes(self: Arc<Self>) -> Router;

    /// The headers that carry credentials, in lower case, each with what became
    /// of it. Their values never reach the request log.
    fn credentials(&self, headers: &HeaderMap) -> Vec<(&'static str, Verdict)>;

    /// Everything it holds.
    fn state(&self) -> Map<String, Value>;
}

/// How a simulator is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// How long every answer of the API takes at least.
    pub latency: Duration,
}

/// A running simulator. It stops with the tasks it was started on.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the middleware and the control routes share.
struct Shared {
    vendor: Arc<dyn Vendor>,
    latency: Duration,
    clock: Clock,
    log: Log,
    faults: Faults,
}

impl Server {
    /// Listens, and serves from then on.
    ///
    /// # Errors
    /// [`Error::Listen`] if the address can't be listened on.
    pub async fn start(
        vendor: Arc<impl Vendor>,
        options: Options,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let fault = |source| Error::Listen {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let shared = Arc::new(Shared {
            vendor: Arc::clone(&vendor) as Arc<dyn Vendor>,
            latency: options.latency,
            clock,
            log: Log::default(),
            faults: Faults::default(),
        });
        let api = vendor.routes().layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            exchange::exchange,
        ));
        let router = api.merge(control(Arc::clone(&shared)));
        tasks.spawn_background(connection::accept(listener, router, tasks.clone()));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL, without a final slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The faults it makes.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What `GET /__state` answers.
    #[must_use]
    pub fn state(&self) -> Value {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> Value {
        let mut state = self.vendor.state();
        state.insert("requests".to_owned(), self.log.entries());
        state.insert("faults".to_owned(), json!(self.faults.list()));
        Value::Object(state)
    }
}

fn control(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/__state", get(state))
        .route("/__faults", get(rules).post(inject).delete(clear))
        .with_state(shared)
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.state())
}

async fn rules(State(shared): State<Arc<Shared>>) -> Json<Vec<faults::Rule>> {
    Json(shared.faults.list())
}

async fn inject(State(shared): State<Arc<Shared>>, body: Bytes) -> (StatusCode, Json<Value>) {
    let injected = serde_json::from_slice(&body)
        .map_err(|fault| fault.to_string())
        .and_then(|rule| {
            shared
                .faults
                .inject(rule)
                .map_err(|fault| fault.to_string())
        });
    match injected {
        Ok(()) => (StatusCode::CREATED, Json(json!(shared.faults.list()))),
        Err(message) => (
            StatusCode::BAD_REQUEST,
            Json(json!({ "errors": [message] })),
        ),
    }
}

async fn clear(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}
