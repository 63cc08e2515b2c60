//! What is set, what is not set and what is null: to upstream and back.

use prost_reflect::{DynamicMessage, Value};
use serde_json::{Value as Json, json};

use crate::support::{
    gateway::Client,
    served::{SANDBOX_POLICY, Served, id, resource},
    upstreams::{inject, requests},
};

const ID: &str = "0a0a0a0a-0000-4000-8000-000000000000";

struct Caller {
    served: Served,
    client: Client,
    token: String,
}

impl Caller {
    async fn start() -> Self {
        let served = Served::with_policy(SANDBOX_POLICY).await;
        let (client, token) = (served.client(), served.token("admin", &["admin"]));
        Self {
            served,
            client,
            token,
        }
    }

    /// A request with an id and these fields, in JSON's spelling of scopes.
    fn request(&self, method: &str, id: &str, fields: &Json) -> DynamicMessage {
        let mut request = self.client.request(method, id);
        for unset in ["name", "scopes"] {
            if request.has_field_by_name(unset) {
                request.clear_field_by_name(unset);
            }
        }
        for (name, value) in fields.as_object().unwrap() {
            let field = self.client.method(method).input();
            let field = field.get_field_by_name(name).unwrap();
            let value = match (value, field.kind().as_message()) {
                (Json::String(text), _) => Value::String(text.clone()),
                (Json::Bool(truth), _) => Value::Bool(*truth),
                (value, Some(kind)) => {
                    let mut scopes = DynamicMessage::new(kind.clone());
                    match value.as_array() {
                        Some(values) => scopes.set_field_by_name("values", list(values)),
                        None => scopes.set_field_by_name("unscoped", Value::Bool(true)),
                    }
                    Value::Message(scopes)
                }
                (value, None) => list(value.as_array().unwrap()),
            };
            request.set_field(&field, value);
        }
        request
    }

    /// The attributes that upstream receives for these fields. Whether it takes
    /// them is another matter.
    async fn sent(&self, rpc: &str, id: &str, fields: &Json) -> Json {
        let method = format!("keygate.datadog.v2.{rpc}");
        let request = self.request(&method, id, fields);
        let before = requests(self.served.site()).len();
        self.client.call(&method, Some(&self.token), &request).await;
        let arrived = &requests(self.served.site())[before..];
        let [arrived] = arrived else {
            panic!("{rpc} {fields}: {arrived:#?}")
        };
        let mut body = arrived["body"].clone();
        let attributes = body["data"]["attributes"].take();
        let kind = body["data"]["type"].as_str().unwrap();
        let mut whole = json!({ "data": { "type": kind, "attributes": null } });
        if !id.is_empty() {
            whole["data"]["id"] = id.into();
        }
        assert_eq!(body, whole, "{rpc} {fields}");
        attributes
    }

    /// What comes of a request when upstream answers it with this.
    async fn answered(&self, rpc: &str, token: &str, body: &Json) -> DynamicMessage {
        let method = format!("keygate.datadog.v2.{rpc}");
        inject(
            self.served.site(),
            json!({ "count": 1, "fault": { "status": 200, "body": body } }),
        );
        let request = self.client.request(&method, ID);
        let answer = self.client.call(&method, Some(token), &request).await;
        answer.ok()
    }
}

fn list(values: &[Json]) -> Value {
    let values = values.iter().map(|it| it.as_str().unwrap().to_owned());
    Value::List(values.map(Value::String).collect())
}

