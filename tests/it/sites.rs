//! Every operation on every site, and organizations kept apart.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use serde_json::Value as Json;

use crate::support::{
    gateway::{Answer, Client, Sandbox},
    http::Http,
    served::{SANDBOX_POLICY, Served, id, text},
    upstreams::Place,
    vendors::DATADOG,
};

const SITES: [&str; 9] = [
    "us1", "us3", "us5", "eu", "ap1", "ap2", "uk1", "us1-fed", "us2-fed",
];

/// One kind of key, and its operations.
struct Kind {
    service: &'static str,
    create: (&'static str, &'static str),
    list: &'static str,
    get: &'static str,
    update: &'static str,
    delete: &'static str,
    /// In the simulator's state.
    state: &'static str,
    /// In the answer to a list.
    field: &'static str,
}

const KINDS: [Kind; 6] = [
    Kind {
        service: "ApiKeyService",
        create: ("ApiKeyService", "CreateApiKey"),
        list: "ListApiKeys",
        get: "GetApiKey",
        update: "UpdateApiKey",
        delete: "DeleteApiKey",
        state: "api_keys",
        field: "api_keys",
    },
    Kind {
        service: "CurrentUserApplicationKeyService",
        create: (
            "CurrentUserApplicationKeyService",
            "CreateCurrentUserApplicationKey",
        ),
        list: "ListCurrentUserApplicationKeys",
        get: "GetCurrentUserApplicationKey",
        update: "UpdateCurrentUserApplicationKey",
        delete: "DeleteCurrentUserApplicationKey",
        state: "application_keys",
        field: "application_keys",
    },
    Kind {
        service: "ApplicationKeyService",
        create: (
            "CurrentUserApplicationKeyService",
            "CreateCurrentUserApplicationKey",
        ),
        list: "ListApplicationKeys",
        get: "GetApplicationKey",
        update: "UpdateApplicationKey",
        delete: "DeleteApplicationKey",
        state: "application_keys",
        field: "application_keys",
    },
    Kind {
        service: "PersonalAccessTokenService",
        create: ("PersonalAccessTokenService", "CreatePersonalAccessToken"),
        list: "ListPersonalAccessTokens",
        get: "GetPersonalAccessToken",
        update: "UpdatePersonalAccessToken",
        delete: "RevokePersonalAccessToken",
        state: "access_tokens",
        field: "access_tokens",
    },
    Kind {
        service: "ServiceAccountKeyService",
        create: (
            "ServiceAccountKeyService",
            "CreateServiceAccountApplicationKey",
        ),
        list: "ListServiceAccountApplicationKeys",
        get: "GetServiceAccountApplicationKey",
        update: "UpdateServiceAccountApplicationKey",
        delete: "DeleteServiceAccountApplicationKey",
        state: "application_keys",
        field: "application_keys",
    },
    Kind {
        service: "ServiceAccountKeyService",
        create: (
            "ServiceAccountKeyService",
            "CreateServiceAccountAccessToken",
        ),
        list: "ListServiceAccountAccessTokens",
        get: "GetServiceAccountAccessToken",
        update: "UpdateServiceAccountAccessToken",
        delete: "RevokeServiceAccountAccessToken",
        state: "access_tokens",
        field: "access_tokens",
    },
];

/// The number of a site in the contract.
fn number(client: &Client, site: &str) -> i32 {
    let method = client.method("keygate.datadog.v2.ApiKeyService/ListApiKeys");
    let kind = method.input().get_field_by_name("site").unwrap().kind();
    let name = format!("SITE_{}", site.to_uppercase().replace('-', "_"));
    let value = kind.as_enum().unwrap().get_value_by_name(&name);
    value.unwrap().number()
}

/// A caller at one site, and one organization there.
struct At<'a> {
    client: &'a Client,
    token: &'a str,
    site: &'a str,
    org: &'a str,
    /// The service account; empty: the one of every simulator of the tests.
    account: &'a str,
}

