//! Changes while keygate runs: every kind of file is changed under load, and no
//! call is lost or decided wrongly for it.

mod certificates;
mod configuration;
mod credentials;
mod emergency;
mod issuers;
mod policy;
mod steady;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use keygate::{files::digest, tasks::Tasks};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::support::{
    http::Http,
    own_keys,
    serve::{Gateway, Setup, until},
};

const GET: &str = "keygate.datadog.v2.ApiKeyService/GetApiKey";
const WHO: &str = "keygate.access.v1.AccessService/WhoAmI";
const UPSTREAMS: &str = "keygate.access.v1.AccessService/ListUpstreams";

/// A Datadog of sorts: it knows one key, and which masters may see it.
struct Upstream {
    address: String,
    masters: Masters,
    /// Lets requests be answered.
    gate: Arc<Semaphore>,
    tasks: Tasks,
}

/// The API keys that it takes, and how often each of any came.
type Masters = Arc<Mutex<(BTreeSet<String>, BTreeMap<String, usize>)>>;

impl Drop for Upstream {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Upstream {
    async fn start(master: &str) -> Self {
        const KEY: &str =
            r#"{"data":{"type":"api_keys","id":"k","attributes":{"name":"n","key":"v"}}}"#;
        let tasks = Tasks::new();
        let masters = Masters::default();
        let gate = Arc::new(Semaphore::new(OPEN));
        let (known, open) = (masters.clone(), gate.clone());
        let answer = async move |headers: HeaderMap| {
            let master = headers["dd-api-key"].to_str().unwrap().to_owned();
            let is_known = {
                let (taken, came) = &mut *known.lock().unwrap();
                let is_known = taken.contains(&master);
                *came.entry(master).or_default() += 1;
                is_known
            };
            drop(open.acquire().await.unwrap());
            let json = [(CONTENT_TYPE, "application/json")];
            match is_known {
                true => (StatusCode::OK, json, KEY),
                false => (StatusCode::FORBIDDEN, json, r#"{"errors":["Forbidden"]}"#),
            }
        };
        let upstream = own_keys::told(Router::new().fallback(answer));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tasks.spawn_background(async move { axum::serve(listener, upstream).await.unwrap() });
        let upstream = Self {
            address,
            masters,
            gate,
            tasks,
        };
        upstream.take(master);
        upstream
    }

    /// Takes a master from now on.
    fn take(&self, master: &str) {
        self.masters.lock().unwrap().0.insert(master.to_owned());
    }

    /// Takes a master no more.
    fn revoke(&self, master: &str) {
        self.masters.lock().unwrap().0.remove(master);
    }

    /// Answers nothing until it goes on.
    fn pause(&self) {
        self.gate.forget_permits(OPEN);
    }

    fn go_on(&self) {
        self.gate.add_permits(OPEN);
    }

    /// How often a master came.
    fn came(&self, master: &str) -> usize {
        let masters = self.masters.lock().unwrap();
        masters.1.get(master).copied().unwrap_or_default()
    }

    /// Its section of the configuration.
    fn section(&self, site: &str, api_key: &str) -> String {
        format!(
            "[[datadog]]\nsite = \"{site}\"\nbase_url = \"http://{}\"\n\
             api_key = {api_key}\napp_key = {{ file = \"app-key\" }}\n\n",
            self.address
        )
    }
}

/// A running gateway before one upstream, whose API key is in the file `key`.
struct Stage {
    setup: Setup,
    gateway: Gateway,
    upstream: Upstream,
}

impl Stage {
    async fn new(server: &str, more: &str) -> Self {
        Self::prepared(server, more, |_| {}).await
    }

    /// One for which further files are written before it starts.
    async fn prepared(server: &str, more: &str, prepare: impl FnOnce(&Setup)) -> Self {
        let upstream = Upstream::start("first").await;
        let section = upstream.section("us1", "{ file = \"key\" }");
        let setup = Setup::new(server, &format!("{more}\n{section}")).await;
        setup.write("key", "first");
        setup.write("app-key", "an-app-key");
        prepare(&setup);
        Self {
            gateway: setup.serve().await,
            setup,
            upstream,
        }
    }

    /// The configuration's text.
    fn text(&self) -> String {
        fs::read_to_string(self.setup.config()).unwrap()
    }

    /// A figure, by its name and labels as they are written.
    async fn figure(&self, name: &str) -> f64 {
        let http = Http::new(self.gateway.http.clone(), Vec::new());
        let text = http.get("/metrics").await.body;
        let text = String::from_utf8(text.to_vec()).unwrap();
        let mut lines = text.lines();
        let value = lines.find_map(|it| it.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.parse().unwrap()
    }

    /// Waits until a figure is at least this.
    async fn reaches(&self, name: &str, value: f64) {
        let reached = async { while self.figure(name).await < value {} };
        let reached = tokio::time::timeout(crate::support::gateway::PATIENCE, reached).await;
        let logged = self.gateway.process.logged();
        reached.unwrap_or_else(|_| panic!("{name} never reaches {value}: {logged}"));
    }

    /// Waits until so many configurations have come into force, the first included.
    async fn taken(&self, times: u32) {
        self.reaches(TAKEN, times.into()).await;
    }

    /// Waits until so many have been refused.
    async fn refused(&self, times: u32) {
        self.reaches(REFUSED, times.into()).await;
    }

    /// Waits for a line of the log, and tells it.
    async fn logged(&self, part: &str) -> String {
        until(part, || {
            let logged = self.gateway.process.logged();
            let mut lines = logged.lines();
            lines.find(|it| it.contains(part)).map(str::to_owned)
        })
        .await
    }

    /// Since when the configuration is another than what is in force, as callers
    /// are told.
    async fn refused_since(&self) -> bool {
        let client = self.gateway.client();
        let request = client.request(UPSTREAMS, "");
        let token = self.setup.token();
        let told = client.call(UPSTREAMS, Some(&token), &request).await.ok();
        assert!(told.has_field_by_name("configuration_loaded_at"));
        told.has_field_by_name("configuration_refused_since")
    }
}

/// How many requests are answered at once.
const OPEN: usize = 1000;

const TAKEN: &str = "keygate_reloads_total{result=\"taken\"}";
const REFUSED: &str = "keygate_reloads_total{result=\"refused\"}";

/// The version of a policy of this text.
fn version(text: &str) -> String {
    let digest = digest(text.as_bytes());
    digest.iter().map(|it| format!("{it:02x}")).collect()
}

/// Replaces a file as a whole, as careful programs do.
fn replace(setup: &Setup, name: &str, text: &str) {
    let new = setup.write(&format!("{name}.new"), text);
    fs::rename(new, setup.folder.path().join(name)).unwrap();
}
