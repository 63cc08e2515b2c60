//! `keygate serve` with a policy of the test's own. Its vendors and its issuer
//! run in the test, so that the test can mint any token and read any state.

use std::{fmt::Write as _, fs, net::SocketAddr, path::PathBuf, time::Duration};

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::{
        datadog::{self, Site},
        faults::Rule,
        issuer::{self, Claims, Issuer},
    },
    tasks::Tasks,
};
use prost_reflect::DynamicMessage;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::gateway::{Answer, Client, PATIENCE, Process, records};

/// A policy whose role `admin` may do everything.
pub(crate) const SANDBOX_POLICY: &str = include_str!("../../../src/sandbox/policy.toml");

/// An organization that the gateway is to know.
pub(crate) struct Org {
    /// `us1`
    pub(crate) site: &'static str,
    /// `main`
    pub(crate) org: &'static str,
    /// What the configuration says of it, if anything.
    pub(crate) default: Option<bool>,
    /// How its simulator is set up.
    pub(crate) options: datadog::Options,
}

impl Org {
    pub(crate) fn new(site: &'static str, org: &'static str, default: Option<bool>) -> Self {
        let options = datadog::Options {
            name: format!("{site}/{org}"),
            max_api_keys: 10_000,
            ..datadog::Options::default()
        };
        Self {
            site,
            org,
            default,
            options,
        }
    }
}

/// A gateway, its vendors and its issuer. They end when it is dropped.
pub(crate) struct Served {
    pub(crate) issuer: Issuer,
    /// One for each organization, in the order given.
    pub(crate) sites: Vec<Site>,
    pub(crate) process: Process,
    /// Where gRPC is served.
    pub(crate) grpc: SocketAddr,
    /// Where metrics are served.
    pub(crate) http: String,
    /// Configuration, secrets and trail.
    pub(crate) folder: TempDir,
    tasks: Tasks,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Served {
    /// One organization on US1, and this policy.
    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::start(policy, vec![Org::new("us1", "main", None)], "info").await
    }

    /// Starts everything and waits until it serves.
    pub(crate) async fn start(policy: &str, orgs: Vec<Org>, log: &str) -> Self {
        let (clock, random, tasks) = (Clock::system(), Random::system(), Tasks::new());
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::start(
            issuer::Options::default(),
            clock.clone(),
            random.clone(),
            &tasks,
        );
        let issuer = issuer.await.unwrap();
        let mut text = preamble(&issuer, log);
        let mut sites = Vec::new();
        for org in orgs {
            let name = format!("{}-{}", org.site, org.org);
            let site = Site::start(org.options, clock.clone(), random.clone(), &tasks);
            let site = site.await.unwrap();
            let (base_url, default) = (site.base_url(), org.default);
            let default = default.map_or(String::new(), |it| format!("default = {it}\n"));
            let secret = |kind, secret: &SecretString| {
                let path = folder.path().join(format!("{name}-{kind}.secret"));
                fs::write(&path, secret.expose_secret()).unwrap();
                private(&path);
            };
            secret("api", site.api_key());
            secret("app", site.app_key());
            // one credential from a file, one from a command
            write!(
                text,
                "
[[datadog]]
site = \"{}\"
org = \"{}\"
{default}base_url = \"{base_url}\"
api_key = {{ file = \"{name}-api.secret\" }}
app_key = {{ command = [\"cat\", \"{}/{name}-app.secret\"] }}
",
                org.site,
                org.org,
                folder.path().display()
            )
            .unwrap();
            sites.push(site);
        }
        let config = folder.path().join("keygate.toml");
        fs::write(&config, text).unwrap();
        fs::write(folder.path().join("policy.toml"), policy).unwrap();
        let process = Process::start(&["serve", "--config", config.to_str().unwrap()]);
        let (grpc, http) = serving(&process).await;
        Self {
            issuer,
            sites,
            process,
            grpc,
            http: format!("http://{http}"),
            folder,
            tasks,
        }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("keygate.toml")
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.grpc)
    }

    /// A token of a subject with these roles.
    pub(crate) fn token(&self, subject: &str, roles: &[&str]) -> String {
        let token = self.issuer.mint(&Claims::new(subject, roles)).unwrap();
        token.expose_secret().to_owned()
    }

    /// The only organization's simulator.
    pub(crate) fn site(&self) -> &Site {
        &self.sites[0]
    }

    /// The records of the trail, oldest first.
    pub(crate) fn records(&self) -> Vec<Json> {
        records(&self.config(), &[])
    }
}

/// The requests that a simulator has received.
pub(crate) fn requests(site: &Site) -> Vec<Json> {
    let mut state = site.state();
    let Json::Array(requests) = state["requests"].take() else {
        panic!("no requests in the state");
    };
    requests
}

/// Makes a fault.
pub(crate) fn inject(site: &Site, rule: Json) {
    let rule: Rule = serde_json::from_value(rule).unwrap();
    site.faults().inject(rule).unwrap();
}

/// The key or token that an answer holds.
#[track_caller]
pub(crate) fn resource(answer: Answer) -> DynamicMessage {
    let names = ["api_key", "application_key", "access_token"];
    let message = answer.ok();
    let name = names.into_iter().find(|it| message.has_field_by_name(it));
    let value = message.get_field_by_name(name.unwrap()).unwrap();
    value.as_message().unwrap().clone()
}

/// A text in a message.
#[track_caller]
pub(crate) fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field).unwrap();
    value.as_str().unwrap().to_owned()
}

/// The id of the key or token that an answer holds.
#[track_caller]
pub(crate) fn id(answer: Answer) -> String {
    text(&resource(answer), "id")
}

fn preamble(issuer: &Issuer, log: &str) -> String {
    format!(
        "\
[server]
grpc = \"127.0.0.1:0\"
http = \"127.0.0.1:0\"

[[auth.issuers]]
issuer = \"{}\"
audiences = [\"{}\"]
jwks = \"{}\"

[policy]
file = \"policy.toml\"

[audit]
store = \"sqlite:trail.db\"

[log]
level = \"{log}\"
",
        issuer.issuer(),
        issuer.audience(),
        issuer.jwks_url(),
    )
}

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Waits until it says where it serves.
async fn serving(process: &Process) -> (SocketAddr, SocketAddr) {
    let told = async {
        loop {
            let logged = process.logged();
            let lines = logged
                .lines()
                .filter_map(|it| serde_json::from_str::<Json>(it).ok());
            if let Some(line) = lines.into_iter().find(|it| it["message"] == "serving") {
                let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
                return (address("grpc"), address("http"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    told.unwrap_or_else(|_| panic!("it does not serve: {}", process.logged()))
}
