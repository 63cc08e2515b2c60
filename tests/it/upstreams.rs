//! Upstreams of several vendors behind one gateway: which there are, and which
//! one a request means.

use prost_reflect::{DynamicMessage, Value};

use crate::support::{gateway::Client, serve::Setup, served::text};

const UPSTREAMS: &str = r#"
[[datadog]]
site = "us1"
api_key = { env = "CARGO_PKG_NAME" }
app_key = { env = "CARGO_PKG_NAME" }

[[braintrust]]
token = { env = "CARGO_PKG_NAME" }

[[braintrust]]
name = "own"
token = { env = "CARGO_PKG_NAME" }
base_url = "https://data.example.com/braintrust"

[[coveo]]
region = "us"
organization_id = "acme"
token = { env = "CARGO_PKG_NAME" }

[[coveo]]
region = "eu"
organization_id = "acme"
token = { env = "CARGO_PKG_NAME" }

[[coveo]]
region = "au"
organization_id = "other"
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
        ("datadog/us1", false),
        ("datadog/us1/main", false),
    ] {
        let mut request = client.request(EXPLAIN, "");
        let method = "keygate.datadog.v2.ApiKeyService/ListApiKeys".to_owned();
        request.set_field_by_name("method", Value::String(method));
        request.set_field_by_name("upstream", Value::String(upstream.to_owned()));
        let answer = client.call(EXPLAIN, Some(&token), &request).await.ok();
        let decision = answer.get_field_by_name("decision").unwrap();
        let expected = if permitted { 1 } else { 2 };
        assert_eq!(decision.as_enum_number(), Some(expected), "{upstream}");
    }
}
