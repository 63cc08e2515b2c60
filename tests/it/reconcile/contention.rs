//! Keys that look alike: nobody is said to have made what somebody else may have.

use std::time::Duration;

use prost_reflect::{DynamicMessage, Value};
use serde_json::json;

use super::{Bench, finding};
use crate::support::{
    clock::behind,
    served::{MAIN, id},
    upstreams::Place,
    vendors,
};

/// What makes a key at each vendor, and the field that names it.
pub(super) const CREATES: [(&str, &str); 3] = [
    ("keygate.datadog.v2.ApiKeyService/CreateApiKey", "name"),
    (
        "keygate.braintrust.v1.ServiceTokenService/CreateServiceToken",
        "name",
    ),
    (
        "keygate.coveo.v1.ApiKeyService/CreateApiKey",
        "display_name",
    ),
];

pub(super) fn named(bench: &Bench, method: &str, field: &str, name: &str) -> DynamicMessage {
    let mut request = bench.client.request_at(method, "", MAIN);
    request.set_field_by_name(field, Value::String(name.to_owned()));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn of_keys_that_look_alike_none_is_said_to_be_the_one() {
    let bench = Bench::start().await;
    let mut calls = Vec::new();
    for (method, field) in CREATES {
        let twice = named(&bench, method, field, "made twice");
        calls.push((bench.lose(method, &twice, true).await, "ambiguous", None));
        calls.push((bench.lose(method, &twice, true).await, "ambiguous", None));

        // one was made, and either call may have made it
        let once = named(&bench, method, field, "made once");
        calls.push((bench.lose(method, &once, false).await, "ambiguous", None));
        calls.push((bench.lose(method, &once, true).await, "ambiguous", None));

        // an outsider makes one at the same time
        let both = named(&bench, method, field, "made by two");
        calls.push((bench.lose(method, &both, true).await, "ambiguous", None));
        bench.outsider_makes(method, "made by two").await;

        // a key that the trail knows is nobody else's
        let other = named(&bench, method, field, "made by bob");
        calls.push((bench.lose(method, &other, false).await, "not_applied", None));
        let bob = bench.served.token("bob", &["admin"]);
        id(bench.client.call(method, Some(&bob), &other).await);

        // nor is it taken for the one that was made
        let mine = named(&bench, method, field, "made by both");
        id(bench.client.call(method, Some(&bob), &mine).await);
        let call = bench.lose(method, &mine, true).await;
        let state = bench.simulator(method).state();
        let newest = newest(&state, "made by both");
        calls.push((call, "applied", Some(newest)));
    }
    let told = bench.reconciled().await;
    for (call, expected, id) in &calls {
        let record = &told[call][0];
        let found = finding(&told, call);
        assert_eq!(found, (*expected, id.as_deref()), "{record:#}");
        let reason = record["reason"].as_str();
        assert_eq!(reason.is_some(), *expected == "ambiguous", "{record:#}");
    }
}

/// The id of the key of this name that was made last.
pub(super) fn newest(state: &serde_json::Value, name: &str) -> String {
    let lists = state.as_object().unwrap().values();
    let mut keys = lists.filter_map(serde_json::Value::as_array).flatten();
    let of_name = |it: &&serde_json::Value| {
        let names = ["name", "displayName", "display_name"];
        it.get("id").is_some() && names.iter().any(|member| it[member] == name)
    };
    let newest = keys.rfind(of_name).unwrap();
    newest["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_there_before_is_not_mistaken() {
    let (mut places, mut lags) = (Vec::new(), Vec::new());
    for vendor in vendors::ALL {
        let (clock, lag) = behind(Duration::from_secs(3600));
        places.push(Place::new(vendor, MAIN).with_clock(clock));
        lags.push(lag);
    }
    let bench = Bench::with(places).await;
    for (method, _) in CREATES {
        for name in ["not made", "made", "replaced"] {
            bench.outsider_makes(method, name).await;
        }
    }
    lags.iter().for_each(|it| it.make_up());
    let mut calls = Vec::new();
    for (method, field) in CREATES {
        let request = named(&bench, method, field, "not made");
        calls.push((
            bench.lose(method, &request, false).await,
            "not_applied",
            None,
        ));
        let request = named(&bench, method, field, "made");
        let call = bench.lose(method, &request, true).await;
        let made = newest(&bench.simulator(method).state(), "made");
        calls.push((call, "applied", Some(made)));
    }
    // what is put in the place of a key has its id
    let replace = "keygate.braintrust.v1.ServiceTokenService/ReplaceServiceToken";
    let request = named(&bench, replace, "name", "replaced");
    calls.push((
        bench.lose(replace, &request, false).await,
        "ambiguous",
        None,
    ));
    let told = bench.reconciled().await;
    for (call, expected, id) in &calls {
        let found = finding(&told, call);
        assert_eq!(found, (*expected, id.as_deref()), "{:#}", told[call][0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_does_not_show_is_ambiguous() {
    let bench = Bench::start().await;
    let mut calls = Vec::new();

    // the key is gone before it can be looked at
    let update = "keygate.datadog.v2.ApiKeyService/UpdateApiKey";
    let create = CREATES[0].0;
    let request = bench.client.request_at(create, "", MAIN);
    let key = id(bench
        .client
        .call(create, Some(&bench.token), &request)
        .await);
    let request = bench.client.request_at(update, &key, MAIN);
    calls.push(bench.lose(update, &request, true).await);
    let delete = "keygate.datadog.v2.ApiKeyService/DeleteApiKey";
    let request = bench.client.request_at(delete, &key, MAIN);
    bench
        .client
        .call(delete, Some(&bench.token), &request)
        .await
        .ok();

    // the copy of a key, without a name of its own
    let (create, _) = CREATES[2];
    let request = bench.client.request_at(create, "", MAIN);
    let key = id(bench
        .client
        .call(create, Some(&bench.token), &request)
        .await);
    let duplicate = "keygate.coveo.v1.ApiKeyService/DuplicateApiKey";
    let mut request = bench.client.request_at(duplicate, &key, MAIN);
    request.clear_field_by_name("display_name");
    calls.push(bench.lose(duplicate, &request, true).await);

    // a refusal to tell
    let (create, _) = CREATES[1];
    let request = bench.client.request_at(create, "", MAIN);
    calls.push(bench.lose(create, &request, true).await);
    let refusal = json!({ "status": 400, "body": "no such parameter" });
    let list = "keygate.braintrust.v1.ServiceTokenService/ListServiceTokens";
    bench.fault(list, &refusal, false);

    let told = bench.reconciled().await;
    for call in &calls {
        let record = &told[call][0];
        assert_eq!(record["finding"], "ambiguous", "{record:#}");
        assert!(record["reason"].as_str().is_some(), "{record:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_does_not_tell_now_is_asked_again() {
    let bench = Bench::start().await;
    let (refusal, half) = (json!({ "status": 403 }), json!({ "truncate": true }));
    let mut calls = Vec::new();
    for (create, _) in CREATES {
        let request = bench.client.request_at(create, "", MAIN);
        calls.push(bench.lose(create, &request, true).await);
        let read = match create.split('.').nth(1).unwrap() {
            "braintrust" => "keygate.braintrust.v1.ServiceTokenService/ListServiceTokens",
            "coveo" => "keygate.coveo.v1.ApiKeyService/ListApiKeys",
            _ => "keygate.datadog.v2.ApiKeyService/ListApiKeys",
        };
        bench.fault(read, &refusal, false);
        bench.fault(read, &half, true);
    }
    let told = bench.reconciled().await;
    for call in &calls {
        assert_eq!(finding(&told, call).0, "applied", "{:#}", told[call][0]);
    }
    for (_, simulator) in bench.served.upstreams.all() {
        assert!(simulator.faults().list().is_empty(), "not all was asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_tried_again_meanwhile_may_have_been_done_by_either() {
    let bench = Bench::start().await;
    let (client, token) = (&bench.client, Some(&*bench.token));
    let mut calls = Vec::new();
    for (create, change, field) in [
        (CREATES[0].0, "UpdateApiKey", "api_key_id"),
        (CREATES[0].0, "DeleteApiKey", "api_key_id"),
        (CREATES[2].0, "UpdateApiKey", "api_key_id"),
        (CREATES[2].0, "DisableApiKey", "api_key_id"),
        (CREATES[1].0, "DeleteServiceToken", "service_token_id"),
    ] {
        let method = format!("{}/{change}", create.split('/').next().unwrap());
        let new = async || {
            let request = client.request_at(create, "", MAIN);
            let key = id(client.call(create, token, &request).await);
            let mut request = client.request_at(&method, &key, MAIN);
            request.set_field_by_name(field, Value::String(key));
            request
        };
        let request = new().await;
        calls.push((bench.lose(&method, &request, false).await, "ambiguous"));
        client.call(&method, token, &request).await.ok();
        if change.starts_with("Delete") {
            // who tries again in vain has done nothing
            let request = new().await;
            calls.push((bench.lose(&method, &request, true).await, "applied"));
            assert!(client.call(&method, token, &request).await.result.is_err());
        }
    }
    let told = bench.reconciled().await;
    for (call, expected) in &calls {
        assert_eq!(finding(&told, call).0, *expected, "{:#}", told[call][0]);
    }
}
