//! What a policy file says, and what then holds.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, UNIX_EPOCH},
};

use super::*;
use crate::{clock::Clock, contract::Contract, settings::Fault};

mod certificates;
mod deny;
mod fuzz;
mod hostile;
mod properties;
mod random;
mod referee;

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
        certificate_names: Arc::default(),
    }
}

/// Making a key.
fn making<'a>(name: Option<&'a str>, scopes: ScopeRequest<'a>) -> Touch<'a> {
    Touch {
        key: None,
        name,
        scopes,
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
        answer.map(|it| it.rule()).unwrap_err()
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

    let create = |name, scopes| permit.check(&making(name, scopes));
    let decided = |rule: &str| Ok(rule.to_owned());
    let (by_a, by_b) = (decided("grants[0] roles.a"), decided("grants[1] roles.b"));

    assert_eq!(create(Some("a-1"), scoped), by_a);
    assert_eq!(create(Some("a-1"), none), by_a);
    assert_eq!(create(Some("b-1"), unscoped), by_b);
    let denial = create(Some("a-1"), unscoped).unwrap_err();
    assert_eq!(denial.rule, "outside roles.a.allow_unscoped, roles.b.names");
    assert_eq!(denial.missing, ["user_app_keys"]);
    let denial = create(Some("b-1"), scoped).unwrap_err();
    assert_eq!(denial.rule, "outside roles.a.names, roles.b.max_scopes");
    assert!(create(None, none).is_err());

    let touch = |it| permit.check(&Touch::of(it));
    assert_eq!(touch(key("a-1", false)), by_a);
    assert_eq!(touch(key("b-1", true)), by_b);
    let denial = touch(key("b-1", false)).unwrap_err();
    assert_eq!(denial.rule, "outside roles.a.names, roles.b.keys");
    let nameless = Key {
        name: None,
        own: true,
    };
    assert!(touch(nameless).is_err() && !permit.reaches(&nameless));

    let change = |it, name, scopes| {
        permit.check(&Touch {
            key: Some(it),
            ..making(name, scopes)
        })
    };
    assert_eq!(change(key("b-1", true), Some("b-2"), unscoped), by_b);
    assert!(change(key("b-1", true), Some("a-2"), none).is_err());
    assert!(change(key("a-1", true), Some("b-2"), none).is_err());
    // what it keeps counts as what it is given
    assert!(change(key("a-1", true), None, unscoped).is_err());
    assert_eq!(change(key("a-1", true), None, scoped), by_a);

    assert!(permit.reveals(&key("b-1", true)));
    assert!(!permit.reveals(&key("b-1", false)) && !permit.reveals(&key("a-1", true)));
    assert!(permit.needs_owner() && permit.needs_name() && permit.needs_scopes());
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
    assert!(permit.reaches(&key(true)) && !permit.reaches(&key(false)));
    assert!(!permit.reveals(&key(true)));
    let create = |scopes| permit.check(&making(None, scopes)).is_ok();
    assert!(create(ScopeRequest::NotApplicable) && !create(ScopeRequest::Unscoped));
    let scopes = ["metrics_read".to_owned()];
    assert!(!create(ScopeRequest::Scopes(&scopes)) && create(ScopeRequest::Scopes(&[])));
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
    let expected = r#"the settings have 18 faults:
  roles.key-admin.permissions[1] (line 2): there is no permission "api_keys_raed"; did you mean "api_keys_read"?
  roles.key-admin.permissions[2] (line 2): there is no permission "api_keys_*"; only "*" by itself stands for several
  roles.key-admin.upstreams[0] (line 3): "datadog/us9" names no known site; known are `us1`, `us3`, `us5`, `eu`, `ap1`, `ap2`, `uk1`, `us1-fed`, `us2-fed`
  roles.key-admin.upstreams[1] (line 3): this is a whole number, and must be a string
  roles.key-admin.nams (line 4): there is no such setting; did you mean `names`?
  roles.key-admin.keys (line 5): this must be "own" (keys that the caller made here) or "any"
  roles.key-admin.reveal (line 6): this is a string, and must be true or false
  roles.key-admin.names (line 7): this is empty, so that nothing would fit; for all write ["*"], or leave it out
  roles."no permissions" (line 9): the role has no `permissions`, so that it can't permit anything
  roles."no permissions".upstreams (line 10): this is a string, and must be an array
  grants[0].role (line 13): there is no role "key-admni" in this file; did you mean "key-admin"?
  grants[1] (line 16): the grant has neither `claim` nor `subject`, so that nobody would get the role; for every caller write subject = "*"
  grants[2] (line 19): the grant has both `claim` and `subject`; write two grants, as a caller who fits one of them would get the role
  grants[2].subject (line 22): this must not be empty
  grants[2].isuer (line 23): there is no such setting; did you mean `issuer`?
  grants[3].role (line 25): this is missing, and has no default
  grants[3].claim (line 26): this is a whole number, and must be a string
  rules (line 28): there is no such setting; did you mean `roles`?"#;
    assert_eq!(faults.to_string(), expected);

    let text = "[[roles]]\npermissions = []\n[grants]\nrole = \"x\"\n";
    let faults = Policy::parse(text, &CONTRACT).unwrap_err();
    let expected = "the settings have 2 faults:
  roles (line 1): this is an array, and must be a table
  grants (line 3): this is a table, and must be an array: write `[[grants]]`";
    assert_eq!(faults.to_string(), expected);
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line() {
    let text = "[roles.x]\npermissions = [\n\n[[grants]\nrole = x\n[roles.x]\n";
    let faults = Policy::parse(text, &CONTRACT).unwrap_err();
    assert!(faults.0.len() > 1, "{faults}");
    let has_line = |it: &Fault| it.path.is_empty() && it.line.is_some_and(|line| line > 1);
    assert!(faults.0.iter().all(has_line), "{faults}");
    let twice = Policy::parse(
        "[roles.x]\npermissions = [\"*\"]\npermissions = []",
        &CONTRACT,
    );
    let twice = twice.unwrap_err().0[0].to_string();
    assert!(twice.starts_with("line 3: "), "{twice}");
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
