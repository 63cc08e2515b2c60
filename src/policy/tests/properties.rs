//! What holds of every policy: a grant never takes access away, narrowing a role
//! never widens it, an explanation is the decision.

use std::fmt::Write as _;

use proptest::{prelude::*, sample};

use super::*;

#[derive(Clone, Debug)]
struct RoleText {
    permissions: Vec<String>,
    upstreams: Option<Vec<String>>,
    names: Option<Vec<String>>,
    any: bool,
    reveal: bool,
    max_scopes: Vec<String>,
    allow_unscoped: bool,
}

#[derive(Clone, Debug)]
struct GrantText {
    role: usize,
    by: (&'static str, String),
    issuer: Option<String>,
    certificate: Option<String>,
}

/// A question, and all that a gateway would ask of the permit.
#[derive(Clone, Debug)]
struct Call {
    caller: Caller,
    method: &'static str,
    upstream: Option<String>,
    name: Option<String>,
    own: bool,
    new_name: Option<String>,
    scopes: Option<Option<Vec<String>>>,
}

fn some(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(word(words), 1..=most)
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    sample::select(words).prop_map(str::to_owned)
}

const PERMISSIONS: &[&str] = &["*", "api_keys_read", "api_keys_write", "user_app_keys"];
const UPSTREAMS: &[&str] = &[
    "*",
    "datadog/*",
    "datadog/us1",
    "datadog/*/main",
    "coveo/us",
];
const NAMES: &[&str] = &["*", "a-*", "*-x", "a-x", "b*"];
const SCOPES: &[&str] = &["*", "metrics_*", "metrics_read", "logs_read"];
const CERTIFICATES: &[&str] = &["*", "spiffe://a/*", "spiffe://*/x", "*.Example.org"];
const CERTIFICATE_NAMES: &[&str] = &["spiffe://a/x", "spiffe://b/x", "www.example.org"];
const METHODS: &[&str] = &[LIST, CREATE, LIST_TOKENS, WHO_AM_I];

fn role() -> impl Strategy<Value = RoleText> {
    (
        some(PERMISSIONS, 2),
        prop::option::of(some(UPSTREAMS, 2)),
        prop::option::of(some(NAMES, 2)),
        any::<(bool, bool, bool)>(),
        prop::collection::vec(word(SCOPES), 0..3),
    )
        .prop_map(
            |(permissions, upstreams, names, flags, max_scopes)| RoleText {
                permissions,
                upstreams,
                names,
                any: flags.0,
                reveal: flags.1,
                allow_unscoped: flags.2,
                max_scopes,
            },
        )
}

fn grant() -> impl Strategy<Value = GrantText> {
    let by = prop_oneof![
        word(&["one", "two"]).prop_map(|it| ("claim", it)),
        word(&["*", "bob", "b*", "al*e", "alice"]).prop_map(|it| ("subject", it)),
    ];
    let issuer = prop::option::weighted(0.3, word(&["https://issuer.example", "https://b"]));
    let certificate = prop::option::weighted(0.3, word(CERTIFICATES));
    (0..3_usize, by, issuer, certificate).prop_map(|(role, by, issuer, certificate)| GrantText {
        role,
        by,
        issuer,
        certificate,
    })
}

fn call() -> impl Strategy<Value = Call> {
    let names = || prop::option::of(word(&["a-x", "a-y", "b-x", "c"]));
    let scopes = prop::collection::vec(word(&["metrics_read", "metrics_write", "logs_read"]), 0..3);
    let upstreams = word(&["datadog/us1/main", "datadog/eu/other", "coveo/us/org"]);
    (
        word(&["bob", "alice", "eve"]),
        prop::collection::vec(sample::select(&["one", "two", "three"][..]), 0..3),
        sample::select(METHODS),
        prop::option::of(upstreams),
        (names(), any::<bool>(), names()),
        prop::option::of(prop::option::of(scopes)),
        prop::collection::vec(word(CERTIFICATE_NAMES), 0..3),
    )
        .prop_map(
            |(subject, claims, method, upstream, (name, own, new_name), scopes, names)| Call {
                caller: Caller {
                    certificate_names: names.into(),
                    ..caller(&subject, &claims)
                },
                method,
                upstream,
                name,
                own,
                new_name,
                scopes,
            },
        )
}

fn parse(roles: &[RoleText], grants: &[GrantText]) -> Policy {
    let mut text = String::new();
    for (at, it) in roles.iter().enumerate() {
        writeln!(text, "[roles.r{at}]\npermissions = {:?}", it.permissions).unwrap();
        for (key, list) in [("upstreams", &it.upstreams), ("names", &it.names)] {
            if let Some(list) = list {
                writeln!(text, "{key} = {list:?}").unwrap();
            }
        }
        let keys = if it.any { "any" } else { "own" };
        writeln!(text, "keys = \"{keys}\"\nreveal = {}", it.reveal).unwrap();
        writeln!(text, "max_scopes = {:?}", it.max_scopes).unwrap();
        writeln!(text, "allow_unscoped = {}", it.allow_unscoped).unwrap();
    }
    for it in grants {
        let (kind, value) = &it.by;
        writeln!(
            text,
            "[[grants]]\nrole = \"r{}\"\n{kind} = {value:?}",
            it.role
        )
        .unwrap();
        if let Some(issuer) = &it.issuer {
            writeln!(text, "issuer = {issuer:?}").unwrap();
        }
        if let Some(certificate) = &it.certificate {
            writeln!(text, "certificate = {certificate:?}").unwrap();
        }
    }
    policy(&text)
}

/// Every answer that the policy gives about a call: true is access.
fn answers(policy: &Policy, call: &Call) -> [bool; 6] {
    let upstream = call.upstream.as_deref();
    let permit = policy.authorize(&call.caller, operation(call.method), upstream);
    let reaches = upstream.is_some_and(|it| policy.reaches(&call.caller, it));
    let Ok(permit) = permit else {
        return [false, reaches, false, false, false, false];
    };
    let key = Key {
        name: call.name.as_deref(),
        own: call.own,
    };
    let scopes = match &call.scopes {
        None => ScopeRequest::Unchanged,
        Some(None) => ScopeRequest::Unscoped,
        Some(Some(list)) => ScopeRequest::Scopes(list),
    };
    let new_name = call.new_name.as_deref();
    [
        true,
        reaches,
        permit.check_key(&key).is_ok(),
        permit.check_create(call.name.as_deref(), scopes).is_ok(),
        permit.check_change(&key, new_name, scopes).is_ok(),
        permit.reveals(&key),
    ]
}

fn within(less: [bool; 6], more: [bool; 6]) -> bool {
    less.into_iter().zip(more).all(|(less, more)| !less || more)
}

/// The same role with one thing less.
fn narrowed(role: &RoleText, way: usize) -> RoleText {
    let mut it = role.clone();
    match way {
        0 if it.permissions.len() > 1 => it.permissions.truncate(1),
        0 => it.permissions = vec!["api_keys_read".to_owned()],
        1 => match &mut it.upstreams {
            Some(list) if list.len() > 1 => list.truncate(1),
            None => it.upstreams = Some(vec!["datadog/us1".to_owned()]),
            Some(_) => {}
        },
        2 => match &mut it.names {
            Some(list) if list.len() > 1 => list.truncate(1),
            None => it.names = Some(vec!["a-*".to_owned()]),
            Some(_) => {}
        },
        3 => it.any = false,
        4 => it.reveal = false,
        5 => drop(it.max_scopes.pop()),
        _ => it.allow_unscoped = false,
    }
    // One permission in place of another is not less.
    if way == 0 && role.permissions.len() == 1 && role.permissions[0] != "*" {
        it.permissions.clone_from(&role.permissions);
    }
    it
}

fn roles() -> impl Strategy<Value = Vec<RoleText>> {
    prop::collection::vec(role(), 3)
}

fn grants() -> impl Strategy<Value = Vec<GrantText>> {
    prop::collection::vec(grant(), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_grant_never_takes_access_away(
        roles in roles(), grants in grants(), more in grant(), at: sample::Index, call in call(),
    ) {
        let before = answers(&parse(&roles, &grants), &call);
        let mut grown = grants;
        grown.insert(at.index(grown.len() + 1), more);
        prop_assert!(within(before, answers(&parse(&roles, &grown), &call)));
    }

    #[test]
    fn narrowing_never_widens(
        roles in roles(), grants in grants(), at in 0..3_usize, way in 0..7_usize, call in call(),
    ) {
        let before = answers(&parse(&roles, &grants), &call);
        let mut less = roles;
        less[at] = narrowed(&less[at], way);
        prop_assert!(within(answers(&parse(&less, &grants), &call), before));
    }

    #[test]
    fn narrowing_a_grant_never_widens(
        roles in roles(), grants in prop::collection::vec(grant(), 1..5), at: sample::Index,
        certificate in word(CERTIFICATES), call in call(),
    ) {
        let before = answers(&parse(&roles, &grants), &call);
        let mut less = grants;
        let at = at.index(less.len());
        let grant = less[at].clone();
        less[at].issuer.get_or_insert_with(|| "https://b".to_owned());
        prop_assert!(within(answers(&parse(&roles, &less), &call), before));
        less[at] = grant;
        less[at].certificate.get_or_insert(certificate);
        prop_assert!(within(answers(&parse(&roles, &less), &call), before));
    }

    #[test]
    fn a_certificate_never_takes_access_away(
        roles in roles(), grants in grants(), name in word(CERTIFICATE_NAMES), call in call(),
    ) {
        let policy = parse(&roles, &grants);
        let mut more = call.clone();
        let names = call.caller.certificate_names.iter().cloned();
        more.caller.certificate_names = names.chain([name]).collect();
        prop_assert!(within(answers(&policy, &call), answers(&policy, &more)));
    }

    #[test]
    fn an_explanation_is_the_decision(roles in roles(), grants in grants(), call in call()) {
        let policy = parse(&roles, &grants);
        let (operation, upstream) = (operation(call.method), call.upstream.as_deref());
        let said = policy.explain(&call.caller, operation, upstream);
        match policy.authorize(&call.caller, operation, upstream) {
            Ok(permit) => {
                prop_assert!(said.permitted && said.missing.is_empty());
                prop_assert_eq!(said.rule, permit.rule());
            }
            Err(denial) => {
                prop_assert!(!said.permitted);
                prop_assert_eq!((said.rule, said.missing), (denial.rule, denial.missing));
            }
        }
    }

    #[test]
    fn what_need_not_be_known_does_not_matter(
        roles in roles(), grants in grants(), call in call(), name in "[abc]-[xy]",
    ) {
        let policy = parse(&roles, &grants);
        let upstream = call.upstream.as_deref();
        // Where there is no permit, there is nothing more to be asked.
        let Ok(permit) = policy.authorize(&call.caller, operation(call.method), upstream) else {
            return Ok(());
        };
        let mut other = call.clone();
        if !permit.needs_owner() {
            other.own = !call.own;
            prop_assert_eq!(answers(&policy, &call), answers(&policy, &other));
        }
        if !permit.needs_name() {
            other.name = Some(name);
            prop_assert_eq!(answers(&policy, &call), answers(&policy, &other));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", cut: sample::Index) {
        let _ = Policy::parse(&text, &CONTRACT);
        let _ = Policy::parse(&TEAM[..cut.index(TEAM.len())], &CONTRACT);
    }
}
