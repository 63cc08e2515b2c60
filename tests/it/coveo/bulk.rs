//! Calls about several keys: all or none, and each recorded by itself.

use std::collections::BTreeSet;

use keygate::contract::proto::keygate::coveo::v1::{
    ApiKeyStatus, BulkActivateApiKeysRequest, BulkDeleteApiKeysRequest, BulkDisableApiKeysRequest,
};
use serde_json::{Value as Json, json};

use super::{Bench, names};
use crate::support::{served::SANDBOX_POLICY, upstreams::inject};

const POLICY: &str = r#"
[roles.own]
permissions = ["coveo_api_keys_read", "coveo_api_keys_edit"]
keys = "own"

[roles.payments]
permissions = ["coveo_api_keys_read", "coveo_api_keys_edit"]
keys = "any"
names = ["payments-*"]

[[grants]]
role = "own"
claim = "own"

[[grants]]
role = "payments"
claim = "payments"
"#;

fn disable(ids: &[&str]) -> BulkDisableApiKeysRequest {
    BulkDisableApiKeysRequest {
        api_key_ids: ids.iter().map(|it| (*it).to_owned()).collect(),
        ..BulkDisableApiKeysRequest::default()
    }
}

fn activate(ids: &[&str]) -> BulkActivateApiKeysRequest {
    BulkActivateApiKeysRequest {
        api_key_ids: ids.iter().map(|it| (*it).to_owned()).collect(),
        ..BulkActivateApiKeysRequest::default()
    }
}

fn delete(ids: &[&str]) -> BulkDeleteApiKeysRequest {
    BulkDeleteApiKeysRequest {
        api_key_ids: ids.iter().map(|it| (*it).to_owned()).collect(),
        ..BulkDeleteApiKeysRequest::default()
    }
}

/// What the trail says of a call, in order: kind, key, and what became of it.
fn recorded(records: &[Json], rpc: &str) -> Vec<(String, String, String)> {
    let method = format!("keygate.coveo.v1.ApiKeyService/{rpc}");
    let own = records.iter().filter(|it| it["rpc"] == method);
    let text = |it: &Json| it.as_str().unwrap_or_default().to_owned();
    own.map(|it| {
        (
            text(&it["kind"]),
            text(&it["resource"]["id"]),
            text(&it["outcome"]),
        )
    })
    .collect()
}

