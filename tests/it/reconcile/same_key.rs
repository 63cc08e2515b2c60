//! Several lost changes of one key, or of one name: each is told by itself as far as
//! the others leave that open.

use prost_reflect::Value;
use serde_json::json;

use super::{
    Bench,
    contention::{CREATES, named},
    finding,
    patience::{MINUTE, everywhere},
    unknown_and_told,
};
use crate::support::{
    clock::running,
    gateway::Client,
    served::{MAIN, id},
    upstreams::requests,
    vendors::NAMES,
};

/// A service, what makes a key there, changes it and removes it.
const SERVICES: [[&str; 3]; 2] = [
    [
        "keygate.datadog.v2.ApiKeyService/CreateApiKey",
        "keygate.datadog.v2.ApiKeyService/UpdateApiKey",
        "keygate.datadog.v2.ApiKeyService/DeleteApiKey",
    ],
    [
        "keygate.coveo.v1.ApiKeyService/CreateApiKey",
        "keygate.coveo.v1.ApiKeyService/UpdateApiKey",
        "keygate.coveo.v1.ApiKeyService/DeleteApiKey",
    ],
];

const SINCE: &str = "another call has changed the key at the same time or since";
const BEFORE: &str = "another call whose outcome is unknown may have done the same before";

/// A finding, and its reason.
type Expected = (&'static str, Option<&'static str>);

const APPLIED: Expected = ("applied", None);
const NOT_APPLIED: Expected = ("not_applied", None);
const GONE: Expected = ("ambiguous", Some("the key is gone"));
const ANOTHER_SINCE: Expected = ("ambiguous", Some(SINCE));
const ANOTHER_BEFORE: Expected = ("ambiguous", Some(BEFORE));

