//! The trail in PostgreSQL: a real server of each test's own, and gateways that
//! share it.

mod cut;
mod failover;
mod killed;
mod proxy;
mod records;
mod replicas;
mod rights;
mod starting;
mod times;
mod unresolved;
mod upkeep;

use std::{
    collections::HashMap, fs::Permissions, os::unix::fs::PermissionsExt as _, path::PathBuf,
    process::Output,
};

use bytes::Bytes;
use keygate::audit::note;
use prost::Message as _;
use prost_reflect::Value;
use serde_json::Value as Json;
use tonic::Request;

use crate::support::{
    gateway::{Answer, Client, records},
    postgres::{PASSWORD, Postgres, SUPERUSER},
    program::{all_told, run, told},
    serve::{Gateway, POLICY, Setup},
    served::MAIN,
    upstreams::{Place, Upstreams},
    vendors::DATADOG,
};

/// The database of a trail, and its owner.
const DATABASE: &str = "keygate";

const CREATE: &str =
    "keygate.datadog.v2.CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey";
const GET: &str =
    "keygate.datadog.v2.CurrentUserApplicationKeyService/GetCurrentUserApplicationKey";
const DELETE: &str =
    "keygate.datadog.v2.CurrentUserApplicationKeyService/DeleteCurrentUserApplicationKey";

/// A server of PostgreSQL, a simulated vendor, and an issuer.
struct Stage {
    postgres: Postgres,
    upstreams: Upstreams,
    setup: Setup,
}

impl Stage {
    async fn start() -> Self {
        Self::with(Postgres::start().await).await
    }

    async fn with(postgres: Postgres) -> Self {
        Self::configured(postgres, "").await
    }

    /// With these settings of `[server]`.
    async fn configured(postgres: Postgres, server: &str) -> Self {
        let upstreams = Upstreams::start(vec![Place::new(&DATADOG, MAIN)]).await;
        let setup = Setup::new(server, &upstreams.config).await;
        // beside the role that every test has, one that may touch its own keys only
        let owner = POLICY
            .replace("admin", "owner")
            .replace("\"any\"", "\"own\"");
        setup.write("policy.toml", &format!("{POLICY}{owner}"));
        let password = setup.write("password", PASSWORD);
        std::fs::set_permissions(password, Permissions::from_mode(0o600)).unwrap();
        postgres.database(DATABASE).await;
        Self {
            postgres,
            upstreams,
            setup,
        }
    }

    /// A configuration whose trail is in the database, as a replica of this name.
    fn replica(&self, origin: &str) -> PathBuf {
        self.replica_at(origin, &self.postgres.url(DATABASE, DATABASE), "")
    }

    /// The same with another URL, and further settings of the store.
    fn replica_at(&self, origin: &str, url: &str, more: &str) -> PathBuf {
        let store = format!(
            "store = {{ url = \"{url}\", password = {{ file = \"password\" }}{more} }}\n\
             origin = \"{origin}\""
        );
        self.stored(origin, &store)
    }

    /// A configuration with these settings of `[audit]`.
    fn stored(&self, name: &str, store: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.setup.config()).unwrap();
        let text = text.replace("store = \"sqlite:trail.db\"", store);
        self.setup.write(&format!("{name}.toml"), &text)
    }

    /// Checks all trees of the trail, with the public keys of these origins.
    #[track_caller]
    fn verified(&self, origins: &[&str]) {
        let output = self.verify(origins, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
    }

    /// The same with further arguments, and what comes of it.
    fn verify(&self, origins: &[&str], more: &[&str]) -> Output {
        let pem = self.setup.folder.path().join("signing.pem");
        let config = self.replica("verifier");
        let mut arguments = ["audit", "verify", "--config"].map(str::to_owned).to_vec();
        arguments.push(config.to_str().unwrap().to_owned());
        for origin in origins {
            let signer = note::Signer::load(&pem, origin).unwrap();
            arguments.extend(["--key".to_owned(), signer.verifier().to_string()]);
        }
        let arguments = arguments.iter().map(String::as_str);
        let arguments: Vec<_> = arguments.chain(more.iter().copied()).collect();
        run(&arguments)
    }

    fn token(&self) -> String {
        self.setup.token()
    }

    /// The names of all keys that were made upstream.
    fn made(&self) -> Vec<String> {
        let state = self.upstreams.at("datadog/us1/main").state();
        let keys = state["application_keys"].as_array().unwrap();
        let names = keys
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned());
        names.filter(|it| it.starts_with("made-")).collect()
    }
}

/// Makes a key of this name, which is the request's id too.
async fn make(client: &Client, token: &str, name: &str) -> Answer {
    let mut request = client.request_at(CREATE, "", MAIN);
    request.set_field_by_name("name", Value::String(name.to_owned()));
    let mut call = Request::new(Bytes::from(request.encode_to_vec()));
    let metadata = call.metadata_mut();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    metadata.insert("x-request-id", name.parse().unwrap());
    client.send(CREATE, call).await
}

/// Calls a method on a key.
async fn on(client: &Client, method: &str, token: &str, id: &str) -> Answer {
    let request = client.request_at(method, id, MAIN);
    client.call(method, Some(token), &request).await
}

/// Runs a command that has to fail. What it tells.
#[track_caller]
fn fails(arguments: &[&str], exit: i32) -> String {
    let output = run(arguments);
    let (_, told) = told(&output);
    assert_eq!(output.status.code(), Some(exit), "{told}");
    assert!(!told.contains(PASSWORD), "a password is told: {told}");
    told
}

/// How calls have ended, by the ids of their requests.
fn outcomes(all: &[Json]) -> HashMap<&str, &str> {
    let outcomes = all.iter().filter(|it| it["kind"] == "outcome");
    let outcomes = outcomes.map(|it| (it["request_id"].as_str(), it["outcome"].as_str()));
    let outcomes = outcomes.map(|(id, outcome)| (id.unwrap(), outcome.unwrap()));
    outcomes.collect()
}

/// The texts of a member of records.
fn texts<'a>(records: impl IntoIterator<Item = &'a Json>, member: &str) -> Vec<&'a str> {
    let texts = records.into_iter().filter_map(|it| it[member].as_str());
    texts.collect()
}

/// Checks that every record of a change is where it should be: one intent, one
/// terminal record behind it.
#[track_caller]
fn check_steps(all: &[Json]) {
    let mut steps = HashMap::<&str, Vec<&str>>::new();
    for record in all.iter().filter(|it| it["rpc"] == CREATE) {
        let call = record["call"].as_str().unwrap();
        steps
            .entry(call)
            .or_default()
            .push(record["kind"].as_str().unwrap());
    }
    for (call, steps) in steps {
        let is_right = matches!(
            steps.as_slice(),
            ["intent", "outcome"] | ["intent", "outcome", "reconciled"] | ["refused" | "denied"]
        );
        assert!(is_right, "{call}: {steps:?}");
    }
}
