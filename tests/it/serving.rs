//! The server as operators know it: probes, logs, limits, TLS, and how it starts
//! and ends.

mod ending;
mod probes;
mod starting;
mod tls;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
};
use keygate::tasks::Tasks;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::support::{own_keys, serve::Setup};

const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
const LIST: &str = "keygate.datadog.v2.ApiKeyService/ListApiKeys";

const MADE: &str = r#"{"data":{"type":"api_keys","id":"k","attributes":{"name":"n"}}}"#;

/// A setup with one upstream, which answers a request when it is let.
struct Stage {
    setup: Setup,
    /// Counts the requests that came.
    came: Arc<Semaphore>,
    /// Lets requests be answered.
    gate: Arc<Semaphore>,
    tasks: Tasks,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Stage {
    /// One whose upstream answers at once.
    async fn open(server: &str) -> Self {
        let stage = Self::closed(server).await;
        stage.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        stage
    }

    async fn closed(server: &str) -> Self {
        let tasks = Tasks::new();
        let (came, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Router::new().fallback({
            let (came, gate) = (came.clone(), gate.clone());
            async move || {
                came.add_permits(1);
                gate.acquire().await.unwrap().forget();
                let json = [(CONTENT_TYPE, "application/json")];
                (StatusCode::CREATED, json, MADE)
            }
        });
        let upstream = own_keys::told(upstream);
        tasks.spawn_background(async move { axum::serve(listener, upstream).await.unwrap() });
        let setup = Setup::new(server, &org(address)).await;
        setup.write("key", "a-master-key");
        Self {
            setup,
            came,
            gate,
            tasks,
        }
    }
}

fn org(address: SocketAddr) -> String {
    format!(
        "[[datadog]]\nsite = \"us1\"\norg = \"main\"\nbase_url = \"http://{address}\"\n\
         api_key = {{ file = \"key\" }}\napp_key = {{ file = \"key\" }}\n"
    )
}