/// A change whose answer is lost: the name that it gives a key, or that it removes it;
/// whether upstream does it; and what is found out in the end.
type Lost = (Option<&'static str>, bool, Expected);

const REMOVES: Option<&str> = None;
const ONE: Option<&str> = Some("one");
const OTHER: Option<&str> = Some("another");

/// Changes of the same key, one after the other.
const LOST: [[Lost; 2]; 12] = [
    [(ONE, true, GONE), (REMOVES, true, APPLIED)],
    [(ONE, false, GONE), (REMOVES, true, APPLIED)],
    // no key comes back: one that is there was not removed
    [(ONE, true, APPLIED), (REMOVES, false, NOT_APPLIED)],
    [(ONE, false, NOT_APPLIED), (REMOVES, false, NOT_APPLIED)],
    // the first of two may have been undone; the second has left what is there
    [(ONE, true, ANOTHER_SINCE), (OTHER, true, APPLIED)],
    [(ONE, true, ANOTHER_SINCE), (OTHER, false, NOT_APPLIED)],
    [(ONE, false, ANOTHER_SINCE), (OTHER, true, APPLIED)],
    // of two that want the same, either may have done it
    [(ONE, true, ANOTHER_SINCE), (ONE, false, ANOTHER_BEFORE)],
    [(ONE, false, ANOTHER_SINCE), (ONE, true, ANOTHER_BEFORE)],
    [
        (REMOVES, true, ANOTHER_SINCE),
        (REMOVES, false, ANOTHER_BEFORE),
    ],
    [
        (REMOVES, false, ANOTHER_SINCE),
        (REMOVES, true, ANOTHER_BEFORE),
    ],
    [(REMOVES, false, NOT_APPLIED), (REMOVES, false, NOT_APPLIED)],
];

#[tokio::test(flavor = "multi_thread")]
async fn lost_changes_of_one_key_are_told_apart_as_far_as_they_can_be() {
    let bench = Bench::start().await;
    let token = Some(&*bench.token);
    let mut calls = Vec::new();
    for [create, update, delete] in SERVICES {
        let make = async || {
            let request = bench.client.request_at(create, "", MAIN);
            id(bench.client.call(create, token, &request).await)
        };
        let change = |key: &str, name: Option<&str>| {
            let method = if name.is_some() { update } else { delete };
            let mut request = bench.client.request_at(method, key, MAIN);
            let field = NAMES.iter().find(|it| request.has_field_by_name(it));
            if let Some((field, name)) = field.zip(name) {
                let name = format!("{name} for {key}");
                request.set_field_by_name(field, Value::String(name));
            }
            (method, request)
        };
        for lost in LOST {
            let key = make().await;
            for (name, apply, expected) in lost {
                let (method, request) = change(&key, name);
                let call = bench.lose(method, &request, apply).await;
                calls.push((format!("{lost:?}"), call, expected));
            }
        }
        // what was removed before is not removed again
        let key = make().await;
        let (method, request) = change(&key, REMOVES);
        bench.client.call(method, token, &request).await.ok();
        let call = bench.lose(method, &request, true).await;
        calls.push(("removed before".to_owned(), call, NOT_APPLIED));
        // nor by who changes it afterwards, where that is not read first and missed
        if create.starts_with("keygate.datadog.") {
            let key = make().await;
            for (name, apply, expected) in [(REMOVES, true, APPLIED), (ONE, false, GONE)] {
                let (method, request) = change(&key, name);
                let call = bench.lose(method, &request, apply).await;
                calls.push(("changed afterwards".to_owned(), call, expected));
            }
        }
    }
    let told = bench.reconciled().await;
    let mut wrong = Vec::new();
    for (what, call, (expected, reason)) in &calls {
        let record = &told[call][0];
        if finding(&told, call).0 != *expected || record["reason"].as_str() != *reason {
            wrong.push(format!("{what}: {record:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_under_way_is_waited_for_as_it_may_have_done_it() {
    let (clock, hand) = running();
    let mut bench = Bench::with(everywhere(&clock)).await;
    bench.kill();
    let server = bench.start_with(clock).await;
    bench.client = Client::new(server.grpc());
    let [create, _, delete] = SERVICES[0];
    let request = bench.client.request_at(create, "", MAIN);
    let key = bench.client.call(create, Some(&bench.token), &request);
    let request = bench.client.request_at(delete, &id(key.await), MAIN);
    let first = bench.lose(delete, &request, false).await;
    bench.begin(delete, request, true).await;
    // the first can be looked for while the second has no outcome
    hand.advance(MINUTE);
    bench.told_of(2).await;
    let told = bench.reconciled().await;
    assert_eq!(told.len(), 2);
    for (call, records) in &told {
        let second = if *call == first { SINCE } else { BEFORE };
        assert_eq!(finding(&told, call).0, "ambiguous");
        assert_eq!(records[0]["reason"], second, "{:#}", records[0]);
    }
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_creates_of_one_name_that_a_crash_has_left_none_is_said_to_have_made_a_key() {
    let mut bench = Bench::start().await;
    let mut expected = Vec::new();
    for (method, field) in CREATES {
        for (name, applied, finding) in [
            ("both made", [true, true], "ambiguous"),
            ("one made", [true, false], "ambiguous"),
            ("none made", [false, false], "not_applied"),
        ] {
            let request = named(&bench, method, field, name);
            for apply in applied {
                bench.begin(method, request.clone(), apply).await;
                expected.push((method, name, finding));
            }
        }
    }
    bench.kill();
    bench.served.upstreams.clear();
    bench.start_again().await;
    bench.reconciled().await;
    let (unknown, told) = unknown_and_told(&bench.records());
    assert_eq!(
        (unknown.len(), told.len()),
        (expected.len(), expected.len())
    );
    for record in told {
        let of_it = |(method, name, _): &&(&str, &str, &str)| {
            record["rpc"] == *method && record["resource"]["name"] == *name
        };
        let (_, _, finding) = expected.iter().find(of_it).unwrap();
        assert_eq!(record["finding"], *finding, "{record:#}");
        let why = json!("2 calls may have made the same key");
        let why = (*finding == "ambiguous").then_some(why);
        assert_eq!(record.get("reason"), why.as_ref(), "{record:#}");
        assert_eq!(record.pointer("/resource/id"), None, "{record:#}");
    }
    // nothing was done again
    for (_, simulator) in bench.served.upstreams.all() {
        let requests = requests(simulator);
        let changes = requests.iter().filter(|it| it["method"] != "GET");
        assert_eq!(changes.count(), 6);
    }
}
