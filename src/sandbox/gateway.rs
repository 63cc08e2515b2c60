//! The gateway with everything it needs inside: simulated vendors, an issuer, a
//! policy and a trail in a data directory.
//!
//! What it writes there is a configuration as any other: the gateway is started
//! from it, by the same code as `keygate serve`.

mod vendors;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::{http, issuer};
use crate::{
    audit::note, clock::Clock, config, random::Random, server, settings, tasks::Tasks,
    telemetry::Logs,
};
use vendors::{Simulated, Vendors};

/// The policy of the sandbox.
const POLICY: &str = include_str!("policy.toml");

/// How long the tokens that are handed out last.
const TOKENS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the gateway serves gRPC.
    pub grpc: SocketAddr,
    /// Where it serves metrics and probes.
    pub http: SocketAddr,
    /// Where configuration, credentials and trail go.
    pub data_dir: PathBuf,
    /// How long every answer of a vendor takes at least.
    pub latency: Duration,
    /// Whether the organizations are in One-Time Read mode.
    pub one_time_read: bool,
}

/// Why a sandbox can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be written.
    #[error("{}: it can't be written", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// A key can't be made.
    #[error("a key to sign the audit trail with can't be made")]
    Key,
    /// A simulator can't start.
    #[error("a simulated vendor can't start")]
    Vendor(#[from] http::Error),
    /// The issuer can't start.
    #[error("the token issuer can't start")]
    Issuer(#[from] issuer::Error),
    /// The configuration that was written has faults.
    #[error(transparent)]
    Config(#[from] settings::Faults),
    /// The gateway can't start.
    #[error(transparent)]
    Server(#[from] server::Error),
}

/// A running sandbox.
pub struct Sandbox {
    server: server::Server,
    tasks: Tasks,
    summary: Summary,
}

/// What a sandbox tells on its standard output: everything that a caller needs.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where metrics and probes are served.
    pub http: String,
    /// The configuration that the gateway runs with.
    pub config: PathBuf,
    /// Where everything was written.
    pub data_dir: PathBuf,
    /// Base URLs of the simulated vendors.
    pub upstreams: BTreeMap<String, String>,
    /// Their master credentials, which are worth nothing elsewhere, and the
    /// organization's id where callers of the vendor itself need it.
    pub masters: BTreeMap<String, BTreeMap<&'static str, Shown>>,
    /// Ids of the service accounts that are there from the start.
    pub service_accounts: BTreeMap<String, String>,
    /// A token for each role, and one without any.
    pub tokens: BTreeMap<&'static str, Shown>,
    /// The issuer.
    pub issuer: Issuer,
}

/// The issuer of the sandbox's tokens.
#[derive(Debug, Serialize)]
pub struct Issuer {
    /// `iss`
    pub issuer: String,
    /// `aud`
    pub audience: String,
    /// Where its keys are.
    pub jwks: String,
}

/// A secret that is there to be shown, and to be shown only on standard output.
pub struct Shown(SecretString);

impl Shown {
    /// The secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl Sandbox {
    /// Starts the vendors, the issuer and the gateway.
    ///
    /// # Errors
    /// [`Error`] if any of them can't start.
    pub async fn start(
        options: Options,
        logs: Logs,
        clock: Clock,
        random: Random,
    ) -> Result<Self, Error> {
        let tasks = Tasks::new();
        let folder = Folder::make(&options.data_dir)?;
        let issuer = issuer::Issuer::start(
            issuer::Options::default(),
            clock.clone(),
            random.clone(),
            &tasks,
        )
        .await?;
        let mut text = preamble(&options, &issuer);
        let (mut upstreams, mut masters) = (BTreeMap::new(), BTreeMap::new());
        let mut service_accounts = BTreeMap::new();
        let vendors = Vendors {
            options: &options,
            clock: &clock,
            random: &random,
            tasks: &tasks,
        };
        for it in vendors.start().await? {
            text += &section(&it, &folder)?;
            let id = it.organization_id.map(|it| ("organization_id", it.into()));
            let shown = it.masters.into_iter().chain(id);
            let shown = shown.map(|(name, secret)| (name, Shown(secret))).collect();
            masters.insert(it.name.clone(), shown);
            upstreams.insert(it.name.clone(), it.base_url);
            service_accounts.extend(it.service_account_id.map(|id| (it.name, id)));
        }
        folder.write("policy.toml", POLICY)?;
        folder.signing_key()?;
        let config = folder.write("keygate.toml", &text)?;
        let server =
            server::Server::start(config::Config::load(&config)?, logs, clock, random).await?;
        let summary = Summary {
            grpc: server.grpc(),
            http: format!("http://{}", server.http()),
            config,
            data_dir: folder.0,
            upstreams,
            masters,
            service_accounts,
            tokens: tokens(&issuer)?,
            issuer: Issuer {
                issuer: issuer.issuer(),
                audience: issuer.audience().to_owned(),
                jwks: issuer.jwks_url(),
            },
        };
        Ok(Self {
            server,
            tasks,
            summary,
        })
    }

    /// What it tells of itself.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Resolves when the gateway has ended by itself.
    pub async fn ended(&self) {
        self.server.ended().await;
    }

    /// Ends the gateway, then the rest.
    ///
    /// # Errors
    /// [`Error::Server`] if the gateway's trail failed.
    pub async fn shutdown(self) -> Result<(), Error> {
        let ended = self.server.shutdown().await;
        self.tasks.wait(Duration::from_secs(5)).await;
        Ok(ended?)
    }
}

fn preamble(options: &Options, issuer: &issuer::Issuer) -> String {
    format!(
        "\
[server]
grpc = \"{}\"
http = \"{}\"

[[auth.issuers]]
issuer = \"{}\"
audiences = [\"{}\"]
jwks = \"{}\"

[policy]
file = \"policy.toml\"

[audit]
store = \"sqlite:trail.db\"
origin = \"keygate-sandbox\"
signing_key = {{ file = \"secrets/signing-key.pem\" }}
checkpoints = {{ stdout = false, file = \"checkpoints.txt\" }}

[log]
level = \"warn\"
",
        options.grpc,
        options.http,
        issuer.issuer(),
        issuer.audience(),
        issuer.jwks_url(),
    )
}

/// A vendor's section of the configuration. Its credentials go into files.
fn section(it: &Simulated, folder: &Folder) -> Result<String, Error> {
    let mut text = format!("\n[[{}]]\n", it.section);
    let base_url = ("base_url", it.base_url.clone());
    for (name, value) in it.settings.iter().chain([&base_url]) {
        // writing to a string does not fail
        let _ = writeln!(text, "{name} = \"{value}\"");
    }
    for (name, secret) in &it.masters {
        let file = format!("{}-{name}", it.name.replace('/', "-"));
        folder.secret(&file, secret)?;
        let _ = writeln!(text, "{name} = {{ file = \"secrets/{file}\" }}");
    }
    Ok(text)
}

fn tokens(issuer: &issuer::Issuer) -> Result<BTreeMap<&'static str, Shown>, issuer::Error> {
    let mut tokens = BTreeMap::new();
    for name in ["admin", "operator", "reader", "auditor", "nobody"] {
        let roles: &[&str] = if name == "nobody" { &[] } else { &[name] };
        let mut claims = issuer::Claims::new(&format!("sandbox-{name}"), roles);
        claims.ttl = TOKENS;
        tokens.insert(name, Shown(issuer.mint(&claims)?));
    }
    Ok(tokens)
}

/// The data directory.
struct Folder(PathBuf);

impl Folder {
    fn make(path: &Path) -> Result<Self, Error> {
        let make =
            |path: &Path| fs::create_dir_all(path).map_err(|e| Error::File(path.to_owned(), e));
        make(&path.join("secrets"))?;
        let path = fs::canonicalize(path).map_err(|e| Error::File(path.to_owned(), e))?;
        private(&path.join("secrets"), 0o700)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(|e| Error::File(path.clone(), e))?;
        Ok(path)
    }

    /// The key that the trail's checkpoints are signed with: made once, so that a
    /// trail that is there can go on.
    fn signing_key(&self) -> Result<(), Error> {
        let path = self.0.join("secrets/signing-key.pem");
        if path.exists() {
            return Ok(());
        }
        let key = note::generate().map_err(|_| Error::Key)?;
        self.secret("signing-key.pem", &key)
    }

    fn secret(&self, name: &str, secret: &SecretString) -> Result<(), Error> {
        let path = self.write(&format!("secrets/{name}"), secret.expose_secret())?;
        private(&path, 0o600)
    }
}

fn private(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).map_err(|e| Error::File(path.to_owned(), e))
}
