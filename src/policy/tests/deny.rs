//! What `[deny]` denies, and what is wrong with one.

use proptest::prelude::*;

use super::{
    random::{call, text},
    *,
};

const ALL: &str = r#"
[roles.all]
permissions = ["*"]
keys = "any"

[[grants]]
role = "all"
subject = "*"
"#;

const DENY: &str = r#"
[deny]
subjects = ["mallory", "system:serviceaccount:old:*"]
token_ids = ["4f0c"]
issuers = ["https://stolen.example"]
upstreams = ["datadog/eu", "coveo/*", "braintrust/old"]
rpcs = ["keygate.datadog.v2.ApiKeyService/DeleteApiKey", "ApiKeyService/CreateApiKey", "*Service/Revoke*"]
"#;

fn denied(policy: &Policy, caller: &Caller, method: &str, upstream: Option<&str>) -> String {
    let decision = policy.authorize(caller, operation(method), upstream);
    let denial = decision.map(|it| it.rule()).unwrap_err();
    assert!(denial.missing.is_empty(), "{denial:?}");
    denial.rule
}

#[test]
fn each_list_denies_what_it_names() {
    let policy = policy(&format!("{ALL}{DENY}"));
    let bob = || caller("bob", &[]);
    let main = Some("datadog/us1/main");
    assert!(policy.authorize(&bob(), operation(LIST), main).is_ok());

    let mut stolen = bob();
    stolen.issuer = "https://stolen.example".to_owned();
    let mut leaked = bob();
    leaked.token_id = Some("4f0c".to_owned());
    for (caller, rule) in [
        (caller("mallory", &[]), "deny.subjects[0]"),
        (
            caller("system:serviceaccount:old:api", &[]),
            "deny.subjects[1]",
        ),
        (leaked, "deny.token_ids[0]"),
        (stolen, "deny.issuers[0]"),
    ] {
        assert_eq!(denied(&policy, &caller, LIST, main), rule);
        assert_eq!(denied(&policy, &caller, LIST, None), rule);
        assert_eq!(denied(&policy, &caller, WHO_AM_I, None), rule);
        assert_eq!(policy.holds(&caller, ACCESS_READ).unwrap_err().rule, rule);
        assert!(!policy.reaches(&caller, "datadog/us1/main"));
    }

    let at = |upstream| denied(&policy, &bob(), LIST, Some(upstream));
    assert_eq!(at("datadog/eu/main"), "deny.upstreams[0]");
    assert_eq!(at("datadog/eu"), "deny.upstreams[0]");
    assert!(policy.authorize(&bob(), operation(LIST), None).is_ok());
    const COVEO: &str = "keygate.coveo.v1.ApiKeyService/ListApiKeys";
    assert_eq!(denied(&policy, &bob(), COVEO, None), "deny.upstreams[1]");
    assert!(policy.reaches(&bob(), "datadog/us1/main"));
    assert!(!policy.reaches(&bob(), "datadog/eu/main") && !policy.reaches(&bob(), "coveo/us/x"));

    for (method, rule) in [
        ("datadog.v2.ApiKeyService/DeleteApiKey", "deny.rpcs[0]"),
        ("datadog.v2.ApiKeyService/CreateApiKey", "deny.rpcs[1]"),
        ("datadog.v1.ApiKeyService/CreateApiKey", "deny.rpcs[1]"),
        ("coveo.v1.ApiKeyService/CreateApiKey", "deny.rpcs[1]"),
        (
            "datadog.v2.PersonalAccessTokenService/RevokePersonalAccessToken",
            "deny.rpcs[2]",
        ),
    ] {
        let method = format!("keygate.{method}");
        assert_eq!(denied(&policy, &bob(), &method, None), rule);
    }
    let other = operation("keygate.datadog.v1.ApiKeyService/DeleteApiKey");
    assert!(policy.authorize(&bob(), other, main).is_ok());
}

#[test]
fn an_upstream_where_all_is_denied_is_not_reached() {
    let policy = policy(&format!("{ALL}[deny]\nrpcs = [\"keygate.datadog.*\"]\n"));
    let bob = caller("bob", &[]);
    assert!(!policy.reaches(&bob, "datadog/us1/main"));
    assert!(policy.reaches(&bob, "coveo/us/org"));
    assert!(policy.authorize(&bob, operation(WHO_AM_I), None).is_ok());
}