/// An intent for each key, then an outcome for each.
fn expected(ids: &[&str], outcome: &str) -> Vec<(String, String, String)> {
    let step = |kind: &'static str, outcome: &'static str| {
        move |id: &&str| (kind.to_owned(), (*id).to_owned(), outcome.to_owned())
    };
    let outcome = outcome.to_owned().leak();
    let intents = ids.iter().map(step("intent", ""));
    intents
        .chain(ids.iter().map(step("outcome", outcome)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_has_its_intent_and_its_outcome() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(admin.create(name).await.id);
    }
    let [a, b, c] = [&*keys[0], &*keys[1], &*keys[2]];
    let (_, asked) = bench.asked(admin.ask(disable(&[a, c]))).await;
    assert_eq!(asked, ["PUT /disable/bulk"]);
    let statuses = admin.list().await;
    let statuses: Vec<_> = statuses.iter().map(|it| it.status()).collect();
    let [enabled, disabled] = [ApiKeyStatus::Enabled, ApiKeyStatus::Disabled];
    assert_eq!(statuses, [disabled, enabled, disabled]);

    let (_, asked) = bench.asked(admin.ask(activate(&[c, b]))).await;
    assert_eq!(asked, ["PUT /activate/bulk"]);
    // what upstream refuses, it refuses for all
    let refused = admin
        .refused(delete(&[b, "nobody"]), "UPSTREAM_REJECTED")
        .await;
    assert_eq!(refused.code(), "INVALID_ARGUMENT");
    assert_eq!(names(&admin.list().await), ["a", "b", "c"]);
    // an answer that is lost is lost for each
    let lost = json!({ "fault": { "reset": "before_response" }, "apply": true, "count": 1 });
    inject(bench.simulator(), lost);
    let lost = admin.refused(disable(&[b, c]), "OUTCOME_UNKNOWN").await;
    assert_eq!(lost.code(), "UNKNOWN");
    let (_, asked) = bench.asked(admin.ask(delete(&[a, b, c]))).await;
    assert_eq!(asked, ["POST /delete/bulk"]);
    assert_eq!(admin.list().await, []);

    let records = bench.0.records();
    let disables = [expected(&[a, c], "succeeded"), expected(&[b, c], "unknown")];
    assert_eq!(recorded(&records, "BulkDisableApiKeys"), disables.concat());
    assert_eq!(
        recorded(&records, "BulkActivateApiKeys"),
        expected(&[c, b], "succeeded")
    );
    let deletes = [
        expected(&[b, "nobody"], "rejected"),
        expected(&[a, b, c], "succeeded"),
    ];
    assert_eq!(recorded(&records, "BulkDeleteApiKeys"), deletes.concat());
    // the records of one call have its id
    let calls: BTreeSet<_> = records
        .iter()
        .filter(|it| it["rpc"].as_str().unwrap().contains("Bulk"))
        .map(|it| it["call"].as_str().unwrap())
        .collect();
    assert_eq!(calls.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_ones_own_keeps_the_others_from_being_touched() {
    let bench = Bench::start(POLICY).await;
    let (alice, bob) = (bench.caller("alice", "own"), bench.caller("bob", "own"));
    let a1 = alice.create("a1").await.id;
    let a2 = alice.create("a2").await.id;
    let b = bob.create("b").await.id;
    for ids in [&[&*a1, &b][..], &[&b, &a1, &a2], &[&b], &[&a1, "nobody"]] {
        let work = async {
            alice.denied(disable(ids)).await;
            alice.denied(activate(ids)).await;
            alice.denied(delete(ids)).await;
        };
        let ((), asked) = bench.asked(work).await;
        assert!(asked.is_empty(), "{asked:?}");
    }
    alice.ask(disable(&[&a1, &a2])).await;
    alice.ask(activate(&[&a1, &a2])).await;
    alice.ask(delete(&[&a1, &a2])).await;
    assert_eq!(alice.list().await, []);
    assert_eq!(names(&bob.list().await), ["b"]);

    // a denial is recorded for each key that it was about
    let records = bench.0.records();
    let denied = recorded(&records, "BulkDeleteApiKeys");
    let denied: Vec<_> = denied.iter().filter(|it| it.0 == "denied").collect();
    assert_eq!(denied.len(), 2 + 3 + 1 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_all_of_them_are_looked_up_at_once() {
    let bench = Bench::start(&format!("{SANDBOX_POLICY}{POLICY}")).await;
    let admin = bench.caller("admin", "admin");
    let payments = bench.caller("payments", "payments");
    let one = admin.create("payments-1").await.id;
    let two = payments.create("payments-2").await.id;
    let other = admin.create("other").await.id;
    assert_eq!(names(&payments.list().await), ["payments-1", "payments-2"]);
    for ids in [&[&*one, &other][..], &[&one, &two, "nobody"]] {
        let ((), asked) = bench.asked(payments.denied(disable(ids))).await;
        assert_eq!(asked, ["GET "], "one list, and no change");
        payments.denied(activate(ids)).await;
        payments.denied(delete(ids)).await;
    }
    let (_, asked) = bench.asked(payments.ask(disable(&[&two, &one]))).await;
    assert_eq!(asked, ["GET ", "PUT /disable/bulk"]);
    payments.ask(delete(&[&two, &one])).await;
    assert_eq!(names(&admin.list().await), ["other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_to_a_thousand_different_ids_are_taken() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let many: Vec<_> = (0..1_001).map(|it| format!("key-{it}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let work = async {
        for ids in [&[][..], &["a", "b", "a"], &many] {
            for answer in [
                admin.call(disable(ids)).await,
                admin.call(activate(ids)).await,
                admin.call(delete(ids)).await,
            ] {
                assert_eq!(answer.reason(), "INVALID_REQUEST");
                let details = answer.details().unwrap();
                let violations = &details.bad_request().unwrap().field_violations;
                assert_eq!(violations[0].field, "api_key_ids");
                assert_eq!(violations.len(), 1);
            }
        }
    };
    let ((), asked) = bench.asked(work).await;
    assert!(asked.is_empty());
    admin
        .refused(disable(&many[..1_000]), "UPSTREAM_REJECTED")
        .await;
    let sent = crate::support::upstreams::requests(bench.simulator());
    assert_eq!(sent[0]["body"].as_array().unwrap().len(), 1_000);
    let records = recorded(&bench.0.records(), "BulkDisableApiKeys");
    let rejected = records.iter().filter(|it| it.2 == "rejected");
    assert_eq!(rejected.count(), 1_000);
}