impl At<'_> {
    fn request(&self, method: &str, id: &str) -> DynamicMessage {
        let mut request = self.client.request(method, id);
        let site = number(self.client, self.site);
        request.set_field_by_name("site", Value::EnumNumber(site));
        request.set_field_by_name("org", Value::String(self.org.to_owned()));
        let account = request.descriptor().get_field_by_name("service_account_id");
        if let (Some(field), false) = (account, self.account.is_empty()) {
            request.set_field(&field, Value::String(self.account.to_owned()));
        }
        request
    }

    async fn call(&self, service: &str, rpc: &str, id: &str, name: &str) -> Answer {
        let method = format!("keygate.datadog.v2.{service}/{rpc}");
        let mut request = self.request(&method, id);
        if request.descriptor().get_field_by_name("name").is_some() {
            request.set_field_by_name("name", Value::String(name.to_owned()));
        }
        self.client.call(&method, Some(self.token), &request).await
    }

    async fn create(&self, kind: &Kind, name: &str) -> String {
        let (service, rpc) = kind.create;
        id(self.call(service, rpc, "", name).await)
    }

    /// The ids in a list.
    async fn ids(&self, kind: &Kind) -> Vec<String> {
        let answer = self.call(kind.service, kind.list, "", "").await.ok();
        let list = answer.get_field_by_name(kind.field).unwrap();
        let keys = list.as_list().unwrap().iter();
        keys.map(|it| text(it.as_message().unwrap(), "id"))
            .collect()
    }
}

async fn states(sandbox: &Sandbox) -> Vec<(&'static str, Json)> {
    let mut states = Vec::new();
    for site in SITES {
        let url = sandbox.upstream(&format!("datadog/{site}"));
        let state = Http::new(url, Vec::new()).get("/__state").await.json();
        states.push((site, state));
    }
    states
}

/// The names of a kind of key in a state, but for revoked tokens.
fn names<'a>(state: &'a Json, kind: &Kind) -> Vec<&'a str> {
    let keys = state[kind.state].as_array().unwrap().iter();
    let keys = keys.filter(|it| it["revoked"] != true);
    keys.map(|it| it["name"].as_str().unwrap()).collect()
}

/// On which sites there is a key of this name.
async fn sites_with(sandbox: &Sandbox, kind: &Kind, name: &str) -> Vec<&'static str> {
    let states = states(sandbox).await.into_iter();
    let having = states.filter(|(_, state)| names(state, kind).contains(&name));
    having.map(|(site, _)| site).collect()
}

#[tokio::test]
async fn every_operation_works_on_every_site_and_touches_no_other() {
    let sandbox = Sandbox::start();
    let client = sandbox.client();
    for site in SITES {
        let at = At {
            client: &client,
            token: sandbox.token("admin"),
            site,
            org: "",
            account: sandbox.service_account(&format!("datadog/{site}")),
        };
        for kind in &KINDS {
            let (service, first) = (kind.service, format!("{service}-1", service = kind.service));
            let key = at.create(kind, &first).await;
            assert_eq!(sites_with(&sandbox, kind, &first).await, [site]);
            assert!(at.ids(kind).await.contains(&key), "{site} {service}");
            let got = at.call(service, kind.get, &key, "").await;
            assert_eq!(id(got), key, "{site} {service}");

            let second = format!("{service}-2");
            let updated = at.call(service, kind.update, &key, &second).await;
            assert_eq!(id(updated), key, "{site} {service}");
            assert_eq!(sites_with(&sandbox, kind, &second).await, [site]);
            let none = sites_with(&sandbox, kind, &first).await;
            assert!(none.is_empty(), "{none:?}");

            at.call(service, kind.delete, &key, "").await.ok();
            let none = sites_with(&sandbox, kind, &second).await;
            assert!(none.is_empty(), "{site} {service}: {none:?}");
        }
    }
}

const LIST: (&str, &str) = ("ApiKeyService", "ListApiKeys");

#[tokio::test]
async fn a_site_that_is_not_configured_is_told_as_such() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    for (site, org) in [("us3", ""), ("us2-fed", "main"), ("us1", "other")] {
        let at = At {
            client: &client,
            token: &token,
            site,
            org,
            account: "",
        };
        for kind in &KINDS {
            let id = "0a0a0a0a-0000-4000-8000-000000000000";
            let others = [kind.list, kind.get, kind.update, kind.delete];
            let others = others.map(|rpc| (kind.service, rpc));
            for (service, rpc) in others.into_iter().chain([kind.create]) {
                let answer = at.call(service, rpc, id, "n").await;
                let got = (answer.code(), answer.reason());
                let expected = ("FAILED_PRECONDITION", "UPSTREAM_NOT_CONFIGURED".to_owned());
                assert_eq!(got, expected, "{site} {org} {rpc}");
            }
        }
    }
    assert!(served.upstreams.requests().is_empty());
}

