//! A Python client that is generated from `proto/` alone.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use crate::support::{
    gateway::{Sandbox, contract},
    program::told,
    python,
};

/// Runs a script that generates a client; what it has printed.
fn run(script: &str, sandbox: &Sandbox, environment: &[(&str, &str)]) -> String {
    let generated = tempfile::tempdir().unwrap();
    let output = python::script(script)
        .arg(sandbox.grpc().to_string())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/proto"))
        .arg(generated.path())
        .env("KEYGATE_ADMIN", sandbox.token("admin"))
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let (printed, errors) = told(&output);
    assert!(output.status.success(), "{errors}{printed}");
    printed
}

#[test]
fn a_generated_client_reads_every_field_and_typed_errors() {
    let sandbox = Sandbox::start();
    let environment = [
        ("KEYGATE_READER", sandbox.token("reader")),
        ("KEYGATE_NOBODY", sandbox.token("nobody")),
    ];
    let printed = run("keygate_generated.py", &sandbox, &environment);
    assert_eq!(printed, "ok\n");
}

#[test]
fn a_generated_client_walks_all_vendors_and_every_record_is_accounted_for() {
    let sandbox = Sandbox::start();
    let places = json!({
        "organization_id": sandbox.master("coveo/us", "organization_id"),
        "service_accounts": {
            "braintrust": sandbox.service_account("braintrust/default"),
            "datadog": sandbox.service_account("datadog/us1"),
        },
    });
    let places = places.to_string();
    let printed = run("keygate_walk.py", &sandbox, &[("KEYGATE_PLACES", &places)]);
    let calls = printed.lines().map(|it| serde_json::from_str(it).unwrap());
    let calls: Vec<Json> = calls.collect();
    assert!(calls.len() > 80, "{}", calls.len());

    let mut records: HashMap<String, Vec<Json>> = HashMap::new();
    for record in sandbox.records(&[]) {
        let id = record["request_id"].as_str().unwrap().to_owned();
        records.entry(id).or_default().push(record);
    }
    let mut problems = Vec::new();
    for call in &calls {
        let records = records.remove(call["request_id"].as_str().unwrap());
        let records = records.unwrap_or_default();
        let (expected, found) = (
            expected(call),
            records.iter().map(facts).collect::<Vec<_>>(),
        );
        if found != expected {
            problems.push(format!("{call}\n  is {found:#?}\n  not {expected:#?}"));
        }
        let secret = call["secret"] == true && call["reason"] == "";
        let known = |it: &Json| it["fingerprints"].is_array();
        if secret && !records.last().is_some_and(known) {
            problems.push(format!("{call}\n  has no fingerprint: {records:#?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(records.is_empty(), "nobody has called: {records:#?}");
}

/// What a record tells, but for when and how long.
fn facts(record: &Json) -> Json {
    let resource = &record["resource"];
    json!({
        "kind": record["kind"],
        "outcome": record["outcome"],
        "code": record["code"],
        "reason": record["reason"],
        "rpc": record["rpc"],
        "effect": record["effect"],
        "subject": record["caller"]["subject"],
        "upstream": record["upstream"],
        "type": resource["type"],
        "id": resource["id"],
        "parent": resource["parent"],
        "copy_of": resource["copy_of"],
        "items": record["items"],
    })
}

/// The records that a call has to leave: of a change to a key its intent and its
/// outcome, of a read the outcome, and of what is not offered that it was refused.
fn expected(call: &Json) -> Vec<Json> {
    let rpc = call["rpc"].as_str().unwrap();
    let operation = contract().operation(rpc).unwrap();
    let offered = operation.not_offered.is_none();
    let fact = |kind: &str, outcome: Option<&str>, id: &Json| {
        let of_resource = |name: &str| {
            if offered {
                call[name].clone()
            } else {
                Json::Null
            }
        };
        let ended = kind != "intent";
        let reason = call["reason"].as_str().filter(|it| ended && !it.is_empty());
        json!({
            "kind": kind,
            "outcome": outcome,
            "code": if ended { call["code"].clone() } else { Json::Null },
            "reason": reason,
            "rpc": rpc,
            "effect": operation.effect.name(),
            "subject": "sandbox-admin",
            "upstream": of_resource("upstream"),
            "type": of_resource("type"),
            "id": id,
            "parent": of_resource("parent"),
            "copy_of": of_resource("copy_of"),
            "items": if ended { call["items"].clone() } else { Json::Null },
        })
    };
    if !offered {
        return vec![fact("refused", None, &Json::Null)];
    }
    let ids = call["ids"].as_array().unwrap().clone();
    let ids = if ids.is_empty() {
        vec![Json::Null]
    } else {
        ids
    };
    let outcome = match call["reason"].as_str().unwrap() {
        "" => "succeeded",
        _ => "rejected",
    };
    let mut facts = Vec::new();
    if operation.effect.is_mutation() {
        facts.extend(ids.iter().map(|id| fact("intent", None, id)));
    }
    facts.extend(ids.iter().map(|id| {
        let id = call.get("made").unwrap_or(id);
        fact("outcome", Some(outcome), id)
    }));
    facts
}
