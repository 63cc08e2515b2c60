//! What roles are limited to: upstreams, names, keys of one's own, what is shown.

use serde_json::json;

use super::{Caller, asked, rule};
use crate::support::{
    http::Http,
    served::{MAIN, Served, resource, text},
    upstreams::Place,
    vendors::DATADOG,
};
use secrecy::ExposeSecret as _;

const CREATE: &str = "datadog.v2.ApiKeyService/CreateApiKey";
const LIST: &str = "datadog.v2.ApiKeyService/ListApiKeys";
const GET: &str = "datadog.v2.ApiKeyService/GetApiKey";
const UPDATE: &str = "datadog.v2.ApiKeyService/UpdateApiKey";
const DELETE: &str = "datadog.v2.ApiKeyService/DeleteApiKey";

const POLICY: &str = r#"
[roles.all]
permissions = ["*"]
keys = "any"
reveal = true

[roles.mains]
permissions = ["api_keys_read", "api_keys_write"]
upstreams = ["datadog/*/main"]
keys = "any"

[roles.payments]
permissions = ["api_keys_read", "api_keys_write", "api_keys_delete"]
names = ["payments-*", "*-shared"]
keys = "any"

[roles.own]
permissions = ["api_keys_read", "api_keys_write", "api_keys_delete"]

[[grants]]
role = "all"
claim = "all"

[[grants]]
role = "mains"
claim = "mains"

[[grants]]
role = "payments"
subject = "system:serviceaccount:payments:*"

