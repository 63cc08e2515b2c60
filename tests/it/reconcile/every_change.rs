//! Every change of the contract: one that was made is told from one that was not.

use std::collections::BTreeSet;

use keygate::{
    contract::Effect,
    gateway::trace::{Sought, Trace},
};

use super::{Bench, finding};
use crate::support::{
    gateway::contract,
    served::{MAIN, target},
    vendors::Vendor,
};

/// What upstream can't tell, whatever became of it.
const NEVER_TOLD: [&str; 1] = ["keygate.coveo.v1.ApiKeyService/ExtendApiKey"];

/// What removes a key that a method makes.
fn remover(method: &str) -> &'static str {
    let (service, rpc) = method.split_once('/').unwrap();
    match (service, rpc) {
        ("keygate.datadog.v1.ApiKeyService" | "keygate.datadog.v2.ApiKeyService", _) => {
            "keygate.datadog.v2.ApiKeyService/DeleteApiKey"
        }
        (
            "keygate.datadog.v1.ApplicationKeyService"
            | "keygate.datadog.v2.CurrentUserApplicationKeyService",
            _,
        ) => "keygate.datadog.v2.CurrentUserApplicationKeyService/DeleteCurrentUserApplicationKey",
        ("keygate.datadog.v2.PersonalAccessTokenService", _) => {
            "keygate.datadog.v2.PersonalAccessTokenService/RevokePersonalAccessToken"
        }
        (_, "CreateServiceAccountApplicationKey") => {
            "keygate.datadog.v2.ServiceAccountKeyService/DeleteServiceAccountApplicationKey"
        }
        (_, "CreateServiceAccountAccessToken") => {
            "keygate.datadog.v2.ServiceAccountKeyService/RevokeServiceAccountAccessToken"
        }
        ("keygate.braintrust.v1.ServiceTokenService", _) => {
            "keygate.braintrust.v1.ServiceTokenService/DeleteServiceToken"
        }
        ("keygate.coveo.v1.ApiKeyService", _) => "keygate.coveo.v1.ApiKeyService/DeleteApiKey",
        _ => panic!("{method}: how is what it makes removed?"),
    }
}

fn changes() -> impl Iterator<Item = (&'static str, Effect)> {
    let operations = contract().operations().iter();
    let changes = operations.filter(|it| it.effect.is_mutation() && it.route.is_some());
    changes.map(|it| (it.method.as_str(), it.effect))
}

#[test]
fn every_change_says_where_its_effect_shows() {
    let now = keygate::clock::Clock::system().now();
    let sought = Sought {
        upstream: "vendor/region/place",
        id: Some("a-key"),
        name: Some("a name"),
        parent: Some("an-account"),
        from: now,
        to: now,
    };
    let tracers = keygate::datadog::tracers()
        .chain(keygate::braintrust::tracers())
        .chain(keygate::coveo::tracers());
    let (mut told, mut never) = (BTreeSet::new(), BTreeSet::new());
    for tracer in tracers {
        match (tracer.trace)(&sought) {
            Some(Trace::Untold(_)) => never.insert(tracer.method),
            Some(_) => told.insert(tracer.method),
            None => continue,
        };
    }
    assert_eq!(never, BTreeSet::from(NEVER_TOLD));
    told.extend(never);
    assert_eq!(told, changes().map(|(method, _)| method).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_is_told_from_what_was_not() {
    let bench = Bench::start().await;
    let (client, token) = (&bench.client, &bench.token);
    let mut lost = Vec::new();
    for (method, effect) in changes() {
        for apply in [true, false] {
            let target = target(client, method, token, MAIN).await;
            let request = client.request_at(method, &target, MAIN);
            if method.ends_with("ActivateApiKey") || method.ends_with("ActivateApiKeys") {
                let disable = "keygate.coveo.v1.ApiKeyService/DisableApiKey";
                let request = client.request_at(disable, &target, MAIN);
                let disabled = client.call(disable, Some(token), &request).await;
                disabled.ok();
            }
            let call = bench.lose(method, &request, apply).await;
            lost.push((method, effect, apply, target, call));
        }
    }
    assert!(lost.len() > 50, "{}", lost.len());
    let told = bench.reconciled().await;
    let mut wrong = Vec::new();
    for (method, effect, apply, target, call) in &lost {
        let expected = match apply {
            _ if NEVER_TOLD.contains(method) => "ambiguous",
            true => "applied",
            false => "not_applied",
        };
        let (found, id) = finding(&told, call);
        if found != expected {
            wrong.push(format!("{method}, {apply}: {:#}", told[call][0]));
            continue;
        }
        let record = &told[call][0];
        assert_eq!(
            record.get("reason").is_some(),
            expected == "ambiguous",
            "{record:#}"
        );
        if *effect == Effect::Create {
            assert_eq!(id.is_some(), *apply, "{record:#}");
        } else if !method.starts_with("keygate.datadog.v1.") {
            assert_eq!(id, Some(target.as_str()), "{record:#}");
        }
        if let (Effect::Create, Some(id)) = (effect, id) {
            owned_by_alice_alone(&bench, method, id).await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(bench.unresolved().await, "0");
    no_secret_is_told(&bench);
    bench.served.verify();
}

/// Who was to make a key has made it, and may do with it what its makers may.
async fn owned_by_alice_alone(bench: &Bench, method: &str, id: &str) {
    let remove = remover(method);
    let request = bench.client.request_at(remove, id, MAIN);
    for (subject, code) in [("bob", "PERMISSION_DENIED"), ("alice", "OK")] {
        let token = bench.served.token(subject, &["operator"]);
        let answer = bench.client.call(remove, Some(&token), &request).await;
        assert_eq!(answer.code(), code, "{method}: {subject} {id}");
    }
}

/// Nothing that was found out holds the value of a key.
fn no_secret_is_told(bench: &Bench) {
    let text = serde_json::to_string(&bench.records()).unwrap();
    let (mut secrets, mut fingerprints) = (0, 0);
    for (place, simulator) in bench.served.upstreams.all() {
        let vendor: &Vendor = place.vendor;
        let state = simulator.state();
        for (list, member) in vendor.secrets {
            for key in state[list].as_array().unwrap() {
                let secret = key[member].as_str().unwrap();
                assert!(!text.contains(secret), "{list}");
                secrets += 1;
            }
        }
    }
    for record in bench.records() {
        let shown = ["v2.ApiKey", "v1.ApiKey", "CurrentUser"];
        let rpc = record["rpc"].as_str().unwrap().to_owned();
        if record["finding"] == "applied"
            && record["effect"] == "create"
            && shown.iter().any(|it| rpc.contains(it))
        {
            let all = record["fingerprints"].as_array();
            let all = all.map_or(0, Vec::len);
            assert_eq!(all, usize::from(rpc.contains("datadog")), "{record:#}");
            fingerprints += all;
        }
    }
    assert!(secrets > 0 && fingerprints > 0);
}
