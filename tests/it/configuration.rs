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
use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;

mod issuers;

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
fn every_site_of_the_contract_has_a_name() {
    let folder = folder();
    for site in [
        "us1", "us3", "us5", "eu", "ap1", "ap2", "uk1", "us1-fed", "us2-fed",
    ] {
        let entry = format!(
            "{SMALLEST}[[datadog]]\nsite = \"{site}\"\napi_key = {{ file = \"key\" }}\napp_key = {{ file = \"key\" }}"
        );
        let config = Config::parse(&entry, folder.path()).expect("it has no fault");
        assert_eq!(config.upstreams[0].name, format!("datadog/{site}/main"));
    }
}

#[test]
fn every_region_of_the_contract_has_a_name() {
    let folder = folder();
    for region in ["us", "ca", "eu", "au", "hipaa"] {
        let entry = format!(
            "{SMALLEST}[[coveo]]\nregion = \"{region}\"\norganization_id = \"acme\"\ntoken = {{ file = \"key\" }}"
        );
        let config = Config::parse(&entry, folder.path()).expect("it has no fault");
        let upstream = &config.upstreams[0];
        assert_eq!(upstream.name, format!("coveo/{region}/acme"));
        assert_eq!(upstream.address, "coveo/*/acme");
        assert!(upstream.default);
        assert_eq!(upstream.base_url.scheme_str(), Some("https"));
    }
}

/// Which of several upstreams of one address is the default.
#[test]
fn the_default_is_marked_or_alone_or_has_the_usual_name() {
    let instance = |name, mark| ("braintrust", format!("name = \"{name}\""), mark);
    let coveo = |region| {
        let keys = format!("region = \"{region}\"\norganization_id = \"acme\"");
        ("coveo", keys, "")
    };
    let site = |org| ("datadog", format!("site = \"us1\"\norg = \"{org}\""), "");
    let (is, is_not) = ("default = true", "default = false");
    let folder = folder();
    for (entries, expected) in [
        (vec![instance("a", "")], Some("braintrust/a")),
        (vec![instance("a", is_not)], None),
        (vec![instance("default", is_not)], None),
        (
            vec![instance("a", ""), instance("default", "")],
            Some("braintrust/default"),
        ),
        (
            vec![instance("a", is), instance("default", "")],
            Some("braintrust/a"),
        ),
        (vec![instance("a", ""), instance("default", is_not)], None),
        (vec![instance("a", ""), instance("b", "")], None),
        (vec![coveo("us"), coveo("eu")], None),
        (vec![coveo("eu")], Some("coveo/eu/acme")),
        (vec![site("default"), site("other")], None),
    ] {
        let mut text = SMALLEST.to_owned();
        for (vendor, keys, mark) in entries {
            let secrets = if vendor == "datadog" {
                "api_key = { file = \"key\" }\napp_key = { file = \"key\" }"
            } else {
                "token = { file = \"key\" }"
            };
            text += &format!("[[{vendor}]]\n{keys}\n{mark}\n{secrets}\n");
        }
        let config = Config::parse(&text, folder.path()).expect("it has no fault");
        let mut defaults = config.upstreams.iter().filter(|it| it.default);
        let default = defaults.next().map(|it| it.name.as_str());
        assert_eq!(default, expected, "{text}");
        assert!(defaults.next().is_none(), "{text}");
    }
}

#[test]
fn nothing_at_all_names_what_is_missing() {
    assert_faults("", &["auth.issuers: ", "policy.file: ", "audit.store: "]);
}

