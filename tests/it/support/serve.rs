//! `keygate serve` with a configuration of a test's own, and an issuer of tokens
//! in the test itself.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::issuer::{Claims, Issuer, Options},
    tasks::Tasks,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;

use super::gateway::{Client, PATIENCE, Process};

/// A policy of one role, `admin`, that may do everything and reveal.
pub(crate) const POLICY: &str = "\
[roles.admin]
permissions = [\"*\"]
keys = \"any\"
reveal = true
max_scopes = [\"*\"]
allow_unscoped = true

[[grants]]
role = \"admin\"
claim = \"admin\"
";

/// A folder with a configuration, and the issuer that it names.
pub(crate) struct Setup {
    pub(crate) folder: TempDir,
    pub(crate) issuer: Issuer,
    tasks: Tasks,
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Setup {
    /// Writes `[server]`'s further settings and whatever else is given beside what
    /// every gateway needs.
    pub(crate) async fn new(server: &str, rest: &str) -> Self {
        let tasks = Tasks::new();
        let (clock, random) = (Clock::system(), Random::system());
        let issuer = Issuer::start(Options::default(), clock, random, &tasks).await;
        let issuer = issuer.unwrap();
        let setup = Self {
            folder: tempfile::tempdir().unwrap(),
            issuer,
            tasks,
        };
        setup.write("policy.toml", POLICY);
        let key = keygate::audit::note::generate().unwrap();
        setup.write("signing.pem", key.expose_secret());
        setup.write("keygate.toml", &setup.text(server, rest));
        setup
    }

    fn text(&self, server: &str, rest: &str) -> String {
        format!(
            "\
[server]
grpc = \"127.0.0.1:0\"
http = \"127.0.0.1:0\"
{server}

[[auth.issuers]]
issuer = \"{}\"
audiences = [\"{}\"]
jwks = \"{}\"

[policy]
file = \"policy.toml\"

[audit]
store = \"sqlite:trail.db\"
signing_key = {{ file = \"signing.pem\" }}
checkpoints = {{ stdout = false }}

{rest}",
            self.issuer.issuer(),
            self.issuer.audience(),
            self.issuer.jwks_url(),
        )
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("keygate.toml")
    }

    /// A token for the role `admin`.
    pub(crate) fn token(&self) -> String {
        self.token_of("tester", &["admin"])
    }

    /// A token of a subject with these roles.
    pub(crate) fn token_of(&self, subject: &str, roles: &[&str]) -> String {
        self.mint(&Claims::new(subject, roles))
    }

    /// A token with these claims.
    pub(crate) fn mint(&self, claims: &Claims) -> String {
        self.issuer.mint(claims).unwrap().expose_secret().to_owned()
    }

    pub(crate) async fn serve(&self) -> Gateway {
        Gateway::start(&self.config()).await
    }
}

/// A running `keygate serve`. It ends when it is dropped.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: String,
}

impl Gateway {
    /// Starts it and waits until it serves.
    pub(crate) async fn start(config: &Path) -> Self {
        Self::start_in(config, Vec::new()).await
    }

    /// The same with these variables in its environment.
    pub(crate) async fn start_in(config: &Path, environment: Vec<(&str, String)>) -> Self {
        let arguments = ["serve", "--config", config.to_str().unwrap()];
        Self::of(Process::start_in(&arguments, environment)).await
    }

    /// Waits until this one serves.
    pub(crate) async fn of(process: Process) -> Self {
        let line = until("it serves", || {
            let logged = process.logged();
            let mut lines = logged.lines().filter(|it| it.ends_with('}'));
            lines
                .find(|it| it.contains("\"serving\""))
                .map(str::to_owned)
        })
        .await;
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = |name: &str| -> SocketAddr { line[name].as_str().unwrap().parse().unwrap() };
        Self {
            grpc: address("grpc"),
            http: format!("http://{}", address("http")),
            process,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.grpc)
    }
}

/// Waits until there is something, and gives up in the end.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("{what}: never"))
}
