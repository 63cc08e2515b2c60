//! The methods of the contract, and what they are to the table.

use keygate::contract::{Contract, Effect};

use super::condition::Condition;

/// What becomes of a call, as far as the table cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// keygate answers it by itself.
    Local,
    /// Upstream is asked, and changes nothing.
    Read,
    /// Upstream changes something, and tells what.
    Write,
    /// Upstream removes something; its answer has no body.
    Delete,
}

#[derive(Clone, Debug)]
pub(super) struct Method {
    /// `keygate.datadog.v2.ApiKeyService/ListApiKeys`
    pub(super) name: String,
    pub(super) kind: Kind,
    /// `create`
    pub(super) effect: &'static str,
    /// `GET /api/v2/api_keys`; nothing if it asks no upstream.
    pub(super) route: Option<String>,
}

/// Conditions of a method that asks no upstream, reads no field and is open to
/// whoever has a token.
const OPEN: &[Condition] = &[
    Condition::Allowed,
    Condition::TokenMissing,
    Condition::TokenInvalid,
    Condition::TokenExpired,
    Condition::Undecodable,
    Condition::TooLarge,
];

/// The methods that ask no upstream, each with the conditions that apply.
const LOCAL: [(&str, &[Condition]); 3] = [
    ("keygate.access.v1.AccessService/WhoAmI", OPEN),
    ("keygate.access.v1.AccessService/ListUpstreams", OPEN),
    (
        "keygate.access.v1.AccessService/ExplainAccess",
        &[
            Condition::Allowed,
            Condition::TokenMissing,
            Condition::TokenInvalid,
            Condition::TokenExpired,
            Condition::Undecodable,
            Condition::TooLarge,
            // to ask for somebody else takes a permission
            Condition::Denied,
            Condition::InvalidRequest,
        ],
    ),
];

impl Method {
    pub(super) fn is_mutation(&self) -> bool {
        matches!(self.kind, Kind::Write | Kind::Delete)
    }

    /// The conditions that apply, if it is one that asks no upstream.
    pub(super) fn local(&self) -> Option<&'static [Condition]> {
        let mut local = LOCAL.into_iter();
        local.find_map(|(name, conditions)| (name == self.name).then_some(conditions))
    }
}

/// All of them.
pub(super) fn all() -> Vec<Method> {
    let contract = Contract::load().unwrap();
    for (name, _) in LOCAL {
        assert!(contract.operation(name).is_some(), "{name} is no more");
    }
    let method = |it: &keygate::contract::Operation| {
        let local = LOCAL.iter().any(|(name, _)| *name == it.method);
        assert_eq!(
            local,
            it.route.is_none(),
            "{}: say which conditions apply",
            it.method
        );
        let kind = match it.effect {
            _ if local => Kind::Local,
            Effect::Read | Effect::Reveal => Kind::Read,
            Effect::Create | Effect::Update => Kind::Write,
            Effect::Delete => Kind::Delete,
            Effect::Unspecified => panic!("{} has no effect", it.method),
        };
        Method {
            name: it.method.clone(),
            kind,
            effect: it.effect.name(),
            route: it.route.clone(),
        }
    };
    contract.operations().iter().map(method).collect()
}
