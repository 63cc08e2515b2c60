//! What is explained is what is decided: by the RPC, by the command and by the
//! call itself.

use serde_json::{Value as Json, json};

use super::{Caller, rule};
use crate::support::{
    gateway::{contract, methods},
    program::{keygate, told},
    served::{MAIN, Served, text},
    upstreams::Place,
    vendors::{BRAINTRUST, COVEO, DATADOG, Vendor},
};

const POLICY: &str = r#"
[roles.reader]
permissions = ["api_keys_read", "org_app_keys_read", "coveo_api_keys_read"]
keys = "any"

[roles.payments]
permissions = ["api_keys_read", "api_keys_write", "user_app_keys", "braintrust_service_tokens_read"]
upstreams = ["datadog/us1", "datadog/*/main", "braintrust/*"]
keys = "any"
max_scopes = ["*"]
allow_unscoped = true

[roles.access]
permissions = ["keygate_access_read"]

[[grants]]
role = "reader"
claim = "reader"

[[grants]]
role = "payments"
subject = "system:serviceaccount:payments:*"

[[grants]]
role = "access"
claim = "access"

[[grants]]
role = "payments"
claim = "reader"
issuer = "https://elsewhere.example"

[deny]
subjects = ["system:serviceaccount:payments:old"]
upstreams = ["datadog/us1/closed"]
rpcs = ["*Service/Create*", "AccessService/ListUpstreams"]
"#;

const CALLERS: [(&str, &[&str]); 5] = [
    ("nobody", &[]),
    ("alice", &["reader", "access"]),
    ("system:serviceaccount:payments:api", &[]),
    ("system:serviceaccount:payments:worker", &["reader"]),
    ("system:serviceaccount:payments:old", &["reader", "access"]),
];

/// Where calls go: the fields that say so, and how the address is written.
fn places(vendor: Option<&'static Vendor>) -> Vec<(Json, &'static str)> {
    match vendor.map(|it| it.name) {
        None => vec![(json!({}), "")],
        Some("datadog") => vec![
            (json!({ "org": "main" }), "datadog/us1/main"),
            // the default there
            (json!({ "org": "" }), "datadog/us1"),
            (json!({ "org": "closed" }), "datadog/us1/closed"),
            (json!({ "site": 4, "org": "side" }), "datadog/eu/side"),
            // two, and neither is the default
            (json!({ "site": 4, "org": "" }), "datadog/eu"),
            (json!({ "org": "nowhere" }), "datadog/us1/nowhere"),
        ],
        Some("braintrust") => vec![(json!({ "instance": MAIN }), "braintrust/main")],
        Some(_) => vec![(json!({ "organization_id": MAIN }), "coveo/us/main")],
    }
}

async fn served() -> Served {
    let places = vec![
        Place::new(&DATADOG, MAIN).with("default = true"),
        Place::new(&DATADOG, "closed"),
        Place::new(&DATADOG, "side").on("eu"),
        Place::new(&DATADOG, MAIN).on("eu"),
        Place::new(&BRAINTRUST, MAIN),
        Place::new(&COVEO, MAIN),
    ];
    Served::start(POLICY, places, "info").await
}

/// What is explained: the decision, the rule, what is missing, and what permits.
type Explained = (bool, String, Vec<String>, String);

fn by_rpc(answer: &prost_reflect::DynamicMessage) -> Explained {
    let list = answer.get_field_by_name("missing_permissions").unwrap();
    let list = list.as_list().unwrap().iter();
    (
        answer
            .get_field_by_name("decision")
            .unwrap()
            .as_enum_number()
            == Some(1),
        text(answer, "rule"),
        list.map(|it| it.as_str().unwrap().to_owned()).collect(),
        text(answer, "permission"),
    )
}

