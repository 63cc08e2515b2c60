//! How a server starts, or says why it does not.

use std::{net::TcpListener, process::Output};

use super::Stage;
use crate::support::program::{run, told};

fn errors(output: &Output) -> String {
    told(output).1
}

#[tokio::test]
async fn a_trail_has_one_writer() {
    let stage = Stage::open("").await;
    let _first = stage.setup.serve().await;
    let config = stage.setup.config();
    let second = run(["serve", "--config", config.to_str().unwrap()]);
    let told = errors(&second);
    assert_eq!(second.status.code(), Some(74), "{told}");
    assert!(
        told.contains("trail.db") && told.contains("another keygate"),
        "{told}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["grpc", "http"] {
        let stage = Stage::open("").await;
        let file = stage.setup.config();
        let text = std::fs::read_to_string(&file).unwrap();
        let free = format!("{setting} = \"127.0.0.1:0\"");
        let text = text.replace(&free, &format!("{setting} = \"{address}\""));
        stage.setup.write("keygate.toml", &text);
        let output = run(["serve", "--config", file.to_str().unwrap()]);
        let told = errors(&output);
        assert_eq!(output.status.code(), Some(69), "{told}");
        let name = format!("server.{setting}");
        assert!(told.contains(&name) && told.contains(&address), "{told}");
    }
}

#[tokio::test]
async fn check_tells_every_fault_of_all_that_the_configuration_names() {
    let stage = Stage::open("").await;
    let config = stage.setup.config();
    let check = ["check", "--config", config.to_str().unwrap()];
    let output = run(check);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));

    let grant = "[[grants]]\nrole = \"nobody\"\nclaim = \"x\"\n";
    stage.setup.write(
        "policy.toml",
        &format!("[roles.a]\npermissions = [\"api_keys_raed\"]\n{grant}"),
    );
    let text = std::fs::read_to_string(&config).unwrap();
    let keys = "api_key = { file = \"empty\" }\napp_key = { command = [\"false\"] }\n";
    let token = "token = { file = \"empty\" }\n";
    stage.setup.write("empty", "");
    let start = text.find("api_key").unwrap();
    let broken = format!(
        "{}{keys}[[braintrust]]\n{token}[[coveo]]\nregion = \"au\"\norganization_id = \"acme\"\n{token}",
        &text[..start]
    );
    stage.setup.write("keygate.toml", &broken);
    let told = |all: &[&str]| {
        let output = run(check);
        let told = errors(&output);
        assert_eq!(output.status.code(), Some(78), "{told}");
        for expected in all {
            assert!(told.contains(expected), "{expected}: {told}");
        }
    };
    let policy = [
        "policy.toml",
        "roles.a.permissions[0]",
        "api_keys_raed",
        "grants[0].role",
    ];
    told(&policy);
    told(&[
        "datadog/us1/main: api_key",
        "empty",
        "datadog/us1/main: app_key",
        "false",
        "braintrust/default: token",
        "coveo/au/acme: token",
    ]);

    // faults of the configuration itself hide none of the policy's
    let broken = broken
        .replace("[audit]", "[audit]\ncolour = \"red\"")
        .replace("file = \"empty\"", "file = \"no-such-file\"")
        .replace("command = [\"false\"]", "env = \"KEYGATE_TEST_NOT_SET\"");
    stage.setup.write("keygate.toml", &broken);
    told(&policy);
    told(&[
        "audit.colour",
        "datadog[0].api_key",
        "no-such-file",
        "datadog[0].app_key",
        "KEYGATE_TEST_NOT_SET",
        "braintrust[0].token",
        "coveo[0].token",
    ]);
}

#[tokio::test]
async fn explaining_a_policy_ends_with_its_decision() {
    let stage = Stage::open("").await;
    let config = stage.setup.config();
    let explain = |claim: &str, rpc: &str| {
        let config = config.to_str().unwrap();
        let rpc = &format!("keygate.datadog.v2.{rpc}");
        run([
            "policy", "explain", "--json", "--config", config, "--claim", claim, rpc,
        ])
    };
    let permitted = explain("admin", "ApiKeyService/CreateApiKey");
    assert_eq!(permitted.status.code(), Some(0), "{}", errors(&permitted));
    let told: serde_json::Value = serde_json::from_slice(&permitted.stdout).unwrap();
    assert_eq!(told["permitted"], true);
    let denied = explain("guest", "ApiKeyService/CreateApiKey");
    assert_eq!(denied.status.code(), Some(77), "{}", errors(&denied));
    let told: serde_json::Value = serde_json::from_slice(&denied.stdout).unwrap();
    assert_eq!(told["permitted"], false);
    assert_eq!(told["missing"], serde_json::json!(["api_keys_write"]));
    assert_eq!(explain("admin", "NoSuchRpc").status.code(), Some(64));
}

#[test]
fn an_rpc_of_several_services_is_asked_for_by_its_full_name() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "").unwrap();
    let explain = |rpc: &str| {
        let policy = policy.to_str().unwrap();
        run(["policy", "explain", "--policy", policy, rpc])
    };
    let several = explain("ListApiKeys");
    let told = errors(&several);
    assert_eq!(several.status.code(), Some(64), "{told}");
    for version in ["v1", "v2"] {
        let name = format!("`keygate.datadog.{version}.ApiKeyService/ListApiKeys`");
        assert!(told.contains(&name), "{told}");
    }
    // one that has no namesake needs no more
    for rpc in [
        "RevokePersonalAccessToken",
        "keygate.datadog.v2.ApiKeyService/ListApiKeys",
    ] {
        let alone = explain(rpc);
        assert_eq!(alone.status.code(), Some(77), "{}", errors(&alone));
    }
}
