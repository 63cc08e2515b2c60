//! `keygate serve` with a policy of the test's own, whose vendors run in the
//! test, so that it can set them up and read any state.

use std::{fmt::Write as _, fs};

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::{
        datadog::{self, Site},
        faults::Rule,
    },
    tasks::Tasks,
};
use prost_reflect::DynamicMessage;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{
    gateway::{Answer, Client, records},
    serve::{Gateway, Setup},
};

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
    pub(crate) setup: Setup,
    pub(crate) gateway: Gateway,
    /// One for each organization, in the order given.
    pub(crate) sites: Vec<Site>,
    _secrets: TempDir,
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
        let tasks = Tasks::new();
        let secrets = tempfile::tempdir().unwrap();
        let mut rest = format!("[log]\nlevel = \"{log}\"\n");
        let mut sites = Vec::new();
        for org in orgs {
            let (site, name) = (org.site, org.org);
            let default = org.default.map(|it| format!("default = {it}\n"));
            let running = Site::start(org.options, Clock::system(), Random::system(), &tasks);
            let running = running.await.unwrap();
            let secret = |kind, secret: &SecretString| {
                let path = secrets.path().join(format!("{site}-{name}-{kind}"));
                fs::write(&path, secret.expose_secret()).unwrap();
                private(&path);
                path.to_str().unwrap().to_owned()
            };
            // one credential from a file, one from a command
            let (api_key, app_key) = (
                secret("api", running.api_key()),
                secret("app", running.app_key()),
            );
            write!(
                rest,
                "
[[datadog]]
site = \"{site}\"
org = \"{name}\"
{}base_url = \"{}\"
api_key = {{ file = \"{api_key}\" }}
app_key = {{ command = [\"cat\", \"{app_key}\"] }}
",
                default.unwrap_or_default(),
                running.base_url(),
            )
            .unwrap();
            sites.push(running);
        }
        let setup = Setup::new("", &rest).await;
        setup.write("policy.toml", policy);
        Self {
            gateway: setup.serve().await,
            setup,
            sites,
            _secrets: secrets,
            tasks,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.gateway.grpc)
    }

    /// A token of a subject with these roles.
    pub(crate) fn token(&self, subject: &str, roles: &[&str]) -> String {
        self.setup.token_of(subject, roles)
    }

    /// The only organization's simulator.
    pub(crate) fn site(&self) -> &Site {
        &self.sites[0]
    }

    /// The records of the trail, oldest first.
    pub(crate) fn records(&self) -> Vec<Json> {
        records(&self.setup.config(), &[])
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

fn private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
