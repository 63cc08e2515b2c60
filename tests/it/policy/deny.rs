//! `[deny]`: what is denied whatever is granted, at once and everywhere.

use std::time::Duration;

use keygate::{clock::Clock, sandbox::issuer::Claims};
use serde_json::{Value as Json, json};

use super::{Caller, WHO_AM_I, asked, replace, rule};
use crate::support::served::{SANDBOX_POLICY, Served, text};

const LIST: &str = "datadog.v2.ApiKeyService/ListApiKeys";

fn denying(deny: &str) -> String {
    format!("{SANDBOX_POLICY}\n[deny]\n{deny}\n")
}

/// The last record.
fn last(served: &Served) -> Json {
    served.records().pop().unwrap()
}

impl Caller {
    /// An admin whose token has this id.
    fn with_token(served: &Served, subject: &str, id: &str) -> Self {
        let mut claims = Claims::new(subject, &["admin"]);
        claims.extra.insert("jti".to_owned(), id.into());
        Self {
            client: served.client(),
            token: served.setup.mint(&claims),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_denied_everything_keygate_s_own_rpcs_too() {
    let served = Served::with_policy(&denying(
        "subjects = [\"mallory\", \"*:old:*\"]\ntoken_ids = [\"4f0c\"]",
    ))
    .await;
    let good = Caller::with_token(&served, "alice", "4f0d");
    let made = good
        .make("v2.ApiKeyService/CreateApiKey", json!({ "name": "a" }))
        .await;
    for (caller, expected) in [
        (
            Caller::new(&served, "mallory", &["admin"]),
            "deny.subjects[0]",
        ),
        (
            Caller::new(&served, "sa:old:api", &["admin"]),
            "deny.subjects[1]",
        ),
        (
            Caller::with_token(&served, "alice", "4f0c"),
            "deny.token_ids[0]",
        ),
    ] {
        for (rpc, fields) in [
            (WHO_AM_I, json!({})),
            ("ExplainAccess", json!({})),
            ("ListUpstreams", json!({})),
            (LIST, json!({})),
            ("v2.ApiKeyService/StreamApiKeys", json!({})),
            (
                "v2.ApiKeyService/DeleteApiKey",
                json!({ "api_key_id": made }),
            ),
            (
                "coveo.v1.ApiKeyService/CreateApiKey",
                json!({ "display_name": "b" }),
            ),
            (
                "braintrust.v1.ApiKeyService/CreateApiKey",
                json!({ "name": "c" }),
            ),
        ] {
            let before = served.upstreams.requests().len();
            let denied = caller.call(rpc, fields).await;
            assert_eq!(rule(&denied), expected, "{rpc}");
            let details = denied.details().unwrap();
            let told = &details.error_info().unwrap().metadata;
            assert!(!told.contains_key("permission"), "no permission would help");
            assert!(denied.result.unwrap_err().message().contains(expected));
            assert_eq!(served.upstreams.requests().len(), before, "{rpc}");
            let record = last(&served);
            assert_eq!(record["kind"], "denied", "{record:#}");
            assert_eq!(record["rule"], expected, "{record:#}");
            assert_eq!(record["reason"], "POLICY_DENIED", "{record:#}");
            assert!(record["permission"].is_null(), "{record:#}");
        }
        good.call(LIST, json!({})).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_an_upstream_and_an_rpc_are_denied() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let alice = Caller::new(&served, "alice", &["admin"]);
    let issuer = text(&alice.call(WHO_AM_I, json!({})).await.ok(), "issuer");
    let delete = json!({ "api_key_id": "a" });
    for (deny, denied, permitted) in [
        (
            "upstreams = [\"coveo/*\", \"datadog/*/main\"]",
            &[
                (LIST, json!({}), "deny.upstreams[1]"),
                (
                    "datadog.v1.ApiKeyService/ListApiKeys",
                    json!({}),
                    "deny.upstreams[1]",
                ),
                (
                    "coveo.v1.ApiKeyService/ListApiKeys",
                    json!({}),
                    "deny.upstreams[0]",
                ),
            ][..],
            &[WHO_AM_I, "braintrust.v1.ApiKeyService/ListApiKeys"][..],
        ),
        (
            "rpcs = [\"keygate.datadog.v2.ApiKeyService/DeleteApiKey\", \"ApiKeyService/ListApiKeys\"]",
            &[
                (
                    "datadog.v2.ApiKeyService/DeleteApiKey",
                    delete,
                    "deny.rpcs[0]",
                ),
                (LIST, json!({}), "deny.rpcs[1]"),
                (
                    "coveo.v1.ApiKeyService/ListApiKeys",
                    json!({}),
                    "deny.rpcs[1]",
                ),
            ],
            &[WHO_AM_I, "datadog.v2.ApiKeyService/StreamApiKeys"],
        ),
        (
            "rpcs = [\"*/WhoAmI\"]",
            &[(WHO_AM_I, json!({}), "deny.rpcs[0]")],
            &[LIST, "ListUpstreams"],
        ),
        (
            &format!("issuers = [\"{issuer}\"]"),
            &[
                (WHO_AM_I, json!({}), "deny.issuers[0]"),
                (LIST, json!({}), "deny.issuers[0]"),
            ],
            &[],
        ),
    ] {
        let policy = denying(deny);
        replace(&served, &policy);
        let (rpc, fields, expected) = &denied[0];
        loop {
            let answer = alice.call(rpc, fields.clone()).await;
            if answer.reason() == "POLICY_DENIED" && rule(&answer) == *expected {
                break;
            }
        }
        let denying = async {
            for (rpc, fields, expected) in denied {
                let answer = alice.call(rpc, fields.clone()).await;
                assert_eq!(rule(&answer), *expected, "{rpc}");
            }
        };
        let ((), nothing) = asked(&served, denying).await;
        assert!(nothing.is_empty(), "{nothing:?}");
        for rpc in permitted {
            let answer = alice.call(rpc, json!({})).await;
            assert_eq!(answer.code(), "OK", "{rpc} under {deny}");
        }
    }
    assert_eq!(last(&served)["rule"], "deny.issuers[0]");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_within_a_second_on_connections_that_are_open() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let mallory = Caller::new(&served, "mallory", &["admin"]);
    let clock = Clock::system();
    for round in 0..3 {
        mallory.call(LIST, json!({})).await.ok();
        let written = clock.instant();
        replace(&served, &denying("subjects = [\"mallory\"]"));
        while mallory.call(LIST, json!({})).await.reason() != "POLICY_DENIED" {}
        let after = clock.instant() - written;
        assert!(after < Duration::from_secs(1), "round {round}: {after:?}");
        // and it is lifted in the same way
        replace(&served, SANDBOX_POLICY);
        while mallory.call(LIST, json!({})).await.reason() == "POLICY_DENIED" {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_to_all_is_told_to_those_whom_it_concerns() {
    let deny = "upstreams = [\"datadog/us1/main\", \"coveo/us/secret\"]\nrpcs = [\"*/Delete*\"]";
    let policy = "[roles.some]\npermissions = [\"*\"]\nupstreams = [\"datadog/*\"]\n\
                  [[grants]]\nrole = \"some\"\nclaim = \"some\"\n";
    let served = Served::with_policy(&format!("{policy}\n[deny]\n{deny}\n")).await;
    let told = async |roles: &[&str]| -> Vec<(String, String)> {
        let caller = Caller::new(&served, "alice", roles);
        let told = caller.call(WHO_AM_I, json!({})).await.ok();
        let told = told.get_field_by_name("deny").unwrap();
        let told = told.as_list().unwrap().iter();
        told.map(|it| {
            let it = it.as_message().unwrap();
            let what = ["upstreams", "rpcs"]
                .into_iter()
                .find(|name| it.has_field_by_name(name));
            (text(it, "rule"), text(it, what.unwrap()))
        })
        .collect()
    };
    let rpcs = ("deny.rpcs[0]".to_owned(), "*/Delete*".to_owned());
    assert_eq!(told(&[]).await, std::slice::from_ref(&rpcs));
    let main = (
        "deny.upstreams[0]".to_owned(),
        "datadog/us1/main".to_owned(),
    );
    assert_eq!(told(&["some"]).await, [main, rpcs]);
    // nothing can be done there, so it is not listed either
    let caller = Caller::new(&served, "alice", &["some"]);
    let upstreams = caller.call("ListUpstreams", json!({})).await.ok();
    let upstreams = upstreams.get_field_by_name("upstreams").unwrap();
    assert!(upstreams.as_list().unwrap().is_empty());
}