[[grants]]
role = "own"
claim = "own"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_role_holds_on_its_upstreams_alone() {
    let places = vec![
        Place::new(&DATADOG, MAIN).with("default = true"),
        Place::new(&DATADOG, "other"),
        Place::new(&DATADOG, MAIN).on("eu"),
    ];
    let served = Served::start(POLICY, places, "info").await;
    let caller = Caller::new(&served, "bob", &["mains"]);
    let (us1, eu) = (1, 4);
    for (site, org) in [(us1, ""), (us1, MAIN), (eu, ""), (eu, MAIN)] {
        let fields = json!({ "site": site, "org": org, "name": "a" });
        caller.call(CREATE, fields).await.ok();
    }
    let before = served.upstreams.requests().len();
    for (rpc, name) in [(CREATE, "name"), (LIST, "filter")] {
        let fields = json!({ "site": us1, "org": "other", name: "a" });
        let denied = caller.call(rpc, fields).await;
        assert_eq!(rule(&denied), "outside roles.mains.upstreams");
    }
    // what it has not is denied wherever it is asked for
    let fields = json!({ "org": "other", "api_key_id": "a" });
    let denied = caller.call(DELETE, fields).await;
    assert_eq!(
        rule(&denied),
        "no role of the caller (mains) has api_keys_delete"
    );
    assert_eq!(served.upstreams.requests().len(), before);

    let told = caller.call("ListUpstreams", json!({})).await.ok();
    let told = told.get_field_by_name("upstreams").unwrap();
    let told = told.as_list().unwrap().iter();
    let told: Vec<_> = told
        .map(|it| text(it.as_message().unwrap(), "name"))
        .collect();
    assert_eq!(told, ["datadog/eu/main", "datadog/us1/main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_touches_keys_of_its_names_alone() {
    let served = Served::with_policy(POLICY).await;
    let all = Caller::new(&served, "admin", &["all"]);
    let payments = Caller::new(&served, "system:serviceaccount:payments:api", &[]);
    let outside = "outside roles.payments.names";
    let mut ids = Vec::new();
    for name in ["payments-a", "b-shared", "other", "Payments-c"] {
        ids.push(all.make(CREATE, json!({ "name": name })).await);
    }
    let mut names = payments.names(LIST).await;
    names.sort_unstable();
    assert_eq!(names, ["b-shared", "payments-a"]);
    for (id, name) in [(&ids[0], "payments-a"), (&ids[1], "b-shared")] {
        let key = resource(payments.call(GET, json!({ "api_key_id": id })).await);
        assert_eq!(text(&key, "name"), name);
    }
    for id in &ids[2..] {
        let touching = async {
            for (rpc, fields) in [
                (GET, json!({ "api_key_id": id })),
                (UPDATE, json!({ "api_key_id": id, "name": "payments-d" })),
                (DELETE, json!({ "api_key_id": id })),
            ] {
                assert_eq!(rule(&payments.call(rpc, fields).await), outside);
            }
        };
        let ((), asked) = asked(&served, touching).await;
        assert_eq!(asked, ["GET", "GET", "GET"]);
    }

    // nothing is made, and nothing renamed, out of its names
    let denying = async {
        let denied = payments.call(CREATE, json!({ "name": "other" })).await;
        assert_eq!(rule(&denied), outside);
    };
    let ((), nothing) = asked(&served, denying).await;
    assert!(nothing.is_empty(), "{nothing:?}");
    let rename = |name: &str| json!({ "api_key_id": ids[0], "name": name });
    assert_eq!(rule(&payments.call(UPDATE, rename("other")).await), outside);
    payments.call(UPDATE, rename("c-shared")).await.ok();
    payments
        .call(DELETE, json!({ "api_key_id": ids[0] }))
        .await
        .ok();
    assert_eq!(payments.names(LIST).await, ["b-shared"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_owned_by_who_made_it_here_and_by_nobody_else() {
    let served = Served::with_policy(POLICY).await;
    let all = Caller::new(&served, "admin", &["all"]);
    let (alice, bob) = (
        Caller::new(&served, "alice", &["own"]),
        Caller::new(&served, "bob", &["own"]),
    );
    let of_alice = alice.make(CREATE, json!({ "name": "of alice" })).await;
    let of_bob = bob.make(CREATE, json!({ "name": "of bob" })).await;

    // made with the same master, and not through keygate
    let masters = served.site().masters();
    let masters = ["dd-api-key", "dd-application-key"]
        .into_iter()
        .zip(masters.iter().map(|it| it.expose_secret().to_owned()));
    let upstream = Http::new(served.site().base_url(), masters.collect());
    let body = json!({ "data": { "type": "api_keys", "attributes": { "name": "of nobody" } } });
    let made = upstream.post("/api/v2/api_keys", &body).await.json();
    let of_nobody = made["data"]["id"].as_str().unwrap();

    assert_eq!(alice.names(LIST).await, ["of alice"]);
    assert_eq!(bob.names(LIST).await, ["of bob"]);
    let mut names = all.names(LIST).await;
    names.retain(|it| it.starts_with("of "));
    names.sort_unstable();
    assert_eq!(names, ["of alice", "of bob", "of nobody"]);

    let touching = async {
        for (caller, id) in [
            (&alice, &*of_bob),
            (&bob, &of_alice),
            (&alice, of_nobody),
            (&bob, of_nobody),
        ] {
            for (rpc, fields) in [
                (GET, json!({ "api_key_id": id })),
                (UPDATE, json!({ "api_key_id": id, "name": "taken" })),
                (DELETE, json!({ "api_key_id": id })),
            ] {
                let denied = caller.call(rpc, fields).await;
                assert_eq!(rule(&denied), "outside roles.own.keys");
            }
        }
    };
    let ((), nothing) = asked(&served, touching).await;
    assert!(nothing.is_empty(), "{nothing:?}");
    let renamed = json!({ "api_key_id": of_alice, "name": "renamed" });
    alice.call(UPDATE, renamed).await.ok();
    assert_eq!(alice.names(LIST).await, ["renamed"]);
    // whoever changes it, it stays the one's who made it
    all.call(
        UPDATE,
        json!({ "api_key_id": of_bob, "name": "of bob still" }),
    )
    .await
    .ok();
    assert_eq!(bob.names(LIST).await, ["of bob still"]);
    bob.call(DELETE, json!({ "api_key_id": of_bob })).await.ok();
    assert!(bob.names(LIST).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_makes_a_key_sees_its_value_once_and_who_may_reveal_always() {
    let served = Served::with_policy(POLICY).await;
    let all = Caller::new(&served, "admin", &["all"]);
    let alice = Caller::new(&served, "alice", &["own"]);
    let made = resource(alice.call(CREATE, json!({ "name": "a" })).await);
    let (id, value) = (text(&made, "id"), text(&made, "key"));
    assert_eq!(value.len(), 32);
    let shown = async |caller: &Caller, rpc, fields| {
        let key = resource(caller.call(rpc, fields).await);
        key.has_field_by_name("key").then(|| text(&key, "key"))
    };
    let get = json!({ "api_key_id": id });
    assert_eq!(shown(&alice, GET, get.clone()).await, None);
    assert_eq!(shown(&all, GET, get).await, Some(value));
    let rename = json!({ "api_key_id": id, "name": "b" });
    assert_eq!(shown(&alice, UPDATE, rename).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_names_the_role_that_decided_about_the_key() {
    let served = Served::with_policy(POLICY).await;
    let all = Caller::new(&served, "admin", &["all"]);
    let both = Caller::new(&served, "system:serviceaccount:payments:api", &["own"]);
    let theirs = all.make(CREATE, json!({ "name": "payments-a" })).await;
    let own = both.make(CREATE, json!({ "name": "other" })).await;
    for id in [&theirs, &own] {
        both.call(GET, json!({ "api_key_id": id })).await.ok();
    }
    let mut records = served.records();
    records.retain(|it| it["kind"] == "outcome" && it["caller"]["subject"] != "admin");
    let rules: Vec<_> = records
        .iter()
        .map(|it| it["rule"].as_str().unwrap())
        .collect();
    let (payments, own) = ("grants[2] roles.payments", "grants[3] roles.own");
    assert_eq!(rules, [own, payments, own]);
}
