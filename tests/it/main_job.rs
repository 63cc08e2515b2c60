//! The main job: a stranger starts the sandbox, makes a key, and sees its two
//! records.

use std::{net::SocketAddr, process::Command};

use keygate::contract::DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use serde_json::Value as Json;

use crate::support::{
    gateway::{Client, Process, Sandbox},
    program::told,
    python,
};

#[test]
fn a_key_is_made_with_ten_lines_of_python_and_leaves_two_records() {
    let sandbox = Sandbox::start();
    let output = Command::new(python::python())
        .arg("examples/python/create_api_key.py")
        .args([&sandbox.grpc().to_string(), sandbox.token("admin")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let (said, errors) = told(&output);
    assert!(output.status.success(), "{errors}");
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

/// The calls with grpcurl: where, which method, and with what.
fn calls(printed: &[String]) -> Vec<(SocketAddr, String, Json)> {
    let lines = printed.iter().map(|it| it.trim());
    let pairs = lines.clone().zip(lines.skip(1));
    let calls = pairs.filter_map(|(data, target)| {
        let data = data.strip_prefix("-d '")?.strip_suffix("' \\")?;
        let (address, method) = target.split_once(' ')?;
        let request = serde_json::from_str(data).unwrap();
        Some((address.parse().unwrap(), method.to_owned(), request))
    });
    calls.collect()
}

/// A request from its JSON, as grpcurl makes it: text, and names of enums.
fn request(method: &str, json: &Json) -> DynamicMessage {
    let (service, rpc) = method.split_once('/').unwrap();
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    let method = service.methods().find(|it| it.name() == rpc).unwrap();
    let mut request = DynamicMessage::new(method.input());
    for (name, value) in json.as_object().unwrap() {
        let text = value.as_str().unwrap();
        let field = method.input().get_field_by_name(name).unwrap();
        let kind = field.kind();
        let value = match kind.as_enum() {
            Some(kind) => Value::EnumNumber(kind.get_value_by_name(text).unwrap().number()),
            None => Value::String(text.to_owned()),
        };
        request.set_field(&field, value);
    }
    request
}

#[tokio::test]
async fn what_the_sandbox_prints_can_be_pasted() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let mut sandbox = Process::start(&[
        "sandbox",
        "--grpc",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--data-dir",
        folder,
    ]);
    let printed = sandbox.printed(|it| it.starts_with("Ctrl-C"));
    let paste = |words: &str| {
        let line = printed.iter().find(|it| it.contains(words)).unwrap();
        line.trim().to_owned()
    };
    let export = paste("export TOKEN=");
    let (_, token) = export.split_once('=').unwrap();
    let calls = calls(&printed);
    assert_eq!(calls.len(), 3, "one for each vendor: {printed:#?}");
    for (address, method, json) in calls {
        let request = request(&method, &json);
        let client = Client::new(address);
        let answer = client.call(&method, Some(token), &request).await;
        assert_eq!(answer.code(), "OK", "{method}: {}", answer.reason());
    }
    let script = [export, paste("create_api_key.py"), paste("audit list")].join(" && ");

    let bin = python::python().parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", &script])
        .env("PATH", path)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let (said, errors) = told(&output);
    assert!(output.status.success(), "{errors}");
    assert!(said.contains("made "), "{said}");
    assert!(said.contains("intent "), "{said}");
    assert!(said.contains("succeeded "), "{said}");
}
