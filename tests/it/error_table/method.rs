//! The methods of the contract, and what they are to the table.

use std::collections::HashMap;

use keygate::contract::Effect;
use prost_reflect::{DynamicMessage, MethodDescriptor};

use super::condition::Condition;
use crate::support::{
    gateway::{self, contract},
    vendors::Vendor,
};

/// What becomes of a call, as far as the table cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// keygate answers it by itself.
    Local,
    /// Upstream is asked, and changes nothing.
    Read,
    /// Upstream changes something, and tells what.
    Write,
    /// Upstream changes something; its answer has no body.
    Silent,
}

#[derive(Clone)]
pub(super) struct Method {
    /// `keygate.datadog.v2.ApiKeyService/ListApiKeys`
    pub(super) name: String,
    pub(super) descriptor: MethodDescriptor,
    pub(super) kind: Kind,
    /// `create`
    pub(super) effect: &'static str,
    /// `GET /api/v2/api_keys`; nothing if it asks no upstream.
    pub(super) route: Option<String>,
    /// Who is asked.
    pub(super) vendor: Option<&'static Vendor>,
    /// How many methods on the same path come before it.
    pub(super) turn: usize,
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
        matches!(self.kind, Kind::Write | Kind::Silent)
    }

    /// The conditions that apply, if it is one that asks no upstream.
    pub(super) fn local(&self) -> Option<&'static [Condition]> {
        let mut local = LOCAL.into_iter();
        local.find_map(|(name, conditions)| (name == self.name).then_some(conditions))
    }

    /// Makes a request invalid. The field that is wrong then.
    pub(super) fn spoil(&self, request: &mut DynamicMessage) -> &'static str {
        match self.vendor {
            Some(vendor) => (vendor.spoil)(request),
            None => {
                request.clear_field_by_name("method");
                "method"
            }
        }
    }

    /// What the names of its upstreams begin with.
    pub(super) fn upstreams(&self) -> Option<String> {
        self.vendor.map(|it| it.upstream(it.region, ""))
    }
}

/// All of them.
pub(super) fn all() -> Vec<Method> {
    for (name, _) in LOCAL {
        assert!(contract().operation(name).is_some(), "{name} is no more");
    }
    let mut turns: HashMap<_, usize> = HashMap::new();
    let mut all = Vec::new();
    for it in contract().operations() {
        let name = &it.method;
        let local = LOCAL.iter().any(|(local, _)| local == name);
        assert_eq!(
            local,
            it.route.is_none(),
            "{name}: say which conditions apply"
        );
        let descriptor = gateway::method(name);
        let kind = match it.effect {
            _ if local => Kind::Local,
            Effect::Read | Effect::Reveal => Kind::Read,
            Effect::Create | Effect::Update | Effect::Delete => {
                if descriptor.output().fields().len() == 0 {
                    Kind::Silent
                } else {
                    Kind::Write
                }
            }
            Effect::Unspecified => panic!("{name} has no effect"),
        };
        let path = it.route.as_ref().and_then(|it| it.split_once(' '));
        let turn = path.map_or(0, |(_, path)| {
            let before = turns.entry(path).or_default();
            *before += 1;
            *before - 1
        });
        all.push(Method {
            name: name.clone(),
            descriptor,
            kind,
            effect: it.effect.name(),
            route: it.route.clone(),
            vendor: Vendor::of(name),
            turn,
        });
    }
    all
}
