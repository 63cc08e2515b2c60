//! Configuration files: what is read, and every fault at once.

use std::{fs, path::Path, time::Duration};

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use keygate::upstream::credentials::{Header, Source};
use keygate::{
    auth::Keys,
    config::{Config, Format, Limits, Upstream},
    settings::Faults,
};
use tempfile::TempDir;

mod faults;
mod issuers;
mod upstreams;

/// A new Ed25519 key (PKCS#8, PEM).
fn signing_key() -> String {
    let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let key = BASE64_STANDARD.encode(key.as_ref());
    format!(
        "-----BEGIN PRIVATE KEY-----
{key}
-----END PRIVATE KEY-----
"
    )
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let signing_key = signing_key();
    let ca = rcgen::generate_simple_self_signed(["issuer.example".to_owned()]);
    let ca = ca.expect("a certificate").cert.pem();
    for (name, content) in [
        ("policy.toml", ""),
        ("jwks.json", "{\"keys\":[]}"),
        ("key", "secret"),
        ("signing.pem", &signing_key),
        ("ca.pem", &ca),
    ] {
        fs::write(folder.path().join(name), content).expect("it is written");
    }
    folder
}

const SMALLEST: &str = r#"
[[auth.issuers]]
issuer = "https://issuer.example"
audiences = ["keygate"]
jwks = "jwks.json"
[policy]
file = "policy.toml"
[audit]
store = "sqlite:trail.db"
"#;

fn faults(text: &str, folder: &Path) -> Vec<String> {
    let Err(Faults(faults)) = Config::parse(text, folder) else {
        panic!("it has no fault");
    };
    assert!(!faults.is_empty());
    let lines = faults.iter().map(ToString::to_string);
    lines
        .map(|it| it.replace(&folder.display().to_string(), "DIR"))
        .collect()
}

#[track_caller]
fn assert_faults(text: &str, expected: &[&str]) {
    let folder = folder();
    let found = faults(text, folder.path());
    let all = found.join("\n");
    assert_eq!(found.len(), expected.len(), "{all}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "{expected}\nis not the start of\n{found}\nin\n{all}"
        );
    }
}

#[test]
fn the_smallest_configuration_has_all_defaults() {
    let folder = folder();
    let config = Config::parse(SMALLEST, folder.path()).expect("it has no fault");
    assert_eq!(config.server, keygate::config::Server::default());
    assert_eq!(config.server.grpc.to_string(), "127.0.0.1:50051");
    assert_eq!(config.log, keygate::config::Log::default());
    let issuer = &config.auth.issuers[0];
    assert_eq!(issuer.keys, Keys::File(folder.path().join("jwks.json")));
    assert_eq!(issuer.roles_claim, "roles");
    assert_eq!(issuer.algorithms.len(), 9);
    assert_eq!(config.policy.file, folder.path().join("policy.toml"));
    assert!(config.audit.store.store.path() == Some(&*folder.path().join("trail.db")));
    assert_eq!(config.audit.store.signer, None);
    assert_eq!(config.audit.store.origin, "keygate");
    assert!(config.audit.checkpoints.stdout);
    assert!(config.upstreams.is_empty());
}

/// The credentials of an upstream: setting, header and source of each.
fn credentials(upstream: &Upstream) -> Vec<(&str, &str, &Source)> {
    let all = upstream.credentials.iter();
    all.map(|it| (it.setting, it.header.name().as_str(), &it.source))
        .collect()
}

