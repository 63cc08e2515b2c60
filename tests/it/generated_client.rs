//! A Python client that is generated from `proto/` alone.

use std::process::Command;

use crate::support::{gateway::Sandbox, python};

#[test]
fn a_generated_client_completes_every_rpc_and_reads_typed_errors() {
    let sandbox = Sandbox::start();
    let generated = tempfile::tempdir().unwrap();
    let output = Command::new(python::python())
        .arg(python::scripts().join("keygate_generated.py"))
        .arg(sandbox.grpc().to_string())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/proto"))
        .arg(generated.path())
        .env("KEYGATE_ADMIN", sandbox.token("admin"))
        .env("KEYGATE_READER", sandbox.token("reader"))
        .env("KEYGATE_NOBODY", sandbox.token("nobody"))
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stdout == b"ok\n",
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