/// An organization on a site.
fn org(site: &'static str, name: &str) -> Place {
    Place::new(&DATADOG, name).on(site)
}

/// A role that reaches one organization only.
const NARROW: &str = r#"
[roles.narrow]
permissions = ["api_keys_read", "api_keys_write"]
upstreams = ["datadog/us1/second", "datadog/us3/second"]
keys = "any"

[[grants]]
role = "narrow"
claim = "narrow"
"#;

#[tokio::test]
async fn two_organizations_on_one_site_are_kept_apart() {
    let orgs = vec![
        org("us1", "first").with("default = true"),
        org("us1", "second"),
    ];
    let policy = format!("{SANDBOX_POLICY}{NARROW}");
    let served = Served::start(&policy, orgs, "info").await;
    let client = served.client();
    let (admin, narrow) = (
        served.token("a", &["admin"]),
        served.token("n", &["narrow"]),
    );
    let at = |org| At {
        client: &client,
        token: &admin,
        site: "us1",
        org,
        account: "",
    };
    let first = served.upstreams.at("datadog/us1/first");
    let second = served.upstreams.at("datadog/us1/second");
    for kind in &KINDS {
        // no name: the default
        let key = at("").create(kind, "of the first").await;
        assert!(names(&first.state(), kind).contains(&"of the first"));
        assert!(!names(&second.state(), kind).contains(&"of the first"));
        assert!(at("first").ids(kind).await.contains(&key));
        assert!(!at("second").ids(kind).await.contains(&key));
        for rpc in [kind.get, kind.update, kind.delete] {
            let answer = at("second").call(kind.service, rpc, &key, "n").await;
            assert_eq!(answer.reason(), "KEY_NOT_FOUND", "{rpc}");
        }
        at("second").create(kind, "of the second").await;
        assert!(names(&second.state(), kind).contains(&"of the second"));
        assert!(!names(&first.state(), kind).contains(&"of the second"));
    }

    let narrowed = |org| At {
        token: &narrow,
        ..at(org)
    };
    let (service, rpc) = LIST;
    let here = narrowed("second").call(service, rpc, "", "").await;
    assert_eq!(here.code(), "OK");
    for org in ["", "first"] {
        let there = narrowed(org).call(service, rpc, "", "").await;
        assert_eq!(there.reason(), "POLICY_DENIED", "{org}");
    }
    let upstreams = served
        .records()
        .into_iter()
        .filter(|it| it["kind"] == "outcome");
    for record in upstreams {
        let upstream = record["upstream"].as_str().unwrap();
        assert!(["datadog/us1/first", "datadog/us1/second"].contains(&upstream));
    }
}

#[tokio::test]
async fn without_a_default_the_caller_has_to_name_the_organization() {
    let orgs = vec![
        org("us3", "first"),
        org("us3", "second"),
        org("us5", "alone").with("default = false"),
        org("eu", "alone"),
    ];
    let policy = format!("{SANDBOX_POLICY}{NARROW}");
    let served = Served::start(&policy, orgs, "info").await;
    let client = served.client();
    let (admin, narrow) = (
        served.token("a", &["admin"]),
        served.token("n", &["narrow"]),
    );
    let (service, rpc) = LIST;
    for (token, site, org, expected) in [
        (&admin, "us3", "", "INVALID_REQUEST"),
        (&admin, "us3", "first", ""),
        (&admin, "us3", "second", ""),
        (&admin, "us5", "", "INVALID_REQUEST"),
        (&admin, "us5", "alone", ""),
        (&admin, "eu", "", ""),
        (&admin, "us1", "", "UPSTREAM_NOT_CONFIGURED"),
        (&narrow, "us3", "", "INVALID_REQUEST"),
        (&narrow, "us3", "first", "POLICY_DENIED"),
        (&narrow, "us3", "second", ""),
        // who reaches nothing there does not learn what is there
        (&narrow, "us5", "", "POLICY_DENIED"),
        (&narrow, "uk1", "", "POLICY_DENIED"),
    ] {
        let at = At {
            client: &client,
            token,
            site,
            org,
            account: "",
        };
        let answer = at.call(service, rpc, "", "").await;
        assert_eq!(answer.reason(), expected, "{site} {org:?}");
        if expected == "INVALID_REQUEST" {
            assert_eq!(answer.code(), "INVALID_ARGUMENT");
            let details = answer.details().unwrap();
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations.len(), 1);
            assert_eq!(violations[0].field, "org");
        }
    }
}
