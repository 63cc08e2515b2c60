//! Every operation in every region, by the sandbox that users start.

use keygate::{
    contract::proto::keygate::coveo::v1::{
        ActivateApiKeyRequest, ApiKeyStatus, BulkActivateApiKeysRequest, BulkDeleteApiKeysRequest,
        BulkDisableApiKeysRequest, CreateApiKeyRequest, DeleteApiKeyRequest, DisableApiKeyRequest,
        DuplicateApiKeyRequest, ExtendApiKeyRequest, IpRanges, Privilege, Privileges, Region,
        UpdateApiKeyRequest, api_key::Secret,
    },
    coveo::region,
};
use serde_json::Value as Json;

use super::{Caller, names, value};
use crate::support::{
    gateway::{Sandbox, contract},
    http::Http,
};

/// What each simulator holds: the region, and its keys.
async fn states(sandbox: &Sandbox) -> Vec<(&'static str, Json)> {
    let mut states = Vec::new();
    for name in region::ALL.into_iter().filter_map(region::name) {
        let url = sandbox.upstream(&format!("coveo/{name}"));
        let state = Http::new(url, Vec::new()).get("/__state").await;
        states.push((name, state.json()["api_keys"].take()));
    }
    states
}

/// The one region that has keys, and the keys.
async fn held(sandbox: &Sandbox) -> (&'static str, Vec<Json>) {
    let states = states(sandbox).await.into_iter();
    let mut held: Vec<_> = states.filter(|(_, keys)| keys[0] != Json::Null).collect();
    assert_eq!(held.len(), 1, "{held:#?}");
    let (region, keys) = held.remove(0);
    (region, keys.as_array().unwrap().clone())
}