#[test]
fn all_faults_are_reported_at_once_each_with_its_line() {
    assert_faults(
        r#"surprise = true
[server]
grpc = "localhost"
htpt = "127.0.0.1:1"
worker_threads = 0
max_in_flight = "many"
max_message_bytes = 99999999999999999999
shutdown_grace = 30
conclude_reserve = "31s"

[server.tls]
cert = "missing.pem"
key = "key"

[[auth.issuers]]
issuer = "https://issuer.example"
audiences = []
jwks = "http://issuer.example"
algorithms = ["none", "ES999"]

[[auth.issuers]]
issuer = ""
jwks = "missing.json"
roles_claim = 1

[policy]
file = "missing.toml"

[audit]
store = "sqlite:missing/trail.db"
signing_key = { file = "key" }

[[datadog]]
site = "us9"
org = "a/b"
api_key = "0123456789abcdef0123456789abcdef"
app_key = { env = "A", file = "b" }
base_url = "http://api.example.com"

[[datadog]]
site = "us1"
api_key = { env = "KEYGATE_TEST_THAT_NOBODY_SETS" }
app_key = { file = "missing" }
base_url = "https://api.example.com/api/v2"
timeout = "0s"
ca = "key"

[[braintrust]]
name = ".."
token = { env = "KEYGATE_TEST_THAT_NOBODY_SETS" }
base_url = "https://data.example.com/?a=b"
app_key = { file = "key" }

[[coveo]]
region = "us1"
token = "0123456789abcdef0123456789abcdef"
base_url = "http://platform.cloud.coveo.com"
max_concurrency = 0

[[coveo]]
organization_id = "a/b"
base_url = "https://platform.cloud.coveo.com/rest"

[[braintrsut]]
token = { file = "key" }

[log]
level = "debgu"
format = "xml"
"#,
        &[
            "surprise (line 1): there is no such setting",
            "server.grpc (line 3): this must be an IP address and a port",
            "server.htpt (line 4): there is no such setting; did you mean `http`?",
            "server.worker_threads (line 5): this must be from 1 to 1024",
            "server.max_in_flight (line 6): this is a string, and must be a whole number",
            "server.max_message_bytes (line 7): this must be from 1024 to ",
            "server.shutdown_grace (line 8): this is a whole number",
            "server.conclude_reserve (line 9): this must be shorter than `request_timeout`",
            "server.tls.cert (line 12): DIR/missing.pem can't be read: No such file",
            "server.tls.key (line 13): DIR/key holds no private key",
            "auth.issuers[0].audiences (line 17): this must name at least one",
            "auth.issuers[0].jwks (line 18): this must be https",
            "auth.issuers[0].algorithms[0] (line 19): \"none\" means tokens that anybody",
            "auth.issuers[0].algorithms[1] (line 19): \"ES999\" is not a known",
            "auth.issuers[1].audiences (line 21): this is missing",
            "auth.issuers[1].issuer (line 22): this must not be empty",
            "auth.issuers[1].jwks (line 23): DIR/missing.json can't be read",
            "auth.issuers[1].roles_claim (line 24): this is a whole number, and must be a string",
            "policy.file (line 27): DIR/missing.toml can't be read",
            "audit.store (line 30): the folder DIR/missing is not there",
            "audit.signing_key.file (line 31): DIR/key is not an Ed25519 private key",
            "datadog[0].site (line 34): this must be one of `us1`, `us3`",
            "datadog[0].org (line 35): this must be 1 to 64 letters",
            "datadog[0].api_key (line 36): a credential is not written here",
            "datadog[0].app_key (line 37): this must have one of `env`, `file` and `command`",
            "datadog[0].base_url (line 38): this must be https; http is for",
            "datadog[1].api_key (line 42): environment variable KEYGATE_TEST_THAT_NOBODY_SETS: it is not set",
            "datadog[1].app_key (line 43): file DIR/missing: it can't be read",
            "datadog[1].base_url (line 44): this must end after the host",
            "datadog[1].timeout (line 45): this must be from 1ms to 600s",
            "datadog[1].ca (line 46): DIR/key holds no certificates",
            "braintrust[0].name (line 49): this must be 1 to 64 letters",
            "braintrust[0].token (line 50): environment variable KEYGATE_TEST_THAT_NOBODY_SETS: it is not",
            "braintrust[0].base_url (line 51): this must end before the `?`",
            "braintrust[0].app_key (line 52): there is no such setting",
            "coveo[0].organization_id (line 54): this is missing",
            "coveo[0].region (line 55): this must be one of `us`, `ca`, `eu`, `au`, `hipaa`",
            "coveo[0].token (line 56): a credential is not written here",
            "coveo[0].base_url (line 57): this must be https; http is for",
            "coveo[0].max_concurrency (line 58): this must be from 1 to 65536",
            "coveo[1].region (line 60): this is missing",
            "coveo[1].token (line 60): this is missing",
            "coveo[1].organization_id (line 61): this must be 1 to 64 letters",
            "coveo[1].base_url (line 62): this must end after the host",
            "braintrsut (line 64): there is no such setting; did you mean `braintrust`?",
            "log.level (line 68): this must be a level",
            "log.format (line 69): this must be `json` or `text`",
        ],
    );
}

