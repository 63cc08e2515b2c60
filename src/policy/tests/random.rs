//! Random policies, and random questions to them.

use std::fmt::Write as _;

use proptest::{prelude::*, sample};

use super::*;

/// A policy, part by part.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) roles: Vec<RoleText>,
    pub(super) grants: Vec<GrantText>,
    pub(super) deny: Vec<DenyText>,
}

#[derive(Clone, Debug)]
pub(super) struct RoleText {
    pub(super) permissions: Vec<String>,
    pub(super) upstreams: Option<Vec<String>>,
    pub(super) names: Option<Vec<String>>,
    pub(super) any: bool,
    pub(super) reveal: bool,
    pub(super) max_scopes: Vec<String>,
    pub(super) allow_unscoped: bool,
}

#[derive(Clone, Debug)]
pub(super) struct GrantText {
    pub(super) role: usize,
    pub(super) by: (&'static str, String),
    pub(super) issuer: Option<String>,
    pub(super) certificate: Option<String>,
}

/// A list of `[deny]`, and a pattern in it.
pub(super) type DenyText = (&'static str, String);

/// A question, and all that a gateway would ask of the permit.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) method: &'static str,
    pub(super) upstream: Option<String>,
    pub(super) name: Option<String>,
    pub(super) own: bool,
    pub(super) new_name: Option<String>,
    /// `None`: unscoped.
    pub(super) scopes: Option<Vec<String>>,
}

impl Call {
    pub(super) fn scopes(&self) -> ScopeRequest<'_> {
        match &self.scopes {
            None => ScopeRequest::Unscoped,
            Some(list) => ScopeRequest::Scopes(list),
        }
    }

    pub(super) fn key(&self) -> Key<'_> {
        Key {
            name: self.name.as_deref(),
            own: self.own,
        }
    }

    /// A change of the key.
    pub(super) fn change(&self) -> Touch<'_> {
        Touch {
            key: Some(self.key()),
            ..making(self.new_name.as_deref(), self.scopes())
        }
    }

    /// The same key, made.
    pub(super) fn creation(&self) -> Touch<'_> {
        making(self.name.as_deref(), self.scopes())
    }
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
const SUBJECTS: &[&str] = &["*", "bob", "b*", "al*e", "alice"];
const ISSUERS: &[&str] = &["https://issuer.example", "https://b"];

fn some(words: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(word(words), 1..=most)
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    sample::select(words).prop_map(str::to_owned)
}

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

pub(super) fn grant() -> impl Strategy<Value = GrantText> {
    let by = prop_oneof![
        word(&["one", "two"]).prop_map(|it| ("claim", it)),
        word(SUBJECTS).prop_map(|it| ("subject", it)),
    ];
    let issuer = prop::option::weighted(0.3, word(ISSUERS));
    let certificate = prop::option::weighted(0.3, word(CERTIFICATES));
    let grant = (0..3_usize, by, issuer, certificate);
    grant.prop_map(|(role, by, issuer, certificate)| GrantText {
        role,
        by,
        issuer,
        certificate,
    })
}

pub(super) fn deny() -> impl Strategy<Value = DenyText> {
    let entry = |list: &'static str, words| word(words).prop_map(move |it| (list, it));
    prop_oneof![
        entry("subjects", &SUBJECTS[1..]),
        entry("token_ids", &["t-1", "t-*"]),
        entry("issuers", &["https://b", "https://issuer.*"]),
        entry("upstreams", UPSTREAMS),
        entry(
            "rpcs",
            &[
                LIST,
                "ApiKeyService/CreateApiKey",
                "*/List*",
                "keygate.access.*",
                "*",
            ]
        ),
    ]
}

pub(super) fn text() -> impl Strategy<Value = Text> {
    let roles = prop::collection::vec(role(), 3);
    let grants = prop::collection::vec(grant(), 0..5);
    let deny = prop::collection::vec(deny(), 0..2);
    (roles, grants, deny).prop_map(|(roles, grants, deny)| Text {
        roles,
        grants,
        deny,
    })
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let names = || prop::option::of(word(&["a-x", "a-y", "b-x", "c"]));
    let scopes = prop::collection::vec(word(&["metrics_read", "metrics_write", "logs_read"]), 0..3);
    let upstreams = word(&["datadog/us1/main", "datadog/eu/other", "coveo/us/org"]);
    let caller = (
        word(&["bob", "alice", "eve"]),
        prop::collection::vec(sample::select(&["one", "two", "three"][..]), 0..3),
        prop::option::of(word(&["t-1", "t-2", "u"])),
        prop::collection::vec(word(CERTIFICATE_NAMES), 0..3),
    );
    let caller = caller.prop_map(|(subject, claims, token_id, names)| Caller {
        token_id,
        certificate_names: names.into(),
        ..super::caller(&subject, &claims)
    });
    (
        caller,
        sample::select(METHODS),
        prop::option::of(upstreams),
        (names(), any::<bool>(), names()),
        prop::option::of(scopes),
    )
        .prop_map(
            |(caller, method, upstream, (name, own, new_name), scopes)| Call {
                caller,
                method,
                upstream,
                name,
                own,
                new_name,
                scopes,
            },
        )
}

impl Text {
    pub(super) fn write(&self) -> String {
        let mut text = String::new();
        for (at, it) in self.roles.iter().enumerate() {
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
        for it in &self.grants {
            let (kind, value) = &it.by;
            writeln!(text, "[[grants]]\nrole = \"r{}\"", it.role).unwrap();
            writeln!(text, "{kind} = {value:?}").unwrap();
            if let Some(issuer) = &it.issuer {
                writeln!(text, "issuer = {issuer:?}").unwrap();
            }
            if let Some(certificate) = &it.certificate {
                writeln!(text, "certificate = {certificate:?}").unwrap();
            }
        }
        writeln!(text, "[deny]").unwrap();
        for name in ["subjects", "token_ids", "issuers", "upstreams", "rpcs"] {
            let of_list = self.deny.iter().filter(|(list, _)| *list == name);
            let of_list: Vec<_> = of_list.map(|(_, pattern)| pattern).collect();
            writeln!(text, "{name} = {of_list:?}").unwrap();
        }
        text
    }

    pub(super) fn policy(&self) -> Policy {
        policy(&self.write())
    }
}
