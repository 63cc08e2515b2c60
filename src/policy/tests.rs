//! What a policy file says, and what then holds.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, UNIX_EPOCH},
};

use super::*;
use crate::{clock::Clock, contract::Contract};

mod properties;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::load().unwrap());

fn policy(text: &str) -> Policy {
    Policy::parse(text, &CONTRACT).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

fn operation(method: &str) -> &'static Operation {
    CONTRACT.operation(method).unwrap()
}

const LIST: &str = "keygate.datadog.v2.ApiKeyService/ListApiKeys";
const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
const LIST_TOKENS: &str = "keygate.datadog.v2.PersonalAccessTokenService/ListPersonalAccessTokens";
const WHO_AM_I: &str = "keygate.access.v1.AccessService/WhoAmI";

fn caller(subject: &str, claims: &[&str]) -> Caller {
    Caller {
        issuer: "https://issuer.example".to_owned(),
        subject: subject.to_owned(),
        claims: claims.iter().map(|it| (*it).to_owned()).collect(),
        token_id: None,
        expires_at: UNIX_EPOCH + Duration::from_secs(1),
    }
}

const TEAM: &str = r#"
[roles.reader]
permissions = ["api_keys_read", "org_app_keys_read"]

[roles.payments]
permissions = ["api_keys_read", "api_keys_write", "user_app_keys"]
upstreams = ["datadog/us1/main", "datadog/eu"]
names = ["payments-*"]
keys = "any"
max_scopes = ["metrics_*"]

[roles.auditor]
permissions = ["keygate_audit_read"]

[[grants]]
role = "reader"
claim = "reader"

[[grants]]
role = "payments"
subject = "system:serviceaccount:payments:*"
issuer = "https://issuer.example"

[[grants]]
role = "auditor"
subject = "alice"

[[grants]]
role = "reader"
subject = "*:payments:worker"
"#;

#[test]
fn what_is_not_granted_is_denied() {
    let policy = policy(TEAM);
    let denied = |caller: &Caller, method, upstream| {
        let answer = policy.authorize(caller, operation(method), upstream);
        answer.map(|it| it.rule().to_owned()).unwrap_err()
    };
    let nobody = caller("bob", &["Reader", "read", "readers"]);
    let denial = denied(&nobody, LIST, Some("datadog/us1/main"));
    assert_eq!(denial.rule, "no grant fits the caller");
    assert_eq!(denial.missing, ["api_keys_read"]);

    let alice = caller("alice", &["reader"]);
    let denial = denied(&alice, CREATE, None);
    let rule = "no role of the caller (reader, auditor) has api_keys_write";
    assert_eq!(denial.rule, rule);
    assert_eq!(denial.missing, ["api_keys_write"]);

    let payments = caller("system:serviceaccount:payments:api", &[]);
    let denial = denied(&payments, CREATE, Some("datadog/us1/other"));
    assert_eq!(denial.rule, "outside roles.payments.upstreams");
    let denial = denied(&payments, CREATE, Some("coveo/us/org"));
    assert_eq!(denial.rule, "the upstream is not one of datadog");
    let denial = denied(&caller("bob", &[]), LIST_TOKENS, None);
    assert_eq!(denial.missing, ["user_app_keys", "org_app_keys_read"]);

    let mut stranger = payments;
    stranger.issuer = "https://issuer.example/".to_owned();
    assert!(
        policy
            .authorize(&stranger, operation(CREATE), None)
            .is_err()
    );
}

#[test]
fn the_first_grant_that_fits_is_the_rule() {
    let policy = policy(TEAM);
    let worker = caller("system:serviceaccount:payments:worker", &[]);
    let permit = policy
        .authorize(&worker, operation(LIST), Some("datadog/us1/main"))
        .unwrap();
    assert_eq!(permit.rule(), "grants[1] roles.payments");
    assert_eq!(permit.permission(), Some("api_keys_read"));
    assert_eq!(permit.policy_version(), policy.version());
    assert_eq!(permit.roles().count(), 2);
    let permit = policy
        .authorize(&worker, operation(LIST), Some("datadog/us3/main"))
        .unwrap();
    assert_eq!(permit.rule(), "grants[3] roles.reader");
    let permit = policy
        .authorize(&caller("x", &["reader"]), operation(LIST_TOKENS), None)
        .unwrap();
    assert_eq!(permit.permission(), Some("org_app_keys_read"));
}

