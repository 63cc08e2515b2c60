//! Application keys and access tokens of service accounts, through the gateway.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use serde_json::{Value as Json, json};

use crate::support::{
    gateway::{Answer, Client, Sandbox},
    served::{SANDBOX_POLICY, Served, id, resource, text},
    upstreams::requests,
    vendors::SERVICE_ACCOUNT,
};

const SERVICE: &str = "keygate.datadog.v2.ServiceAccountKeyService";

/// The kinds of a token and of its owner: a person's, a service account's.
const PERSONAL: (i32, i32) = (1, 1);
const OF_ACCOUNT: (i32, i32) = (2, 2);

/// What a service account has, and its operations.
struct Kind {
    name: &'static str,
    /// How its removal is called.
    remove: &'static str,
    /// The field of the answer to a list.
    list: &'static str,
    /// As the trail calls it.
    recorded: &'static str,
    /// The first letters of its value.
    value: &'static str,
}

const KEY: Kind = Kind {
    name: "ServiceAccountApplicationKey",
    remove: "Delete",
    list: "application_keys",
    recorded: "application_key",
    value: "",
};

const TOKEN: Kind = Kind {
    name: "ServiceAccountAccessToken",
    remove: "Revoke",
    list: "access_tokens",
    recorded: "access_token",
    value: "ddsat_",
};

/// Somebody who calls about a service account.
struct Caller {
    client: Client,
    token: String,
    account: String,
}

impl Caller {
    fn new(client: Client, token: impl Into<String>, account: &str) -> Self {
        Self {
            client,
            token: token.into(),
            account: account.to_owned(),
        }
    }

    /// The admin of a sandbox, at its US1.
    fn admin(sandbox: &Sandbox) -> Self {
        let account = sandbox.service_account("datadog/us1");
        Self::new(sandbox.client(), sandbox.token("admin"), account)
    }

    fn request(&self, method: &str, id: &str, fields: &Json) -> DynamicMessage {
        let mut request = self.client.request(method, id);
        let account = Value::String(self.account.clone());
        request.set_field_by_name("service_account_id", account);
        for (name, value) in fields.as_object().unwrap() {
            let field = request.descriptor().get_field_by_name(name).unwrap();
            let value = match (value, field.kind().as_message()) {
                (Json::Null, _) => {
                    request.clear_field(&field);
                    continue;
                }
                (Json::String(text), _) => Value::String(text.clone()),
                (Json::Number(number), _) => {
                    Value::I32(number.as_i64().unwrap().try_into().unwrap())
                }
                (scopes, Some(kind)) => {
                    let mut message = DynamicMessage::new(kind.clone());
                    message.set_field_by_name("values", list(scopes));
                    Value::Message(message)
                }
                (scopes, None) => list(scopes),
            };
            request.set_field(&field, value);
        }
        request
    }

    async fn call(&self, verb: &str, kind: &Kind, id: &str, fields: Json) -> Answer {
        let plural = if verb == "List" { "s" } else { "" };
        let method = format!("{SERVICE}/{verb}{}{plural}", kind.name);
        let request = self.request(&method, id, &fields);
        self.client.call(&method, Some(&self.token), &request).await
    }

    async fn create(&self, kind: &Kind, name: &str) -> String {
        id(self.call("Create", kind, "", json!({ "name": name })).await)
    }

    /// The names in a list.
    async fn names(&self, kind: &Kind, fields: Json) -> Vec<String> {
        let answer = self.call("List", kind, "", fields).await.ok();
        let all = answer.get_field_by_name(kind.list).unwrap();
        let all = all.as_list().unwrap().iter();
        all.map(|it| text(it.as_message().unwrap(), "name"))
            .collect()
    }
}

fn list(values: &Json) -> Value {
    let values = values.as_array().unwrap().iter();
    let values = values.map(|it| it.as_str().unwrap().to_owned());
    Value::List(values.map(Value::String).collect())
}

