//! Upstreams of several vendors behind one gateway: which there are, and which
//! one a request means.

use prost_reflect::{DynamicMessage, Value};

use crate::support::{
    gateway::Client,
    serve::Setup,
    served::{SANDBOX_POLICY, Served, text},
    upstreams::Place,
    vendors::BRAINTRUST,
};

/// None of them is asked for anything: nobody is there.
const UPSTREAMS: &str = r#"
[[datadog]]
site = "us1"
base_url = "http://127.0.0.1:9"
api_key = { env = "CARGO_PKG_NAME" }
app_key = { env = "CARGO_PKG_NAME" }

[[braintrust]]
token = { env = "CARGO_PKG_NAME" }
base_url = "http://127.0.0.1:9"

[[braintrust]]
name = "own"
token = { env = "CARGO_PKG_NAME" }
base_url = "http://127.0.0.1:9/braintrust"

[[coveo]]
region = "us"
organization_id = "acme"
base_url = "http://127.0.0.1:9"
token = { env = "CARGO_PKG_NAME" }

[[coveo]]
region = "eu"
organization_id = "acme"
base_url = "http://127.0.0.1:9"
token = { env = "CARGO_PKG_NAME" }

[[coveo]]
region = "au"
organization_id = "other"
base_url = "http://127.0.0.1:9"
token = { env = "CARGO_PKG_NAME" }
"#;

const POLICY: &str = r#"
[roles.admin]
permissions = ["*"]

[roles.narrow]
permissions = ["*"]
upstreams = ["braintrust/own", "coveo/*/acme"]

[[grants]]
role = "admin"
claim = "admin"

[[grants]]
role = "narrow"
claim = "narrow"
"#;

async fn list(client: &Client, token: &str) -> Vec<DynamicMessage> {
    const LIST: &str = "keygate.access.v1.AccessService/ListUpstreams";
    let request = client.request(LIST, "");
    let answer = client.call(LIST, Some(token), &request).await.ok();
    let upstreams = answer.get_field_by_name("upstreams").unwrap();
    let upstreams = upstreams.as_list().unwrap().iter();
    upstreams
        .map(|it| it.as_message().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn callers_are_told_of_those_that_they_reach() {
    let setup = Setup::new("", UPSTREAMS).await;
    setup.write("policy.toml", POLICY);
    let gateway = setup.serve().await;
    let client = gateway.client();
    let parts = |it: &DynamicMessage| {
        let default = it.get_field_by_name("is_default").unwrap();
        (
            ["name", "provider", "site", "org"].map(|field| text(it, field)),
            default.as_bool().unwrap(),
        )
    };
    let expected = [
        (["braintrust/default", "braintrust", "default", ""], true),
        (["braintrust/own", "braintrust", "own", ""], false),
        (["coveo/au/other", "coveo", "au", "other"], true),
        (["coveo/eu/acme", "coveo", "eu", "acme"], false),
        (["coveo/us/acme", "coveo", "us", "acme"], false),
        (["datadog/us1/main", "datadog", "us1", "main"], true),
    ];
    let expected = expected.map(|(words, default)| (words.map(str::to_owned), default));
    let all = list(&client, &setup.token()).await;
    assert_eq!(all.iter().map(parts).collect::<Vec<_>>(), expected);

    let some = list(&client, &setup.token_of("n", &["narrow"])).await;
    let names: Vec<_> = some.iter().map(|it| text(it, "name")).collect();
    assert_eq!(names, ["braintrust/own", "coveo/eu/acme", "coveo/us/acme"]);
}

#[tokio::test]
async fn a_decision_can_be_asked_for_at_a_default() {
    const EXPLAIN: &str = "keygate.access.v1.AccessService/ExplainAccess";
    let setup = Setup::new("", UPSTREAMS).await;
    let narrow = POLICY.replace("braintrust/own", "braintrust/default");
    setup.write("policy.toml", &narrow);
    let gateway = setup.serve().await;
    let client = gateway.client();
    let token = setup.token_of("n", &["narrow"]);
    for (upstream, permitted) in [
        ("", true),
        ("braintrust", true),
        ("braintrust/default", true),
        ("braintrust/own", false),
    ] {
        let mut request = client.request(EXPLAIN, "");
        let method = "keygate.braintrust.v1.ApiKeyService/ListApiKeys".to_owned();
        request.set_field_by_name("method", Value::String(method));
        request.set_field_by_name("upstream", Value::String(upstream.to_owned()));
        let answer = client.call(EXPLAIN, Some(&token), &request).await.ok();
        let decision = answer.get_field_by_name("decision").unwrap();
        let expected = if permitted { 1 } else { 2 };
        assert_eq!(decision.as_enum_number(), Some(expected), "{upstream}");
    }
}

/// A role that reaches one instance only.
const OWN_ONLY: &str = r#"
[roles.narrow]
permissions = ["braintrust_api_keys_read"]
upstreams = ["braintrust/own"]
keys = "any"

[[grants]]
role = "narrow"
claim = "narrow"
"#;

#[tokio::test]
async fn without_a_default_the_caller_has_to_name_the_instance() {
    const LIST: &str = "keygate.braintrust.v1.ApiKeyService/ListApiKeys";
    let place = |name| Place::new(&BRAINTRUST, name);
    let policy = format!("{SANDBOX_POLICY}{OWN_ONLY}");
    for (places, default) in [
        (vec![place("own"), place("other")], None),
        (vec![place("own"), place("default")], Some("default")),
        (
            vec![place("own").with("default = true"), place("default")],
            Some("own"),
        ),
        (vec![place("other")], Some("other")),
    ] {
        let names: Vec<_> = places.iter().map(|it| it.name.clone()).collect();
        let served = Served::start(&policy, places, "info").await;
        let list = async |role: &str, instance: &str| {
            let client = served.client();
            let mut request = client.request(LIST, "");
            request.set_field_by_name("instance", Value::String(instance.to_owned()));
            let token = served.token(role, &[role]);
            client.call(LIST, Some(&token), &request).await
        };
        for name in &names {
            assert_eq!(list("admin", name).await.code(), "OK", "{name}");
        }
        let unknown = list("admin", "nobody").await;
        assert_eq!(unknown.reason(), "UPSTREAM_NOT_CONFIGURED");

        let before = served.upstreams.requests().len();
        let open = list("admin", "").await;
        match default {
            Some(default) => {
                assert_eq!(open.code(), "OK", "{names:?}");
                let record = served.records().pop().unwrap();
                assert_eq!(record["upstream"], format!("braintrust/{default}"));
                assert_eq!(served.upstreams.requests().len(), before + 1);
            }
            None => {
                let details = open.details().unwrap();
                let violations = &details.bad_request().unwrap().field_violations;
                assert_eq!(violations.len(), 1);
                assert_eq!(violations[0].field, "instance");
                assert_eq!(served.upstreams.requests().len(), before);
            }
        }
        // who reaches it does, and who does not learns nothing of defaults
        let narrow = match (default, names.contains(&"own".to_owned())) {
            (Some("own"), _) => "",
            (None, true) => "INVALID_REQUEST",
            _ => "POLICY_DENIED",
        };
        assert_eq!(list("narrow", "").await.reason(), narrow, "{names:?}");
    }
}