#[tokio::test]
async fn an_update_sends_what_the_caller_set_and_nothing_else() {
    let caller = Caller::start().await;
    let api_keys = [
        json!({ "name": "n" }),
        json!({ "name": "n", "category": "c" }),
        json!({ "name": "n", "category": "" }),
        json!({ "name": "n", "remote_config_read_enabled": false }),
        json!({ "name": "n", "category": "c", "remote_config_read_enabled": true }),
    ];
    for fields in &api_keys {
        let sent = caller.sent("ApiKeyService/UpdateApiKey", ID, fields);
        assert_eq!(sent.await, *fields);
        let sent = caller.sent("ApiKeyService/CreateApiKey", "", fields);
        assert_eq!(sent.await, *fields);
    }
    // scopes: as they are, none, some, or not limited by any
    let scoped = [
        json!({}),
        json!({ "name": "n" }),
        json!({ "scopes": [] }),
        json!({ "scopes": ["dashboards_read", "monitors_read"] }),
        json!({ "name": "n", "scopes": [] }),
    ];
    for rpc in [
        "ApplicationKeyService/UpdateApplicationKey",
        "CurrentUserApplicationKeyService/UpdateCurrentUserApplicationKey",
        "PersonalAccessTokenService/UpdatePersonalAccessToken",
        "ServiceAccountKeyService/UpdateServiceAccountApplicationKey",
        "ServiceAccountKeyService/UpdateServiceAccountAccessToken",
    ] {
        for fields in &scoped {
            assert_eq!(caller.sent(rpc, ID, fields).await, *fields, "{rpc}");
        }
        if !rpc.contains("Token") {
            let fields = json!({ "scopes": null });
            assert_eq!(caller.sent(rpc, ID, &fields).await, fields, "{rpc}");
        }
    }
    for create in [
        "CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey",
        "ServiceAccountKeyService/CreateServiceAccountApplicationKey",
    ] {
        for fields in [
            json!({ "name": "n" }),
            json!({ "name": "n", "scopes": [] }),
            json!({ "name": "n", "scopes": null }),
            json!({ "name": "n", "scopes": ["dashboards_read"] }),
        ] {
            let sent = caller.sent(create, "", &fields).await;
            assert_eq!(sent, fields, "{create}");
        }
    }
}

#[tokio::test]
async fn an_update_leaves_everything_else_upstream_as_it_was() {
    let caller = Caller::start().await;
    let service = "keygate.datadog.v2.ApiKeyService";
    let fields = json!({ "name": "a", "category": "c", "remote_config_read_enabled": false });
    let create = format!("{service}/CreateApiKey");
    let request = caller.request(&create, "", &fields);
    let made = caller.client.call(&create, Some(&caller.token), &request);
    let key = id(made.await);
    let stored = || {
        let state = caller.served.site().state();
        let keys = state["api_keys"].as_array().unwrap().clone();
        let mut key = keys.into_iter().find(|it| it["id"] == *key).unwrap();
        key["modified_at"].take();
        key
    };
    let mut before = stored();
    caller
        .sent("ApiKeyService/UpdateApiKey", &key, &json!({ "name": "b" }))
        .await;
    before["name"] = "b".into();
    assert_eq!(stored(), before);
}

/// A message in a message, if it is set.
fn inner(message: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    let value = message.get_field_by_name(name).unwrap();
    message
        .has_field_by_name(name)
        .then(|| value.as_message().unwrap().clone())
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    let value = message.get_field_by_name(name).unwrap();
    value.as_bool().unwrap()
}

fn one(kind: &str, attributes: &Json) -> Json {
    json!({ "data": { "type": kind, "id": ID, "attributes": attributes } })
}

#[tokio::test]
async fn an_unscoped_key_differs_from_a_key_with_no_scopes() {
    let caller = Caller::start().await;
    // given by the caller and kept by upstream
    let service = "keygate.datadog.v2.CurrentUserApplicationKeyService";
    for (scopes, unscoped, count) in [
        (json!(null), true, 0),
        (json!([]), false, 0),
        (json!(["dashboards_read"]), false, 1),
    ] {
        let create = format!("{service}/CreateCurrentUserApplicationKey");
        let fields = json!({ "name": "n", "scopes": scopes });
        let request = caller.request(&create, "", &fields);
        let made = caller.client.call(&create, Some(&caller.token), &request);
        let key = id(made.await);
        let get = format!("{service}/GetCurrentUserApplicationKey");
        let request = caller.client.request(&get, &key);
        let got = caller.client.call(&get, Some(&caller.token), &request);
        let got = inner(&resource(got.await), "scopes").unwrap();
        assert_eq!(flag(&got, "unscoped"), unscoped, "{scopes}");
        let values = got.get_field_by_name("values").unwrap();
        assert_eq!(values.as_list().unwrap().len(), count, "{scopes}");
    }
    // and not reported at all
    let body = one("application_keys", &json!({ "name": "n" }));
    let get = "ApplicationKeyService/GetApplicationKey";
    let answer = caller.answered(get, &caller.token, &body).await;
    let key = inner(&answer, "application_key").unwrap();
    assert!(inner(&key, "scopes").is_none());
}

