//! Every fault is told, all at once, each with its line and what to do.

use proptest::{collection::vec, prelude::*};

use super::*;

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