#[test]
fn keygate_has_permissions_of_its_own() {
    let policy = policy(TEAM);
    let alice = caller("alice", &[]);
    let permit = policy.holds(&alice, AUDIT_READ).unwrap();
    assert_eq!(permit.rule(), "grants[2] roles.auditor");
    assert_eq!(
        policy.holds(&alice, ACCESS_READ).unwrap_err().missing,
        [ACCESS_READ]
    );
    let anybody = policy.authorize(&caller("bob", &[]), operation(WHO_AM_I), None);
    assert_eq!(anybody.unwrap().rule(), "any caller");
}

#[test]
fn a_caller_is_told_what_they_hold() {
    let policy = policy(TEAM);
    let worker = caller("system:serviceaccount:payments:worker", &["reader"]);
    let held: Vec<_> = policy
        .roles_of(&worker)
        .map(|it| (it.role.name().to_owned(), it.grants))
        .collect();
    let expected = [
        ("reader".to_owned(), vec![0, 3]),
        ("payments".to_owned(), vec![1]),
    ];
    assert_eq!(held, expected);
    assert!(policy.reaches(&worker, "datadog/us5/main"));
    let payments = caller("system:serviceaccount:payments:api", &[]);
    assert!(policy.reaches(&payments, "datadog/us1/main"));
    assert!(!policy.reaches(&payments, "datadog/us1/other"));
    assert!(!policy.reaches(&caller("alice", &[]), "datadog/us1/main"));
    assert!(!policy.reaches(&caller("bob", &[]), "datadog/us1/main"));
}

#[test]
fn limits_hold_together_and_not_apart() {
    let policy = policy(
        r#"
        [roles.a]
        permissions = ["user_app_keys"]
        names = ["a-*"]
        keys = "any"
        max_scopes = ["metrics_read"]
        [roles.b]
        permissions = ["user_app_keys"]
        names = ["b-*"]
        reveal = true
        allow_unscoped = true
        [[grants]]
        role = "a"
        claim = "x"
        [[grants]]
        role = "b"
        claim = "x"
        "#,
    );
    let permit = policy
        .holds(&caller("bob", &["x"]), "user_app_keys")
        .unwrap();
    let scopes = ["metrics_read".to_owned()];
    let (scoped, none) = (ScopeRequest::Scopes(&scopes), ScopeRequest::Scopes(&[]));
    let unscoped = ScopeRequest::Unscoped;
    let key = |name, own| Key {
        name: Some(name),
        own,
    };

    assert!(permit.check_create(Some("a-1"), scoped).is_ok());
    assert!(permit.check_create(Some("a-1"), none).is_ok());
    assert!(permit.check_create(Some("b-1"), unscoped).is_ok());
    let denial = permit.check_create(Some("a-1"), unscoped).unwrap_err();
    assert_eq!(denial.rule, "outside roles.a.allow_unscoped, roles.b.names");
    assert_eq!(denial.missing, ["user_app_keys"]);
    let denial = permit.check_create(Some("b-1"), scoped).unwrap_err();
    assert_eq!(denial.rule, "outside roles.a.names, roles.b.max_scopes");
    assert!(permit.check_create(None, none).is_err());

    assert!(permit.check_key(&key("a-1", false)).is_ok());
    assert!(permit.check_key(&key("b-1", true)).is_ok());
    let denial = permit.check_key(&key("b-1", false)).unwrap_err();
    assert_eq!(denial.rule, "outside roles.a.names, roles.b.keys");
    let nameless = Key {
        name: None,
        own: true,
    };
    assert!(permit.check_key(&nameless).is_err());

    let same = ScopeRequest::Unchanged;
    assert!(
        permit
            .check_change(&key("b-1", true), Some("b-2"), same)
            .is_ok()
    );
    assert!(
        permit
            .check_change(&key("b-1", true), Some("a-2"), same)
            .is_err()
    );
    assert!(
        permit
            .check_change(&key("a-1", true), Some("b-2"), same)
            .is_err()
    );
    assert!(
        permit
            .check_change(&key("a-1", true), None, unscoped)
            .is_err()
    );

    assert!(permit.reveals(&key("b-1", true)));
    assert!(!permit.reveals(&key("b-1", false)) && !permit.reveals(&key("a-1", true)));
    assert!(permit.needs_owner() && permit.needs_name());
}

