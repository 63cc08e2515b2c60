//! The program under test, run to its end as a shell runs it. Servers are in
//! `gateway`.

use std::{
    ffi::OsStr,
    io::Write as _,
    process::{Command, Output, Stdio},
};

/// Where it is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_keygate");

/// A command of keygate's. Whoever runs the tests names no configuration to it.
pub(crate) fn keygate<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_remove("KEYGATE_CONFIG");
    command
}

/// Runs a command of keygate's, with nothing on standard input.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    keygate(arguments).output().unwrap()
}

/// Runs a command with this on standard input.
pub(crate) fn run_with(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // it may not read it
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Sends a process a signal.
pub(crate) fn signal(process: u32, name: &str) {
    let process = process.to_string();
    let sent = Command::new("kill").args(["-s", name, &process]).status();
    assert!(sent.unwrap().success());
}

/// The results and the messages of a program that has ended.
pub(crate) fn told(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The same as one text.
pub(crate) fn all_told(output: &Output) -> String {
    let (results, messages) = told(output);
    results + &messages
}
