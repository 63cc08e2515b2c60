//! What the README says is so: its configuration, its policy and its commands.

use std::{fs, path::Path, process::Output};

use keygate::audit::note;
use rcgen::{CertificateParams, KeyPair};
use secrecy::ExposeSecret as _;

use crate::support::{
    gateway::Sandbox,
    program::{keygate, run_with, told},
};

const README: &str = include_str!("../../README.md");
const EVIDENCE: &str = include_str!("../../docs/evidence.md");

/// The code block of a language that holds these words.
fn block<'a>(language: &str, words: &str) -> &'a str {
    let opening = format!("```{language}\n");
    let blocks = README.split(opening.as_str()).skip(1);
    let blocks = blocks.filter_map(|it| it.split_once("```"));
    let mut found = blocks.map(|(code, _)| code).filter(|it| it.contains(words));
    found.next().unwrap()
}

/// The commands of keygate's in the README, one each.
fn commands() -> Vec<&'static str> {
    commands_of(README)
}

/// The commands of keygate's on a page, one each.
fn commands_of(page: &str) -> Vec<&str> {
    let lines = page.lines();
    lines
        .filter_map(|it| it.strip_prefix("    keygate "))
        .collect()
}

fn run(command: &str, folder: &Path) -> Output {
    let (words, input) = command.split_once(" < ").unwrap_or((command, ""));
    let input = match input {
        "" => "",
        // whatever it is called there
        _ => "0123456789abcdef\n",
    };
    let mut command = keygate(words.split_whitespace());
    command
        .current_dir(folder)
        .env("DD_API_KEY", "0123456789abcdef0123456789abcdef")
        .env("BRAINTRUST_TOKEN", "bt-st-0123456789abcdef");
    run_with(&mut command, input.as_bytes())
}

#[test]
fn its_commands_run_with_its_configuration_and_policy() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    write("keygate.toml", block("toml", "[server]"));
    write("policy.toml", block("toml", "[[grants]]"));
    write("policy.test.toml", block("toml", "[[cases]]"));
    write("tls.crt", &certificate);
    write("tls.key", &key.serialize_pem());
    write("clients.crt", &certificate);
    write("dd-app-key", "0123456789abcdef0123456789abcdef01234567");
    write("coveo-token", "xx01234567-89ab-cdef-0123-456789abcdef");
    write("signing-key.pem", note::generate().unwrap().expose_secret());
    let sandbox = Sandbox::start();
    public_key(&sandbox);

    let mut seen = 0;
    for command in commands() {
        let (folder, code) = match command.split_whitespace().next().unwrap() {
            "check" => (folder.path(), 0),
            // the role of the example has no rights on that site
            "policy" if command.contains("explain") => (folder.path(), 77),
            "policy" => (folder.path(), 0),
            "audit" => (sandbox.data_dir(), 0),
            // runs until it is told to stop: `serving` does that
            "serve" => continue,
            _ => panic!("{command}: nothing tests it"),
        };
        let output = run(command, folder);
        let (_, errors) = told(&output);
        assert_eq!(output.status.code(), Some(code), "{command}: {errors}");
        seen += 1;
    }
    assert!(seen >= 4, "the README has lost its commands");
    let permitted = "policy explain --policy policy.toml --claim payments \
                     keygate.datadog.v2.ApiKeyService/DeleteApiKey datadog/us1/main";
    assert_eq!(run(permitted, folder.path()).status.code(), Some(0));
}

/// Writes down the public key of a sandbox's trail beside it, as an auditor has it.
fn public_key(sandbox: &Sandbox) {
    let folder = sandbox.data_dir();
    let key = "audit key --signing-key secrets/signing-key.pem --origin keygate-sandbox";
    fs::write(folder.join("trail.pub"), run(key, folder).stdout).unwrap();
}

#[tokio::test]
async fn the_commands_that_prove_a_trail_run() {
    let sandbox = Sandbox::start();
    let folder = sandbox.data_dir();
    let client = sandbox.client();
    let create = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
    let request = client.request(create, "");
    let answer = client
        .call(create, Some(sandbox.token("admin")), &request)
        .await;
    fs::write(folder.join("receipt"), &answer.receipts[0]).unwrap();
    fs::copy(
        folder.join("secrets/signing-key.pem"),
        folder.join("signing-key.pem"),
    )
    .unwrap();
    public_key(&sandbox);
    let mut seen = 0;
    for command in commands_of(EVIDENCE) {
        let output = run(command, folder);
        let (_, errors) = told(&output);
        assert_eq!(output.status.code(), Some(0), "{command}: {errors}");
        if command.starts_with("audit export") {
            // the intent is the first line, and the outcome the second
            let records = fs::read_to_string(folder.join("records.jsonl")).unwrap();
            fs::write(folder.join("record.json"), records.lines().nth(1).unwrap()).unwrap();
        }
        seen += 1;
    }
    assert_eq!(seen, 6, "docs/evidence.md has lost its commands");
}

#[test]
fn its_table_has_every_reason() {
    let source = include_str!("../../src/status.rs");
    let reasons = source.split_once("pub fn reason(").unwrap().1;
    let reasons = reasons.split_once("\n    }\n").unwrap().0;
    let mut told = 0;
    for reason in reasons.split('"').skip(1).step_by(2) {
        // its caller has gone, and knows
        if reason != "CANCELLED" {
            assert!(README.contains(&format!("`{reason}`")), "{reason}");
            told += 1;
        }
    }
    assert!(told > 15);
}
