//! The program, as a shell sees it.

use std::{collections::BTreeSet, io::Read as _, process::Stdio};

use keygate::contract::Contract;

use crate::support::program::{keygate, run, told};

#[test]
fn the_table_of_permissions_has_every_rpc() {
    let output = run(["permissions", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let printed: BTreeSet<_> = rows.iter().filter_map(|it| it["method"].as_str()).collect();
    let contract = Contract::load().expect("the contract loads");
    let served = contract.operations().iter().map(|it| it.method.as_str());
    assert_eq!(printed, served.collect());

    let row = |method| rows.iter().find(|it| it["method"] == method);
    let delete = row("keygate.datadog.v2.ApiKeyService/DeleteApiKey").expect("it is there");
    let old = row("keygate.datadog.v1.ApiKeyService/DeleteApiKey").expect("it is there");
    assert_eq!(old["deprecated"], true);
    assert_eq!(
        delete["permissions"],
        serde_json::json!(["api_keys_delete"])
    );
    assert_eq!(delete["effect"], "delete");
    assert_eq!(delete["route"], "DELETE /api/v2/api_keys/{api_key_id}");
    assert_eq!(delete["deprecated"], false);
    assert!(delete["not_offered"].is_null());

    for form in [&["permissions"][..], &["permissions", "--markdown"]] {
        let output = run(form);
        assert_eq!(output.status.code(), Some(0));
        let (table, _) = told(&output);
        for operation in contract.operations() {
            assert!(table.contains(&operation.rpc), "{form:?}");
        }
    }
}

#[test]
fn the_page_of_permissions_is_that_of_the_contract() {
    let output = run(["permissions", "--markdown"]);
    assert_eq!(output.status.code(), Some(0));
    let page = include_str!("../../docs/permissions.md");
    assert!(
        told(&output).0 == page,
        "docs/permissions.md is not up to date; renew it:\n  \
         cargo run -- permissions --markdown > docs/permissions.md"
    );
    let contract = Contract::load().expect("the contract loads");
    for it in contract.operations() {
        let (_, section) = page
            .split_once(&format!("\n## {}\n", it.service))
            .expect(&it.service);
        let section = section.split("\n## ").next().unwrap_or_default();
        assert_eq!(
            section.contains("Deprecated."),
            it.deprecated,
            "{}",
            it.service
        );
        let row = section
            .lines()
            .find(|row| row.starts_with(&format!("| `{}` |", it.rpc)));
        let row = row.expect(&it.method);
        let told = it.permissions.iter().chain(&it.not_offered);
        for words in told.map(String::as_str).chain([it.effect.name()]) {
            assert!(row.contains(words), "{row}: {words}");
        }
        if it.not_offered.is_none() {
            assert!(row.contains(it.route.as_deref().unwrap_or("none")), "{row}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = keygate(["permissions"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keygate starts");
    drop(child.stdout.take());
    let mut messages = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut messages).expect("it is UTF-8");
    assert_eq!(messages, "");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = keygate(["permissions"])
        .stdout(full.expect("it is there"))
        .output()
        .expect("keygate starts");
    assert_eq!(output.status.code(), Some(74));
}

#[test]
fn a_wrong_command_line_is_64_and_says_so_on_standard_error() {
    for args in [
        &[][..],
        &["nonsense"],
        &["permissions", "--nonsense"],
        &["permissions", "--json", "--markdown"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_results() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["permissions", "--help"],
        &["help", "permissions"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
    }
}