/// `keygate policy explain`, with the gateway's configuration.
fn by_command(served: &Served, arguments: &[&str]) -> Explained {
    let output = keygate(["policy", "explain", "--json", "--config"])
        .arg(served.setup.config())
        .args(arguments)
        .output()
        .unwrap();
    let (printed, errors) = told(&output);
    let told: Json = serde_json::from_str(&printed).expect(&errors);
    let permitted = told["permitted"].as_bool().unwrap();
    assert_eq!(output.status.code(), Some(if permitted { 0 } else { 77 }));
    let missing = told["missing"].as_array().unwrap().iter();
    (
        permitted,
        told["rule"].as_str().unwrap().to_owned(),
        missing.map(|it| it.as_str().unwrap().to_owned()).collect(),
        told["permission"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_decided_as_it_is_explained() {
    let served = served().await;
    let asking = Caller::new(&served, "alice", &["access"]);
    let issuer = text(&asking.call("WhoAmI", json!({})).await.ok(), "issuer");
    let (mut denied, mut permitted) = (0, 0);
    for (subject, claims) in CALLERS {
        let caller = Caller::new(&served, subject, claims);
        for method in methods() {
            for (place, address) in places(Vendor::of(&method)) {
                let question = json!({
                    "method": method,
                    "upstream": address,
                    "subject": { "issuer": issuer, "subject": subject, "claims": claims },
                });
                let told = by_rpc(&asking.call("ExplainAccess", question).await.ok());
                let what = format!("{subject} {method} {address}: {told:?}");

                let answer = caller.call(&method, place).await;
                let is_denied = answer.reason() == "POLICY_DENIED";
                assert_eq!(is_denied, !told.0, "{what}");
                if is_denied {
                    denied += 1;
                    assert_eq!(rule(&answer), told.1, "{what}");
                    let details = answer.details().unwrap();
                    let metadata = &details.error_info().unwrap().metadata;
                    let missing = metadata.get("permission").cloned().unwrap_or_default();
                    assert_eq!(missing, told.2.join(","), "{what}");
                    assert_eq!(told.3, "", "{what}");
                } else {
                    permitted += 1;
                    let needs = &contract().operation(&method).unwrap().permissions;
                    assert_eq!(needs.contains(&told.3), !needs.is_empty(), "{what}");
                }
            }
        }
    }
    assert!(denied > 100 && permitted > 50, "{denied} {permitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_and_the_rpc_say_the_same() {
    let served = served().await;
    let asking = Caller::new(&served, "alice", &["access"]);
    let issuer = text(&asking.call("WhoAmI", json!({})).await.ok(), "issuer");
    for (subject, claims) in CALLERS {
        for rpc in [
            "WhoAmI",
            "ListUpstreams",
            "keygate.datadog.v2.ApiKeyService/ListApiKeys",
            "datadog.v2.ApiKeyService/CreateApiKey",
            "UpdatePersonalAccessToken",
            "coveo.v1.ApiKeyService/GetApiKey",
        ] {
            let method = &contract().find(rpc).unwrap().method;
            let places = places(Vendor::of(method)).into_iter();
            for address in places.map(|it| it.1).chain([""]) {
                let question = json!({
                    "method": method,
                    "upstream": address,
                    "subject": { "issuer": issuer, "subject": subject, "claims": claims },
                });
                let told = by_rpc(&asking.call("ExplainAccess", question).await.ok());
                let mut arguments = vec!["--issuer", &issuer, "--subject", subject];
                arguments.extend(claims.iter().flat_map(|it| ["--claim", it]));
                arguments.push(rpc);
                arguments.extend(Some(address).filter(|it| !it.is_empty()));
                assert_eq!(by_command(&served, &arguments), told, "{arguments:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_s_id_can_be_asked_about() {
    let policy = format!("{POLICY}token_ids = [\"4f0c\"]\n");
    let served = Served::start(&policy, vec![Place::new(&DATADOG, MAIN)], "info").await;
    let asking = Caller::new(&served, "alice", &["access"]);
    for (id, expected) in [("4f0c", "deny.token_ids[0]"), ("4f0d", "any caller")] {
        let question = json!({ "method": "keygate.access.v1.AccessService/WhoAmI",
            "subject": { "subject": "bob", "token_id": id } });
        let told = by_rpc(&asking.call("ExplainAccess", question).await.ok());
        assert_eq!(told.1, expected);
        let arguments = ["--subject", "bob", "--token-id", id, "WhoAmI"];
        assert_eq!(by_command(&served, &arguments).1, expected);
    }
}