#[test]
fn defaults_are_narrow() {
    let policy =
        policy("[roles.x]\npermissions = [\"*\"]\n[[grants]]\nrole = \"x\"\nsubject = \"bob\"");
    let permit = policy
        .authorize(
            &caller("bob", &[]),
            operation(CREATE),
            Some("datadog/us1/main"),
        )
        .unwrap();
    let key = |own| Key { name: None, own };
    assert!(permit.check_key(&key(true)).is_ok() && permit.check_key(&key(false)).is_err());
    assert!(!permit.reveals(&key(true)));
    assert!(
        permit
            .check_create(None, ScopeRequest::NotApplicable)
            .is_ok()
    );
    assert!(permit.check_create(None, ScopeRequest::Unscoped).is_err());
    let scopes = ["metrics_read".to_owned()];
    assert!(
        permit
            .check_create(None, ScopeRequest::Scopes(&scopes))
            .is_err()
    );
    assert!(permit.needs_owner() && !permit.needs_name());
}

#[test]
fn every_fault_is_told_with_its_line_and_path() {
    let text = r#"[roles.key-admin]
permissions = ["api_keys_read", "api_keys_raed", "api_keys_*"]
upstreams = ["datadog/us9", 5]
nams = ["x"]
keys = "all"
reveal = "yes"
names = []

[roles."no permissions"]
upstreams = "*"

[[grants]]
role = "key-admni"
claim = "admin"

[[grants]]
role = "key-admin"

[[grants]]
role = "key-admin"
claim = "admin"
subject = ""
isuer = "https://issuer.example"

[[grants]]
claim = 5

[rules]
"#;
    let faults = Policy::parse(text, &CONTRACT).unwrap_err();
    let expected = r#"line 2: roles.key-admin.permissions[1]: there is no permission "api_keys_raed"; did you mean "api_keys_read"?
line 2: roles.key-admin.permissions[2]: there is no permission "api_keys_*"; only "*" by itself stands for several
line 3: roles.key-admin.upstreams[1]: must be a text in quotes, and is of type integer
line 3: roles.key-admin.upstreams[0]: "datadog/us9" names no known site; known are us1, us3, us5, eu, ap1, ap2, uk1, us1-fed, us2-fed
line 4: roles.key-admin.nams: unknown key; did you mean "names"?
line 5: roles.key-admin.keys: must be "own" (keys that the caller made here) or "any"
line 6: roles.key-admin.reveal: must be true or false, and is of type string
line 7: roles.key-admin.names: is empty, so that nothing would fit; for all write ["*"], or leave it out
line 9: roles."no permissions": the role has no `permissions`, so that it can't permit anything
line 10: roles."no permissions".upstreams: must be a list, and is of type string
line 13: grants[0].role: there is no role "key-admni" in this file; did you mean "key-admin"?
line 16: grants[1]: the grant has neither `claim` nor `subject`, so that nobody would get the role; for every caller write subject = "*"
line 19: grants[2]: the grant has both `claim` and `subject`; write two grants, as a caller who fits one of them would get the role
line 22: grants[2].subject: is empty
line 23: grants[2].isuer: unknown key; did you mean "issuer"?
line 25: grants[3]: the grant has no `role`
line 26: grants[3].claim: must be a text in quotes, and is of type integer
line 28: rules: unknown key; did you mean "roles"?"#;
    assert_eq!(faults.to_string(), expected);
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line() {
    let text = "[roles.x]\npermissions = [\n\n[[grants]\nrole = x\n[roles.x]\n";
    let faults = Policy::parse(text, &CONTRACT).unwrap_err();
    assert!(faults.0.len() > 1, "{faults}");
    assert!(faults.0.iter().all(|it| it.path.is_empty() && it.line > 1));
    let twice = Policy::parse(
        "[roles.x]\npermissions = [\"*\"]\npermissions = []",
        &CONTRACT,
    );
    let twice = twice.unwrap_err().to_string();
    assert!(twice.starts_with("line 3: "), "{twice}");
}

#[test]
fn the_live_policy_is_replaced_as_a_whole() {
    let live = Live::new(policy(TEAM));
    let (before, other) = (live.current(), live.clone());
    other.replace(policy(""));
    assert_eq!(before.version().len(), 64);
    assert_ne!(before.version(), live.current().version());
    assert_eq!(live.current().roles().count(), 0);
}

#[test]
fn many_grants_cost_little() {
    let mut text = TEAM.to_owned();
    for number in 0..10_000 {
        text += &format!("[[grants]]\nrole = \"reader\"\nclaim = \"team-{number}\"\n");
    }
    let policy = policy(&text);
    let (caller, operation) = (caller("bob", &["team-9999"]), operation(LIST));
    let start: Instant = Clock::system().instant();
    for _ in 0..1000 {
        assert!(
            policy
                .authorize(&caller, operation, Some("datadog/us1/main"))
                .is_ok()
        );
    }
    let each = start.elapsed() / 1000;
    println!("{each:?} a decision");
    assert!(each < Duration::from_micros(500), "{each:?}");
}
