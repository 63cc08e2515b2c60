//! The methods of the contract, and what they are to the table.

use std::collections::HashMap;

use keygate::contract::Effect;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};

use super::condition::Condition;
use crate::support::{
    gateway::{self, contract},
    vendors::{self, Vendor},
};

/// What becomes of a call, as far as the table cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// keygate answers it by itself.
    Local,
    /// The vendor has no such operation, which keygate says by itself.
    NotOffered,
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

/// Conditions of a method that the vendor does not have.
const NOT_OFFERED: &[Condition] = &[
    Condition::Allowed,
    Condition::Denied,
    Condition::TokenMissing,
    Condition::TokenInvalid,
    Condition::TokenExpired,
    Condition::Undecodable,
    Condition::TooLarge,
];

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

/// Conditions of a method that asks no upstream, reads fields and takes a permission.
const CHECKED: &[Condition] = &[
    Condition::Allowed,
    Condition::Denied,
    Condition::TokenMissing,
    Condition::TokenInvalid,
    Condition::TokenExpired,
    Condition::Undecodable,
    Condition::TooLarge,
    Condition::InvalidRequest,
];

/// The methods that ask no upstream, each with the conditions that apply.
const LOCAL: [(&str, &[Condition]); 7] = [
    ("keygate.audit.v1.AuditService/ListRecords", CHECKED),
    ("keygate.audit.v1.AuditService/WatchRecords", CHECKED),
    ("keygate.audit.v1.AuditService/GetCheckpoint", CHECKED),
    ("keygate.audit.v1.AuditService/GetProof", CHECKED),
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
        if self.kind == Kind::NotOffered {
            return Some(NOT_OFFERED);
        }
        let mut local = LOCAL.into_iter();
        local.find_map(|(name, conditions)| (name == self.name).then_some(conditions))
    }

    /// Makes a request invalid. The field that is wrong then.
    pub(super) fn spoil(&self, request: &mut DynamicMessage) -> &'static str {
        if let Some(vendor) = self.vendor {
            return (vendor.spoil)(request);
        }
        let (field, value) = match self.descriptor.name() {
            "ExplainAccess" => ("method", None),
            "ListRecords" => ("page_size", Some(Value::I32(-1))),
            "WatchRecords" => ("from_position", Some(Value::U64(u64::MAX))),
            "GetCheckpoint" => ("origin", Some(Value::String("o".repeat(2000)))),
            "GetProof" => {
                request.clear_field_by_name("inclusion");
                return "proof";
            }
            name => panic!("{name}: say how it is made invalid"),
        };
        match value {
            Some(value) => request.set_field_by_name(field, value),
            None => request.clear_field_by_name(field),
        }
        field
    }

    /// Whether it reads all that there is.
    pub(super) fn is_list(&self) -> bool {
        self.kind == Kind::Read && vendors::key(&self.descriptor).is_none()
    }

    /// The path that it asks for first.
    pub(super) fn path(&self) -> Option<&str> {
        let (_, path) = self.route.as_ref()?.split_once(' ')?;
        let end = path.rfind('}').filter(|_| self.reads_first());
        Some(end.map_or(path, |end| &path[..=end]))
    }

    /// Whether it asks upstream for the key before it changes it, whatever the
    /// policy.
    pub(super) fn reads_first(&self) -> bool {
        self.vendor
            .is_some_and(|it| it.reads_first.contains(&self.name.as_str()))
    }

    /// Whether it changes or copies keys that it names by something else than their
    /// values.
    pub(super) fn changes_by_id(&self) -> bool {
        let key = vendors::key(&self.descriptor);
        self.is_mutation() && key.is_some_and(|it| it.member == "id")
    }

    /// Whether that has the same path as the change.
    pub(super) fn reads_first_there(&self) -> bool {
        let route = self.route.as_ref().and_then(|it| it.split_once(' '));
        self.reads_first() && self.path() == route.map(|(_, path)| path)
    }

    /// Whether it changes what is there.
    pub(super) fn touches(&self) -> bool {
        let replaces = self.descriptor.name().starts_with("Replace");
        self.is_mutation() && (replaces || vendors::key(&self.descriptor).is_some())
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
    for name in gateway::methods() {
        let it = contract().operation(&name).unwrap();
        let local = LOCAL.iter().any(|(local, _)| *local == name);
        let vendor = Vendor::of(&name);
        assert_eq!(
            local,
            vendor.is_none(),
            "{name}: say which conditions apply"
        );
        let descriptor = gateway::method(&name);
        let kind = match it.effect {
            _ if local => Kind::Local,
            _ if it.not_offered.is_some() => Kind::NotOffered,
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
        let mut method = Method {
            name,
            descriptor,
            kind,
            effect: it.effect.name(),
            route: it.route.clone(),
            vendor,
            turn: 0,
        };
        if let Some(path) = method.path() {
            // upstream may name one limit for a list and what is in it
            let list = path
                .rsplit_once("/{")
                .filter(|(_, last)| !last.contains('/'));
            let list = list.map_or(path, |(list, _)| list);
            let before = turns.entry(list.to_owned()).or_default();
            method.turn = *before;
            *before += 1;
        }
        all.push(method);
    }
    all
}
