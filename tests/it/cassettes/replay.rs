//! A server that answers what was recorded.
//!
//! Every interaction has an organization of its own in the gateway's
//! configuration, and is known by that organization's API key: none disturbs
//! another by its rate limits or failures.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::Request, response::Response};
use http_body_util::BodyExt as _;
use keygate::tasks::Tasks;
use serde_json::Value as Json;
use tokio::net::TcpListener;

use super::recording::{Interaction, as_json, decoded, query};
use crate::support::own_keys;

/// Headers that are of the recorded connection and not of the answer.
const OF_CONNECTION: [&str; 4] = [
    "connection",
    "content-encoding",
    "content-length",
    "transfer-encoding",
];

/// The server.
pub(super) struct Replay {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: Tasks,
}

struct Shared {
    recorded: Vec<Interaction>,
    /// The requests that came for each.
    seen: Mutex<Vec<Vec<Json>>>,
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Replay {
    pub(super) async fn start(recorded: Vec<Interaction>) -> Self {
        let tasks = Tasks::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Mutex::new(vec![Vec::new(); recorded.len()]);
        let shared = Arc::new(Shared { recorded, seen });
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let routes = own_keys::told(routes);
        tasks.spawn_background(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            shared,
            address,
            tasks,
        }
    }

    /// The organization of an interaction.
    pub(super) fn org(number: usize) -> String {
        format!("i{number}")
    }

    /// The gateway's upstreams: one for each interaction.
    pub(super) fn upstreams(&self) -> String {
        let upstream = |number| {
            let (org, address) = (Self::org(number), self.address);
            format!(
                "[[datadog]]\nsite = \"us1\"\norg = \"{org}\"\nbase_url = \"http://{address}\"\n\
                 api_key = {{ file = \"{org}\" }}\napp_key = {{ file = \"{org}\" }}\n"
            )
        };
        (0..self.shared.recorded.len()).map(upstream).collect()
    }

    /// Their credentials, by the names of their files.
    pub(super) fn credentials(&self) -> Vec<(String, String)> {
        let all = 0..self.shared.recorded.len();
        all.map(|it| (Self::org(it), format!("replay-{it}")))
            .collect()
    }

    /// The requests that came for an interaction.
    pub(super) fn seen(&self, number: usize) -> Vec<Json> {
        self.shared.seen.lock().unwrap()[number].clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    request: Request<axum::body::Body>,
) -> Response<axum::body::Body> {
    let (head, body) = request.into_parts();
    let body: Bytes = body.collect().await.unwrap().to_bytes();
    let key = head.headers["dd-api-key"].to_str().unwrap();
    let number: usize = key.strip_prefix("replay-").unwrap().parse().unwrap();
    let body = (!body.is_empty()).then(|| serde_json::from_slice(&body).unwrap());
    let seen = as_json(
        head.method.as_str(),
        &decoded(head.uri.path()),
        &query(head.uri.query().unwrap_or_default()),
        body.as_ref(),
    );
    shared.seen.lock().unwrap()[number].push(seen);

    let recorded = &shared.recorded[number];
    let mut response = Response::builder().status(recorded.status);
    for (name, value) in &recorded.headers {
        if !OF_CONNECTION.contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    response.body(recorded.answer.clone().into()).unwrap()
}