#[test]
fn every_setting_is_read() {
    let folder = folder();
    let text = r#"
[server]
grpc = "0.0.0.0:1"
http = "[::1]:2"
worker_threads = 3
max_message_bytes = 2_000_000
max_connections = 5
max_concurrent_streams = 6
max_in_flight = 7
shutdown_grace = "8s"
request_timeout = "1m"
conclude_reserve = "10ms"

[[auth.issuers]]
issuer = "a"
audiences = ["one", "two"]
jwks = "https://issuer.example/jwks.json"
algorithms = ["ES256", "EdDSA"]
roles_claim = "groups"

[[auth.issuers]]
issuer = "b"
audiences = ["one"]
jwks = "http://127.0.0.1:8080/jwks"

[policy]
file = "policy.toml"

[audit]
store = "sqlite:other.db"
signing_key = { file = "signing.pem" }

[[datadog]]
site = "us1"
api_key = { file = "key" }
app_key = { command = ["./print-key", "app"] }

[[datadog]]
site = "eu"
org = "red"
default = true
api_key = { env = "CARGO_PKG_NAME" }
app_key = { command = "print-key --of red" }
base_url = "http://127.0.0.1:8080"
connect_timeout = "1s"
timeout = "2s"
max_concurrency = 3
max_response_bytes = 4096

[[datadog]]
site = "eu"
org = "blue"
api_key = { file = "key" }
app_key = { file = "key" }

[[datadog]]
site = "us2-fed"
default = false
api_key = { file = "key" }
app_key = { file = "key" }

[[braintrust]]
token = { file = "key" }

[[braintrust]]
name = "own"
token = { env = "CARGO_PKG_NAME" }
base_url = "https://data.example.com/braintrust/"
timeout = "3s"
max_concurrency = 5

[[coveo]]
region = "us"
organization_id = "acme1"
token = { file = "key" }

[[coveo]]
region = "hipaa"
organization_id = "acme1"
default = true
token = { file = "key" }
base_url = "http://127.0.0.1:8081"
max_response_bytes = 2048

[log]
level = "warn,keygate=debug"
format = "text"
"#;
    let config = Config::parse(text, folder.path()).expect("it has no fault");
    let server = &config.server;
    assert_eq!((server.grpc.port(), server.http.port()), (1, 2));
    assert_eq!(server.worker_threads, 3);
    assert_eq!(server.max_message_bytes, 2_000_000);
    assert_eq!(server.max_connections, 5);
    assert_eq!(server.max_concurrent_streams, 6);
    assert_eq!(server.max_in_flight, 7);
    assert_eq!(server.shutdown_grace, Duration::from_secs(8));
    assert_eq!(server.request_timeout, Duration::from_secs(60));
    assert_eq!(server.conclude_reserve, Duration::from_millis(10));

    let [a, b] = &config.auth.issuers[..] else {
        panic!("there are two")
    };
    assert_eq!(a.audiences, ["one", "two"]);
    assert_eq!(a.algorithms.len(), 2);
    assert_eq!(a.roles_claim, "groups");
    assert!(matches!(&b.keys, Keys::Url(it, _) if it.port_u16() == Some(8080)));

    assert!(
        config
            .audit
            .store
            .store
            .path()
            .unwrap()
            .ends_with("other.db")
    );
    assert!(!format!("{config:?}").contains("pa55word"));
    let signer = config.audit.store.signer.as_ref().unwrap();
    assert_eq!(signer.verifier().name(), "keygate");

    let known = config.upstreams.iter();
    let known = known.map(|it| (it.name.as_str(), it.default, it.base_url.to_string()));
    let expected = [
        ("datadog/us1/main", true, "https://api.datadoghq.com/"),
        ("datadog/eu/red", true, "http://127.0.0.1:8080/"),
        ("datadog/eu/blue", false, "https://api.datadoghq.eu/"),
        (
            "datadog/us2-fed/main",
            false,
            "https://api.us2.ddog-gov.com/",
        ),
        ("braintrust/default", true, "https://api.braintrust.dev/"),
        (
            "braintrust/own",
            false,
            "https://data.example.com/braintrust/",
        ),
        ("coveo/us/acme1", false, "https://platform.cloud.coveo.com/"),
        ("coveo/hipaa/acme1", true, "http://127.0.0.1:8081/"),
    ];
    let expected = expected.map(|(name, default, url)| (name, default, url.to_owned()));
    assert_eq!(known.collect::<Vec<_>>(), expected);
    let [us1, red, .., default, own, _, hipaa] = &config.upstreams[..] else {
        panic!("there are eight")
    };
    let program = folder.path().join("./print-key").display().to_string();
    let key = Source::File(folder.path().join("key"));
    let print_key = Source::Command(vec![program, "app".to_owned()]);
    assert_eq!(
        credentials(us1),
        [
            ("api_key", "dd-api-key", &key),
            ("app_key", "dd-application-key", &print_key)
        ]
    );
    let words = ["print-key", "--of", "red"].map(str::to_owned);
    let (set, print_key) = (
        Source::Env("CARGO_PKG_NAME".to_owned()),
        Source::Command(words.to_vec()),
    );
    assert_eq!(
        credentials(red),
        [
            ("api_key", "dd-api-key", &set),
            ("app_key", "dd-application-key", &print_key)
        ]
    );
    assert_eq!(credentials(own), [("token", "authorization", &set)]);
    assert_eq!(credentials(hipaa), [("token", "authorization", &key)]);
    assert!(own.credentials.iter().all(|it| it.header == Header::Bearer));

    assert_eq!(us1.limits, Limits::default());
    assert_eq!(default.limits, Limits::default());
    let expected = Limits {
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        max_concurrency: 3,
        max_response_bytes: 4096,
        ca: None,
    };
    assert_eq!(red.limits, expected);
    assert_eq!(own.limits.timeout, Duration::from_secs(3));
    assert_eq!(own.limits.max_concurrency, 5);
    assert_eq!(hipaa.limits.max_response_bytes, 2048);
    assert_eq!(config.log.level, "warn,keygate=debug");
    assert_eq!(config.log.format, Format::Text);
}

#[test]
fn a_file_that_is_not_there_is_a_fault_too() {
    let folder = folder();
    let path = folder.path().join("keygate.toml");
    let Err(faults) = Config::load(&path) else {
        panic!("it is not there")
    };
    assert!(
        faults
            .to_string()
            .contains("the configuration can't be read"),
        "{faults}"
    );
    fs::write(&path, SMALLEST).expect("it is written");
    let config = Config::load(&path).expect("it has no fault");
    assert_eq!(config.policy.file, folder.path().join("policy.toml"));
}