fn scopes(key: &DynamicMessage) -> Vec<String> {
    let scopes = key.get_field_by_name("scopes").unwrap();
    let values = scopes.as_message().unwrap().get_field_by_name("values");
    let values = values.unwrap();
    let values = values.as_list().unwrap().iter();
    values.map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn refused(answer: &Answer, code: &str, reason: &str) {
    assert_eq!((answer.code(), answer.reason().as_str()), (code, reason));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_tokens_are_made_found_changed_and_removed() {
    let sandbox = Sandbox::start();
    let admin = Caller::admin(&sandbox);
    for kind in [&KEY, &TOKEN] {
        let made = resource(admin.call("Create", kind, "", json!({ "name": "a" })).await);
        let key = text(&made, "id");
        let value = text(&made, "key");
        assert!(
            value.len() >= 40 && value.starts_with(kind.value),
            "{}",
            kind.name
        );
        let owner = made.get_field_by_name("owned_by").unwrap();
        assert_eq!(text(owner.as_message().unwrap(), "id"), admin.account);
        admin.create(kind, "z").await;

        assert_eq!(admin.names(kind, json!({})).await, ["a", "z"]);
        assert_eq!(admin.names(kind, json!({ "filter": "Z" })).await, ["z"]);
        let last = json!({ "page_size": 1, "page_number": 1 });
        assert_eq!(admin.names(kind, last).await, ["z"]);

        // the admin may reveal, and yet upstream shows no value again
        let got = resource(admin.call("Get", kind, &key, json!({})).await);
        assert_eq!(
            (text(&got, "id"), text(&got, "key")),
            (key.clone(), String::new())
        );
        let new = json!({ "name": "b", "scopes": ["monitors_read"] });
        let changed = resource(admin.call("Update", kind, &key, new).await);
        assert_eq!(
            (text(&changed, "name"), text(&changed, "key")),
            ("b".to_owned(), String::new())
        );
        assert_eq!(scopes(&changed), ["monitors_read"]);

        admin.call(kind.remove, kind, &key, json!({})).await.ok();
        assert_eq!(admin.names(kind, json!({})).await, ["z"]);
        for answer in [
            admin.call("Get", kind, &key, json!({})).await,
            admin.call("Update", kind, &key, json!({})).await,
        ] {
            refused(&answer, "NOT_FOUND", "KEY_NOT_FOUND");
        }
        let again = admin.call(kind.remove, kind, &key, json!({})).await;
        match kind.remove {
            "Revoke" => assert_eq!(again.code(), "OK"),
            _ => refused(&again, "NOT_FOUND", "KEY_NOT_FOUND"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_say_whose_key_it_was() {
    let sandbox = Sandbox::start();
    let admin = Caller::admin(&sandbox);
    for kind in [&KEY, &TOKEN] {
        let key = admin.create(kind, "a").await;
        admin.call("Get", kind, &key, json!({})).await.ok();
        admin
            .call("Update", kind, &key, json!({ "name": "b" }))
            .await
            .ok();
        admin.call("List", kind, "", json!({})).await.ok();
        admin.call(kind.remove, kind, &key, json!({})).await.ok();
        let mut records = sandbox.records(&[]);
        records.retain(|it| it["rpc"].as_str().is_some_and(|it| it.contains(kind.name)));
        assert_eq!(records.len(), 8, "{records:#?}");
        for record in records {
            let resource = &record["resource"];
            assert_eq!(resource["type"], kind.recorded, "{record:#}");
            assert_eq!(resource["parent"], admin.account.as_str(), "{record:#}");
            let rpc = record["rpc"].as_str().unwrap();
            let is_known =
                !(rpc.contains("/List") || rpc.contains("/Create") && record["kind"] == "intent");
            let expected = if is_known { json!(key) } else { Json::Null };
            assert_eq!(resource["id"], expected, "{record:#}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_all_tokens_tells_whose_they_are() {
    let sandbox = Sandbox::start();
    let admin = Caller::admin(&sandbox);
    let service = admin.create(&TOKEN, "of the account").await;
    let mine = "keygate.datadog.v2.PersonalAccessTokenService";
    let create = format!("{mine}/CreatePersonalAccessToken");
    let request = admin.client.request(&create, "");
    let made = admin.client.call(&create, Some(&admin.token), &request);
    let personal = id(made.await);

    let every = format!("{mine}/ListPersonalAccessTokens");
    let all = async |owners: &[&str]| {
        let mut request = admin.client.request(&every, "");
        request.set_field_by_name("owned_by", list(&json!(owners)));
        let answer = admin.client.call(&every, Some(&admin.token), &request);
        let answer = answer.await.ok();
        let tokens = answer.get_field_by_name("access_tokens").unwrap();
        let tokens = tokens.as_list().unwrap().iter();
        let tokens = tokens.map(|it| {
            let token = it.as_message().unwrap();
            let number = |message: &DynamicMessage| {
                let number = message.get_field_by_name("type").unwrap();
                number.as_enum_number().unwrap()
            };
            let owner = token.get_field_by_name("owned_by").unwrap();
            let kinds = (number(token), number(owner.as_message().unwrap()));
            (text(token, "id"), kinds)
        });
        let mut tokens: Vec<_> = tokens.collect();
        tokens.sort();
        tokens
    };
    let mut expected = vec![(service.clone(), OF_ACCOUNT), (personal, PERSONAL)];
    expected.sort();
    assert_eq!(all(&[]).await, expected);
    let expected = [(service.clone(), OF_ACCOUNT)];
    assert_eq!(all(&[&admin.account]).await, expected);

    // personal tokens are one thing, those of accounts another
    let get = format!("{mine}/GetPersonalAccessToken");
    let request = admin.client.request(&get, &service);
    let answer = admin.client.call(&get, Some(&admin.token), &request);
    refused(&answer.await, "NOT_FOUND", "KEY_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_an_end_says_so() {
    let sandbox = Sandbox::start();
    let admin = Caller::admin(&sandbox);
    for (fields, ends) in [
        (json!({ "name": "ends" }), true),
        (json!({ "name": "endless", "expires_at": null }), false),
    ] {
        let made = resource(admin.call("Create", &TOKEN, "", fields).await);
        let key = text(&made, "id");
        let got = admin.call("Get", &TOKEN, &key, json!({})).await;
        for token in [made, resource(got)] {
            assert_eq!(token.has_field_by_name("expires_at"), ends);
            let never = token.get_field_by_name("never_expires").unwrap();
            assert_eq!(never.as_bool(), Some(!ends));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_there_has_nothing() {
    let sandbox = Sandbox::start();
    let admin = Caller::admin(&sandbox);
    let nobody = Caller::new(
        sandbox.client(),
        sandbox.token("admin"),
        "0a0a0a0a-0000-4000-8000-000000000000",
    );
    let elsewhere = sandbox.service_account("datadog/eu");
    let elsewhere = Caller::new(sandbox.client(), sandbox.token("admin"), elsewhere);
    for kind in [&KEY, &TOKEN] {
        let key = admin.create(kind, "a").await;
        for caller in [&nobody, &elsewhere] {
            for verb in ["List", "Create", "Get", "Update", kind.remove] {
                let answer = caller.call(verb, kind, &key, json!({})).await;
                refused(&answer, "NOT_FOUND", "KEY_NOT_FOUND");
            }
        }
        assert_eq!(admin.names(kind, json!({})).await, ["a"]);
    }
}

/// A role that makes and touches some keys only.
const DEPLOYER: &str = r#"
[roles.deployer]
permissions = ["service_account_write"]
names = ["deploy-*"]
keys = "any"
max_scopes = ["dashboards_read"]

[[grants]]
role = "deployer"
claim = "deployer"
"#;

#[tokio::test]
async fn a_role_s_names_and_scopes_are_its_ceiling() {
    let served = Served::with_policy(&format!("{SANDBOX_POLICY}{DEPLOYER}")).await;
    let caller = |role| {
        let token = served.token(role, &[role]);
        Caller::new(served.client(), token, SERVICE_ACCOUNT)
    };
    let (admin, deployer) = (caller("admin"), caller("deployer"));
    for kind in [&KEY, &TOKEN] {
        let own = deployer.create(kind, "deploy-a").await;
        let other = admin.create(kind, "other").await;
        let before = changes(&served);
        let wide = json!(["dashboards_read", "monitors_read"]);
        for (verb, key, fields) in [
            ("Create", "", json!({ "name": "other" })),
            ("Create", "", json!({ "name": "deploy-b", "scopes": wide })),
            ("Get", &*other, json!({})),
            ("Update", &other, json!({ "name": "deploy-c" })),
            ("Update", &own, json!({ "name": "other" })),
            ("Update", &own, json!({ "name": null, "scopes": wide })),
            (kind.remove, &other, json!({})),
        ] {
            let answer = deployer.call(verb, kind, key, fields).await;
            refused(&answer, "PERMISSION_DENIED", "POLICY_DENIED");
        }
        assert_eq!(changes(&served), before, "denied, and sent");
        assert_eq!(deployer.names(kind, json!({})).await, ["deploy-a"]);
        let new = json!({ "name": "deploy-d", "scopes": ["dashboards_read"] });
        deployer.call("Update", kind, &own, new).await.ok();
        deployer.call(kind.remove, kind, &own, json!({})).await.ok();
    }
    // without scopes it would have all the rights of the account
    let unscoped = json!({ "name": "deploy-e", "scopes": null });
    let answer = deployer.call("Create", &KEY, "", unscoped.clone()).await;
    refused(&answer, "PERMISSION_DENIED", "POLICY_DENIED");
    admin.call("Create", &KEY, "", unscoped).await.ok();
}

#[tokio::test]
async fn who_may_touch_only_own_keys_touches_no_others() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let caller = |subject| {
        let token = served.token(subject, &["operator"]);
        Caller::new(served.client(), token, SERVICE_ACCOUNT)
    };
    let (first, second) = (caller("first"), caller("second"));
    for kind in [&KEY, &TOKEN] {
        let key = first.create(kind, "the first's").await;
        second.create(kind, "the second's").await;
        let before = changes(&served);
        for verb in ["Get", "Update", kind.remove] {
            let answer = second.call(verb, kind, &key, json!({})).await;
            refused(&answer, "PERMISSION_DENIED", "POLICY_DENIED");
        }
        assert_eq!(changes(&served), before, "denied, and sent");
        assert_eq!(second.names(kind, json!({})).await, ["the second's"]);
        assert_eq!(first.names(kind, json!({})).await, ["the first's"]);
        first.call("Get", kind, &key, json!({})).await.ok();
        // it is the same key by whatever way it is reached
        if kind.list == KEY.list {
            let get = "keygate.datadog.v2.ApplicationKeyService/GetApplicationKey";
            let request = first.client.request(get, &key);
            let mine = first.client.call(get, Some(&first.token), &request).await;
            assert_eq!(id(mine), key);
            let theirs = first.client.call(get, Some(&second.token), &request).await;
            refused(&theirs, "PERMISSION_DENIED", "POLICY_DENIED");
        }
        first.call(kind.remove, kind, &key, json!({})).await.ok();
    }
}

/// How many requests arrived that would change something.
fn changes(served: &Served) -> usize {
    let requests = requests(served.site()).into_iter();
    requests.filter(|it| it["method"] != "GET").count()
}