#[tokio::test]
async fn never_used_differs_from_not_reported() {
    let caller = Caller::start().await;
    for (rpc, field, kind, attribute) in [
        (
            "ApiKeyService/GetApiKey",
            "api_key",
            "api_keys",
            "date_last_used",
        ),
        (
            "ApplicationKeyService/GetApplicationKey",
            "application_key",
            "application_keys",
            "last_used_at",
        ),
        (
            "PersonalAccessTokenService/GetPersonalAccessToken",
            "access_token",
            "personal_access_tokens",
            "last_used_at",
        ),
    ] {
        for (attributes, used, never) in [
            (json!({ "name": "n" }), false, false),
            (json!({ attribute: null }), false, true),
            (
                json!({ attribute: "2026-01-02T03:04:05.678901+00:00" }),
                true,
                false,
            ),
        ] {
            let body = one(kind, &attributes);
            let answer = caller.answered(rpc, &caller.token, &body).await;
            let key = inner(&answer, field).unwrap();
            assert_eq!(key.has_field_by_name(attribute), used, "{rpc} {attributes}");
            assert_eq!(
                key.has_field_by_name("never_used"),
                never,
                "{rpc} {attributes}"
            );
            if let Some(time) = inner(&key, attribute) {
                let nanos = time.get_field_by_name("nanos").unwrap().as_i32();
                assert_eq!(nanos, Some(678_901_000));
            }
        }
    }
}

/// Every place at which an answer can hold members that the contract does not
/// name, and what they say there.
fn with_unknown_members(is_list: bool) -> Json {
    let resource = json!({
        "type": "api_keys",
        "id": ID,
        "unknown_top": "canary",
        "attributes": {
            "name": "n",
            "key": "canary",
            "unknown_attribute": "canary",
            "last_used_date": { "timestamp": null, "unknown": "canary" },
        },
        "relationships": {
            "unknown_relationship": { "data": { "type": "canary", "id": "canary" } },
        },
    });
    let included = json!([
        { "type": "users", "id": "u", "attributes": { "name": "n", "unknown": "canary" } },
        { "type": "roles", "id": "r", "attributes": { "name": "n", "unknown": "canary" } },
        { "type": "leaked_keys", "id": "l", "attributes": { "unknown": "canary" } },
        { "type": "unknown", "id": "canary" },
    ]);
    let data = if is_list { json!([resource]) } else { resource };
    json!({
        "data": data,
        "included": included,
        "unknown": "canary",
        "meta": { "max_allowed": 3, "unknown": "canary" },
    })
}

#[tokio::test]
async fn members_without_a_field_are_for_callers_who_may_reveal() {
    let caller = Caller::start().await;
    let reader = caller.served.token("reader", &["reader"]);
    for rpc in ["ApiKeyService/GetApiKey", "ApiKeyService/ListApiKeys"] {
        let body = with_unknown_members(rpc.contains("List"));
        let told = caller.answered(rpc, &caller.token, &body).await;
        let told = told.to_string();
        // not one is lost
        let canaries = |text: &str| text.matches("canary").count();
        assert_eq!(canaries(&told), canaries(&body.to_string()), "{rpc}");
        let told = caller.answered(rpc, &reader, &body).await.to_string();
        assert!(!told.contains("canary"), "{rpc}: {told}");
        // what has a field is there all the same
        assert!(told.contains(ID) && told.contains("user"), "{rpc}: {told}");
    }
}
