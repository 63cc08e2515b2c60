//! An update changes what its caller set. All else goes back as it was.

use keygate::contract::proto::keygate::coveo::v1::{
    IpRanges, Privilege, Privileges, ResourceReference, ResourceReferences, UpdateApiKeyRequest,
};
use prost_types::{Struct, Value, value::Kind};
use serde_json::{Value as Json, json};

use super::{Bench, names};
use crate::support::{served::SANDBOX_POLICY, upstreams::inject};

fn update(id: &str) -> UpdateApiKeyRequest {
    UpdateApiKeyRequest {
        api_key_id: id.to_owned(),
        ..UpdateApiKeyRequest::default()
    }
}

/// A key that holds everything, and members that nobody knows.
fn rich() -> Json {
    json!({
        "displayName": "old",
        "description": "old",
        "allowedIps": ["10.0.0.0/8"],
        "deniedIps": ["10.7.7.7"],
        "privileges": [
            { "owner": "PLATFORM", "targetDomain": "SOURCE", "type": "VIEW", "more": [1, null] },
        ],
        "additionalConfiguration": { "search": { "searchHub": "old" }, "unknown": 1 },
        "groupsThatCanEdit": [{ "id": "a", "displayName": "A", "more": true }],
        "apiKeysThatCanEdit": [],
        "new": { "deep": [{ "number": 9_007_199_254_740_993_u64 }, null, "é\u{0}"] },
        "nothing": null,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_set_goes_back_as_it_was() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let (http, path) = bench.upstream();
    let texts = |values: &[&str]| IpRanges {
        values: values.iter().map(|it| (*it).to_owned()).collect(),
    };
    let privilege = Privilege {
        owner: Some("SEARCH_API".to_owned()),
        target_domain: Some("EXECUTE_QUERY".to_owned()),
        ..Privilege::default()
    };
    let reference = ResourceReference {
        id: Some("b".to_owned()),
        display_name: None,
    };
    let mut configuration = Struct::default();
    let number = Value {
        kind: Some(Kind::NumberValue(7.0)),
    };
    configuration.fields.insert("x".to_owned(), number);
    type Set = Box<dyn Fn(&mut UpdateApiKeyRequest)>;
    let changes: Vec<(&str, Json, Set)> = vec![
        (
            "displayName",
            json!("new"),
            Box::new(|it| it.display_name = Some("new".to_owned())),
        ),
        (
            "description",
            json!(""),
            Box::new(|it| it.description = Some(String::new())),
        ),
        (
            "allowedIps",
            json!([]),
            Box::new(|it| it.allowed_ips = Some(IpRanges::default())),
        ),
        (
            "deniedIps",
            json!(["1.2.3.4", "1.2.3.0/24"]),
            Box::new(move |it| it.denied_ips = Some(texts(&["1.2.3.4", "1.2.3.0/24"]))),
        ),
        (
            "privileges",
            json!([{ "owner": "SEARCH_API", "targetDomain": "EXECUTE_QUERY" }]),
            Box::new(move |it| {
                let values = vec![privilege.clone()];
                it.privileges = Some(Privileges { values });
            }),
        ),
        (
            "additionalConfiguration",
            json!({ "x": 7 }),
            Box::new(move |it| it.additional_configuration = Some(configuration.clone())),
        ),
        (
            "groupsThatCanEdit",
            json!([]),
            Box::new(|it| it.groups_that_can_edit = Some(ResourceReferences::default())),
        ),
        (
            "apiKeysThatCanEdit",
            json!([{ "id": "b" }]),
            Box::new(move |it| {
                let values = vec![reference.clone()];
                it.api_keys_that_can_edit = Some(ResourceReferences { values });
            }),
        ),
    ];
    for (member, changed, set) in changes {
        let made = http.post(&path, &rich()).await.json();
        let id = made["id"].as_str().unwrap();
        let mut request = update(id);
        set(&mut request);
        let before = bench.held(id);
        let (_, asked) = bench.asked(admin.ask(request)).await;
        assert_eq!(asked, ["GET /{api_key_id}", "PUT /{api_key_id}"]);
        let mut expected = before;
        expected[member] = changed;
        assert_eq!(bench.held(id), expected, "{member}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_sets_nothing_changes_nothing() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let (http, path) = bench.upstream();
    let made = http.post(&path, &rich()).await.json();
    let id = made["id"].as_str().unwrap();
    let before = bench.held(id);
    admin.ask(update(id)).await;
    assert_eq!(bench.held(id), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_key_can_t_be_read_nothing_is_written() {
    const ITEM: &str = "GET /rest/organizations/{organization_id}/apikeys/{api_key_id}";
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let id = admin.create("old").await.id;
    let rename = || UpdateApiKeyRequest {
        display_name: Some("new".to_owned()),
        ..update(&id)
    };
    for (fault, reason) in [
        (
            json!({ "status": 404, "body": { "message": "no" } }),
            "KEY_NOT_FOUND",
        ),
        (
            json!({ "status": 403, "body": { "message": "no" } }),
            "UPSTREAM_FORBIDDEN",
        ),
        (
            json!({ "status": 200, "body": "<html>", "content_type": "text/html" }),
            "UPSTREAM_MALFORMED",
        ),
        (json!({ "status": 200, "body": [] }), "UPSTREAM_MALFORMED"),
        (json!({ "truncate": true }), "UPSTREAM_MALFORMED"),
        // nothing was sent that could have changed anything: nobody has to wonder
        (json!({ "status": 500 }), "UPSTREAM_UNAVAILABLE"),
        (json!({ "reset": "mid_body" }), "UPSTREAM_UNAVAILABLE"),
    ] {
        inject(bench.simulator(), json!({ "route": ITEM, "fault": fault }));
        let (answer, asked) = bench.asked(admin.call(rename())).await;
        assert_eq!(answer.reason(), reason, "{fault}");
        assert!(asked.iter().all(|it| it.starts_with("GET")), "{asked:?}");
        bench.simulator().faults().clear();
    }
    assert_eq!(names(&admin.list().await), ["old"]);
    let records = bench.0.records();
    let updates = records.iter().filter(|it| it["effect"] == "update");
    let kinds: Vec<_> = updates.map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refused"; 7]);
}