#[test]
fn a_credential_in_the_wrong_place_is_not_repeated() {
    let folder = folder();
    let text = format!(
        "{SMALLEST}[[datadog]]\nsite = \"5ecret\"\napi_key = \"5ecret\"\napp_key = {{ env = \"A\", value = \"5ecret\" }}\nbase_url = \"https://u:5ecret@host\"\ntimeout = \"5ecret\""
    );
    let found = faults(&text, folder.path());
    assert_eq!(found.len(), 6, "{found:#?}");
    assert!(!found.concat().contains("5ecret"), "{found:#?}");
    let found = faults("api_key = 5ecret5ecret", folder.path());
    assert!(!found.concat().contains("5ecret"), "{found:#?}");
}

#[test]
fn entries_that_contradict_each_other() {
    let keys = "api_key = { file = \"key\" }\napp_key = { file = \"key\" }\n";
    let token = "token = { file = \"key\" }\n";
    assert_faults(
        &format!(
            "{SMALLEST}
[[auth.issuers]]
issuer = \"https://issuer.example\"
audiences = [\"other\"]
jwks = \"jwks.json\"
[server]
grpc = \"127.0.0.1:9090\"
http = \"127.0.0.1:9090\"
[[datadog]]
site = \"eu\"
default = true
{keys}
[[datadog]]
site = \"eu\"
org = \"other\"
default = true
{keys}
[[datadog]]
site = \"eu\"
{keys}
[[braintrust]]
default = true
{token}
[[braintrust]]
default = true
{token}
[[coveo]]
region = \"us\"
organization_id = \"acme\"
{token}
[[coveo]]
region = \"us\"
organization_id = \"acme\"
{token}"
        ),
        &[
            "auth.issuers[1] (line 11): the issuer of line 2 again",
            "server.http (line 17): this is the address of `grpc` too",
            "datadog[1] (line 24): the default of `datadog/eu` is on line 18 already",
            "datadog[2] (line 31): `datadog/eu/main` is on line 18 already; give this one another `org`",
            "braintrust[1] (line 40): `braintrust/default` is on line 36 already; give this one another `name`",
            "braintrust[1] (line 40): the default of `braintrust` is on line 36 already",
            "coveo[1] (line 49): `coveo/us/acme` is on line 44 already; give this one another `region`",
        ],
    );
}

#[test]
fn a_text_that_is_not_toml_says_where() {
    assert_faults(
        "[server]\ngrpc = 127.0.0.1:1\n\n[log\nlevel = \"info\"\n",
        &["line 2: this is not TOML", "line 4: this is not TOML"],
    );
    assert_faults(
        "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
        &["line 3: this is not TOML"],
    );
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

#[test]
fn one_table_where_there_can_be_several() {
    assert_faults(
        &format!("{SMALLEST}[datadog]\nsite = \"us1\"\n"),
        &["datadog (line 10): this is a table, and must be an array: write `[[datadog]]`"],
    );
}

proptest! {
    /// Whatever a text says, it is a configuration or has faults on its lines.
    #[test]
    fn any_text_is_answered(
        lines in vec(
            "\\[{0,2}(server|auth|auth.issuers|policy|audit|datadog|braintrust|coveo|log|x)\\]{0,2}|(grpc|tls|site|region|name|token|base_url|api_key|store|issuers|file|x) = (1|-1|1.5|true|\"\"|\"é\"|\\[1\\]|\\{\\}|\\{ env = \"\" \\}|2020-01-01)|\\PC{0,8}",
            0..12,
        ),
    ) {
        let text = lines.join("\n");
        match Config::parse(&text, Path::new("")) {
            Ok(_) => {}
            Err(Faults(faults)) => {
                prop_assert!(!faults.is_empty());
                let lines = 1..=lines.len().max(1);
                prop_assert!(faults.iter().all(|it| it.line.is_none_or(|it| lines.contains(&it))));
            }
        }
    }
}

#[test]
fn a_command_that_only_a_shell_could_read_is_refused() {
    let folder = folder();
    for command in ["print 'a key'", "print $KEY", "print | head", "a; b", ""] {
        let entry = format!(
            "{SMALLEST}[[datadog]]\nsite = \"us1\"\napi_key = {{ file = \"key\" }}\napp_key = {{ command = \"{command}\" }}"
        );
        let faults = Config::parse(&entry, folder.path()).expect_err(command);
        assert_eq!(faults.0.len(), 1, "{faults}");
        assert!(
            faults.0[0].path.starts_with("datadog[0].app_key"),
            "{faults}"
        );
    }
}
