//! The main job: a stranger starts the sandbox, makes a key, and sees its two
//! records.

use std::process::Command;

use crate::support::{gateway::Sandbox, python};

#[test]
fn a_key_is_made_with_ten_lines_of_python_and_leaves_two_records() {
    let sandbox = Sandbox::start();
    let output = Command::new(python::python())
        .arg("examples/python/create_api_key.py")
        .args([&sandbox.grpc().to_string(), sandbox.token("admin")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let id = said.split_whitespace().nth(1).unwrap();
    assert!(said.starts_with("made "), "{said}");

    let records = sandbox.records(&[]);
    let [intent, outcome] = records.as_slice() else {
        panic!("{records:#?}");
    };
    assert_eq!(intent["kind"], "intent");
    assert_eq!(outcome["kind"], "outcome");
    assert_eq!(outcome["outcome"], "succeeded");
    assert_eq!(outcome["resource"]["id"], id);
    assert_eq!(outcome["caller"]["subject"], "sandbox-admin");
    assert_eq!(intent["call"], outcome["call"]);
}