#[test]
fn a_caller_is_told_what_is_denied_where_they_reach() {
    let reader = "[roles.reader]\npermissions = [\"api_keys_read\"]\nupstreams = [\"datadog/*/main\"]\n\
                  [[grants]]\nrole = \"reader\"\nclaim = \"reader\"\n";
    let policy = policy(&format!("{reader}{DENY}"));
    let told = |claims: &[&str]| -> Vec<_> {
        let caller = caller("bob", claims);
        let denied = policy.denied_to_all(&caller).into_iter();
        let tell = |it: Denied<'_>| match it.what {
            What::Upstreams(pattern) => (it.rule, pattern.to_string()),
            What::Rpcs(pattern) => (it.rule, pattern.to_owned()),
        };
        denied.map(tell).collect()
    };
    let rules = |claims| told(claims).into_iter().map(|it| it.0).collect::<Vec<_>>();
    let rpcs = ["deny.rpcs[0]", "deny.rpcs[1]", "deny.rpcs[2]"];
    assert_eq!(rules(&[]), rpcs);
    assert_eq!(rules(&["reader"])[0], "deny.upstreams[0]");
    assert_eq!(rules(&["reader"])[1..], rpcs);
    assert_eq!(told(&["reader"])[0].1, "datadog/eu");
    assert_eq!(told(&["reader"])[3].1, "*Service/Revoke*");
}

#[test]
fn empty_lists_deny_nothing() {
    let empty = "[deny]\nsubjects = []\ntoken_ids = []\nissuers = []\nupstreams = []\nrpcs = []\n";
    for deny in ["", "[deny]\n", empty] {
        let policy = policy(&format!("{ALL}{deny}"));
        assert!(
            policy
                .authorize(&caller("bob", &[]), operation(LIST), None)
                .is_ok()
        );
    }
}

#[test]
fn every_fault_is_told_with_its_line_and_path() {
    let text = r#"[deny]
subjects = ["a", 5]
token_ids = "4f0c"
issuers = [""]
upstreams = ["datadog/us9"]
rpcs = [
  "ApiKeyService/ListApiKeys",
  "ApiKeyService/ListApiKey",
  "ListApiKeys",
  "keygate.datadog.v2.ApiKeyService",
  "keygate.nothing/*",
  7,
]
rpc = ["x"]
"#;
    let faults = Policy::parse(text, &CONTRACT).unwrap_err();
    let expected = r#"the settings have 10 faults:
  deny.subjects[1] (line 2): this is a whole number, and must be a string
  deny.token_ids (line 3): this is a string, and must be an array
  deny.issuers[0] (line 4): this must not be empty
  deny.upstreams[0] (line 5): "datadog/us9" names no known site; known are `us1`, `us3`, `us5`, `eu`, `ap1`, `ap2`, `uk1`, `us1-fed`, `us2-fed`
  deny.rpcs[1] (line 8): there is no RPC "ApiKeyService/ListApiKey"; did you mean "ApiKeyService/ListApiKeys"?
  deny.rpcs[2] (line 9): there is no RPC "ListApiKeys"; for that of every service write "*/ListApiKeys"
  deny.rpcs[3] (line 10): there is no RPC "keygate.datadog.v2.ApiKeyService"; for all of that service write "keygate.datadog.v2.ApiKeyService/*"
  deny.rpcs[4] (line 11): there is no RPC "keygate.nothing/*"; `keygate permissions` lists them
  deny.rpcs[5] (line 12): this is a whole number, and must be a string
  deny.rpc (line 14): there is no such setting; did you mean `rpcs`?"#;
    assert_eq!(faults.to_string(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_another_policy_denies_is_denied_too_and_nothing_else_changes(
        one in text(), other in text(), call in call(),
    ) {
        let (one, other) = (Arc::new(one.policy()), other.policy());
        let both = one.denying(&other, &CONTRACT);
        // the same as if the entries stood in one file, whoever grants what
        let method = operation(call.method);
        let upstream = call.upstream.as_deref();
        let decide = |it: &Policy| it.authorize(&call.caller, method, upstream);
        let denies = |it: &Policy| match decide(it) {
            Err(denial) => denial.rule.starts_with("deny."),
            Ok(_) => false,
        };
        prop_assert_eq!(denies(&both), denies(&one) || denies(&other));
        if !denies(&both) {
            prop_assert_eq!(decide(&both).map(|it| it.rule()), decide(&one).map(|it| it.rule()));
            prop_assert_eq!(both.explain(&Question {
                caller: &call.caller,
                operation: method,
                upstreams: call.upstream.as_slice(),
                touch: None,
            }).permitted, decide(&one).is_ok());
        }
        let back = [both.base(), both.denying(&one, &CONTRACT)];
        prop_assert!(back.iter().all(|it| it.version() == one.version()));
    }
}
