//! Recorded answers of the real API pass through the gateway, and nothing of them
//! is lost or changed.
//!
//! The recordings beside this file are of our own writing. Others, in the same
//! format, come from `upstream/cassettes` in the folder that `KEYGATE_SHARED`
//! names.

mod compare;
mod reassemble;
mod recording;
mod replay;
mod request;

use std::{fmt::Write as _, path::Path};

use keygate::contract::{Contract, Operation};
use serde_json::{Value as Json, json};

use self::{
    compare::differences,
    recording::Interaction,
    replay::Replay,
    request::{Derived, derive},
};
use crate::support::{
    gateway::{Answer, Client},
    serve::Setup,
};

#[tokio::test]
async fn our_own_recordings_pass_with_nothing_lost_or_changed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cassettes");
    let called = pass(&folder).await;
    // every route of v2 is among them; a stream takes its list's
    let contract = Contract::load().unwrap();
    let routes = contract.operations().iter();
    let routes = routes.filter(|it| it.service.starts_with("keygate.datadog.v2."));
    let missing: Vec<_> = routes
        .filter(|it| !it.rpc.starts_with("Stream"))
        .filter(|it| !called.contains(&it.rpc))
        .map(|it| &it.rpc)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn recordings_of_the_real_api_pass_with_nothing_lost_or_changed() {
    let Some(shared) = std::env::var_os("KEYGATE_SHARED") else {
        println!("skipped: KEYGATE_SHARED names no folder with recordings of the real API");
        return;
    };
    let folder = Path::new(&shared).join("upstream/cassettes");
    assert!(!pass(&folder).await.is_empty());
}

/// Takes every recorded call through the gateway, in order. The RPCs called.
async fn pass(folder: &Path) -> Vec<String> {
    let contract = Contract::load().unwrap();
    let recorded = recording::read(folder);
    assert!(!recorded.is_empty(), "{}: nothing", folder.display());
    let replay = Replay::start(recorded.clone()).await;
    let setup = Setup::new("", &replay.upstreams()).await;
    for (name, text) in replay.credentials() {
        setup.write(&name, &text);
    }
    let gateway = setup.serve().await;
    let (client, token) = (gateway.client(), setup.token());

    let (mut called, mut faults) = (Vec::new(), String::new());
    for (number, interaction) in recorded.iter().enumerate() {
        let Some((operation, parameters)) = interaction.operation(&contract) else {
            println!("skipped: {interaction}: no operation of v2's key management");
            continue;
        };
        let method = client.method(&operation.method);
        let org = Replay::org(number);
        let derived = derive(&method, interaction, &org, &parameters);
        for note in &derived.inexpressible {
            println!("note: {interaction}: the contract has no way to ask for {note}");
        }
        let answer = client
            .call(&operation.method, Some(&token), &derived.message)
            .await;
        let seen = replay.seen(number);
        let found = check(&client, operation, interaction, &derived, answer, &seen);
        for fault in found {
            let _ = writeln!(faults, "{interaction} ({}): {fault}", operation.rpc);
        }
        called.push(operation.rpc.clone());
    }
    println!("{}: {} calls", folder.display(), called.len());
    assert!(faults.is_empty(), "\n{faults}");
    called
}

/// What is wrong with what was asked of upstream and what came back.
fn check(
    client: &Client,
    operation: &Operation,
    interaction: &Interaction,
    derived: &Derived,
    answer: Answer,
    seen: &[Json],
) -> Vec<String> {
    let Some(first) = seen.first() else {
        // what upstream would refuse can be refused without asking it
        let refused = answer.reason() == "INVALID_REQUEST" && interaction.status == 400;
        let fault = format!("not asked: {} {}", answer.code(), answer.reason());
        return if refused { Vec::new() } else { vec![fault] };
    };
    let mut faults = Vec::new();
    if derived.inexpressible.is_empty() {
        faults.extend(differences(&interaction.request(), first));
    }
    match interaction.status {
        200..300 => faults.extend(success(client, operation, interaction, answer)),
        _ => faults.extend(failure(operation, interaction, &answer)),
    }
    faults
}

fn success(
    client: &Client,
    operation: &Operation,
    interaction: &Interaction,
    answer: Answer,
) -> Vec<String> {
    let is_removal = client.method(&operation.method).output().fields().len() == 0;
    let recorded = match interaction.json() {
        Some(recorded) => recorded,
        None if is_removal && interaction.answer.is_empty() => Json::Null,
        None => {
            let told = (answer.code(), answer.reason());
            let fault = format!("makes no sense, and is told as {told:?}");
            let expected = told == ("INTERNAL", "UPSTREAM_MALFORMED".to_owned());
            return if expected { Vec::new() } else { vec![fault] };
        }
    };
    match &answer.result {
        Ok(()) => differences(&recorded, &reassemble::document(&answer.ok())),
        Err(status) => vec![format!("{status}")],
    }
}

fn failure(operation: &Operation, interaction: &Interaction, answer: &Answer) -> Vec<String> {
    let changes = operation.effect.is_mutation();
    let expected = match interaction.status {
        401 => ("FAILED_PRECONDITION", "UPSTREAM_CREDENTIALS_REJECTED"),
        403 => ("FAILED_PRECONDITION", "UPSTREAM_FORBIDDEN"),
        404 | 410 => ("NOT_FOUND", "KEY_NOT_FOUND"),
        409 => ("ALREADY_EXISTS", "KEY_EXISTS"),
        429 => ("RESOURCE_EXHAUSTED", "RATE_LIMITED"),
        408 | 500.. if changes => ("UNKNOWN", "OUTCOME_UNKNOWN"),
        408 | 500.. => ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE"),
        400.. => ("INVALID_ARGUMENT", "UPSTREAM_REJECTED"),
        _ if changes => ("UNKNOWN", "OUTCOME_UNKNOWN"),
        _ => ("INTERNAL", "UPSTREAM_MALFORMED"),
    };
    let reason = answer.reason();
    let mut faults = Vec::new();
    if (answer.code(), reason.as_str()) != expected {
        let told = (answer.code(), reason);
        faults.push(format!("{told:?} instead of {expected:?}"));
    }
    let info = answer.details().and_then(|it| it.error_info().cloned());
    let metadata = info.map(|it| it.metadata).unwrap_or_default();
    let status = metadata.get("upstream_status");
    if status != Some(&interaction.status.to_string()) {
        faults.push(format!("its status is told as {status:?}"));
    }
    let words = interaction.words();
    let tells = matches!(
        expected.1,
        "UPSTREAM_REJECTED" | "KEY_NOT_FOUND" | "KEY_EXISTS"
    );
    if tells && !words.is_empty() {
        let told = metadata.get("upstream_errors");
        faults.extend(differences(&json!(words.join("; ")), &json!(told)));
    }
    faults
}
