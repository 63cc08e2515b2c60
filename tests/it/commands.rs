//! The program, as a shell sees it.

use std::{
    collections::BTreeSet,
    io::Read as _,
    process::{Command, Output, Stdio},
};

use keygate::contract::Contract;

fn keygate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keygate"));
    command.args(args);
    command
}

fn run(args: &[&str]) -> Output {
    keygate(args).output().expect("keygate starts")
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).expect("it is UTF-8")
}

#[test]
fn the_table_of_permissions_has_every_rpc() {
    let output = run(&["permissions", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let printed: BTreeSet<_> = rows.iter().filter_map(|it| it["method"].as_str()).collect();
    let contract = Contract::load().expect("the contract loads");
    let served = contract.operations().iter().map(|it| it.method.as_str());
    assert_eq!(printed, served.collect());

    let delete = rows.iter().find(|it| it["rpc"] == "DeleteApiKey");
    let delete = delete.expect("it is there");
    assert_eq!(
        delete["permissions"],
        serde_json::json!(["api_keys_delete"])
    );
    assert_eq!(delete["effect"], "delete");
    assert_eq!(delete["route"], "DELETE /api/v2/api_keys/{api_key_id}");

    for form in [&["permissions"][..], &["permissions", "--markdown"]] {
        let output = run(form);
        assert_eq!(output.status.code(), Some(0));
        for operation in contract.operations() {
            assert!(stdout(&output).contains(&operation.rpc), "{form:?}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = keygate(&["permissions"])
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
    let output = keygate(&["permissions"])
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
        assert_eq!(stdout(&output), "", "{args:?}");
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