/// Takes a key from its making to its end. The region it is in by name, and the
/// ids of all keys that were made.
async fn walk(sandbox: &Sandbox, caller: &Caller) -> (&'static str, Vec<String>) {
    let privileges = Privileges {
        values: vec![Privilege {
            owner: Some("PLATFORM".to_owned()),
            target_domain: Some("SOURCE".to_owned()),
            r#type: Some("VIEW".to_owned()),
            target_id: Some("*".to_owned()),
            level: None,
        }],
    };
    let request = CreateApiKeyRequest {
        display_name: Some("first".to_owned()),
        privileges: Some(privileges.clone()),
        lifetime_duration: Some("P1Y".to_owned()),
        ..CreateApiKeyRequest::default()
    };
    let made = caller.ask(request).await.api_key.unwrap();
    let (region, keys) = held(sandbox).await;
    assert_eq!(keys[0]["value"].as_str(), value(&made));
    assert_eq!(made.organization_id.as_ref(), Some(&caller.organization_id));
    assert_eq!(made.privileges.as_ref(), Some(&privileges));
    let first = made.id.clone();

    // the value is shown once: afterwards there is a mask in its place
    let read = caller.get(&first).await;
    let Some(Secret::MaskedValue(masked)) = &read.secret else {
        panic!("{read:?}");
    };
    assert!(value(&made).unwrap().ends_with(&masked[masked.len() - 4..]));
    let mut same = made.clone();
    same.secret.clone_from(&read.secret);
    assert_eq!(read, same);
    assert_eq!(caller.list().await, [read]);

    let request = UpdateApiKeyRequest {
        api_key_id: first.clone(),
        allowed_ips: Some(IpRanges {
            values: vec!["10.0.0.0/8".to_owned()],
        }),
        ..UpdateApiKeyRequest::default()
    };
    caller.ask(request).await;
    let status = async || caller.get(&first).await.status();
    let disable = DisableApiKeyRequest {
        api_key_id: first.clone(),
        ..DisableApiKeyRequest::default()
    };
    caller.ask(disable).await;
    assert_eq!(status().await, ApiKeyStatus::Disabled);
    let activate = ActivateApiKeyRequest {
        api_key_id: first.clone(),
        ..ActivateApiKeyRequest::default()
    };
    caller.ask(activate).await;
    assert_eq!(status().await, ApiKeyStatus::Enabled);
    let before = caller.get(&first).await.activation_date.unwrap();
    let extend = ExtendApiKeyRequest {
        api_key_id: first.clone(),
        ..ExtendApiKeyRequest::default()
    };
    caller.ask(extend).await;
    let after = caller.get(&first).await.activation_date.unwrap();
    assert!((after.seconds, after.nanos) > (before.seconds, before.nanos));

    let request = DuplicateApiKeyRequest {
        api_key_id: first.clone(),
        display_name: Some("second".to_owned()),
        lifetime_duration: Some("P14D".to_owned()),
        ..DuplicateApiKeyRequest::default()
    };
    let copy = caller.ask(request).await.api_key.unwrap();
    let (_, keys) = held(sandbox).await;
    assert_eq!(keys[1]["value"].as_str(), value(&copy));
    assert_ne!(value(&copy), value(&made));
    assert_eq!(copy.privileges.as_ref(), Some(&privileges));
    assert_eq!(copy.status(), ApiKeyStatus::SoonToBeExpired);
    let second = copy.id;
    assert_eq!(names(&caller.list().await), ["first", "second"]);

    let ids = vec![first.clone(), second.clone()];
    let statuses = async || {
        let keys = caller.list().await.into_iter();
        keys.map(|it| it.status()).collect::<Vec<_>>()
    };
    let disable = BulkDisableApiKeysRequest {
        api_key_ids: ids.clone(),
        ..BulkDisableApiKeysRequest::default()
    };
    caller.ask(disable).await;
    assert_eq!(statuses().await, [ApiKeyStatus::Disabled; 2]);
    let activate = BulkActivateApiKeysRequest {
        api_key_ids: ids.clone(),
        ..BulkActivateApiKeysRequest::default()
    };
    caller.ask(activate).await;
    let active = [ApiKeyStatus::Enabled, ApiKeyStatus::SoonToBeExpired];
    assert_eq!(statuses().await, active);

    let third = caller.create("third").await.id;
    let delete = BulkDeleteApiKeysRequest {
        api_key_ids: vec![second.clone(), third.clone()],
        ..BulkDeleteApiKeysRequest::default()
    };
    caller.ask(delete).await;
    assert_eq!(names(&caller.list().await), ["first"]);
    let delete = DeleteApiKeyRequest {
        api_key_id: first.clone(),
        ..DeleteApiKeyRequest::default()
    };
    caller.ask(delete).await;
    assert_eq!(caller.list().await, []);
    (region, vec![first, second, third])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_works_in_every_region_and_touches_no_other() {
    let sandbox = Sandbox::start();
    for region in region::ALL {
        let name = region::name(region).unwrap();
        let upstream = format!("coveo/{name}");
        let organization_id = sandbox.master(&upstream, "organization_id").to_owned();
        // each organization is in one region: there is no need to name it
        for region in [region, Region::Unspecified] {
            let caller = Caller {
                client: sandbox.client(),
                token: sandbox.token("admin").to_owned(),
                organization_id: organization_id.clone(),
                region,
            };
            let (walked, ids) = walk(&sandbox, &caller).await;
            assert_eq!(walked, name);
            let upstream = format!("coveo/{name}/{organization_id}");
            accounted(&sandbox, &upstream, &ids);
        }
    }
    let operations = contract().operations().iter();
    let all: Vec<_> = operations
        .filter(|it| it.service == "keygate.coveo.v1.ApiKeyService")
        .map(|it| it.method.as_str())
        .collect();
    assert_eq!(all.len(), 12);
    let records = sandbox.records(&[]);
    for method in all {
        let ended = |it: &&Json| it["rpc"] == method && it["kind"] == "outcome";
        assert!(records.iter().any(|it| ended(&it)), "{method}");
    }
}

/// Every change of a key has its intent and its outcome, and nobody else's.
fn accounted(sandbox: &Sandbox, upstream: &str, ids: &[String]) {
    let records = sandbox.records(&[]);
    let of = |id: &str, kind: &str| -> Vec<String> {
        let own = records.iter().filter(|it| {
            it["upstream"] == upstream && it["kind"] == kind && it["resource"]["id"] == id
        });
        let changes = own.filter(|it| it["effect"] != "read");
        let rpc = |it: &Json| {
            it["rpc"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned()
        };
        changes.map(rpc).collect()
    };
    let [first, second, third] = ids else {
        panic!("{ids:?}");
    };
    let changes = [
        "UpdateApiKey",
        "DisableApiKey",
        "ActivateApiKey",
        "ExtendApiKey",
        "BulkDisableApiKeys",
        "BulkActivateApiKeys",
        "DeleteApiKey",
    ];
    let bulk = [
        "BulkDisableApiKeys",
        "BulkActivateApiKeys",
        "BulkDeleteApiKeys",
    ];
    assert_eq!(of(first, "intent"), changes);
    assert_eq!(of(first, "outcome")[0], "CreateApiKey");
    assert_eq!(of(first, "outcome")[1..], changes);
    assert_eq!(of(second, "intent"), bulk);
    assert_eq!(of(second, "outcome")[0], "DuplicateApiKey");
    assert_eq!(of(second, "outcome")[1..], bulk);
    assert_eq!(of(third, "intent"), ["BulkDeleteApiKeys"]);
    assert_eq!(of(third, "outcome"), ["CreateApiKey", "BulkDeleteApiKeys"]);
    let copied = |it: &&Json| it["resource"]["copy_of"] == first.as_str();
    assert_eq!(
        records.iter().filter(copied).count(),
        2,
        "the copy's source"
    );
}
