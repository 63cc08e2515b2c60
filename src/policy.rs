//! Who may do what: a caller and an operation become a [`Permit`] or a
//! [`Denial`].
//!
//! A policy is a file of roles and grants. A grant ties a role to callers by a
//! value of their roles claim or by their subject, and may ask for a certificate
//! besides. What no role permits is denied. Roles don't add up: a call is permitted
//! when one role permits all of it, so that a grant never takes anything away, and
//! a narrowed role never gives more than it did. What `[deny]` names is denied, whatever is granted.
//!
//! ```toml
//! [roles.payments]
//! permissions = ["user_app_keys"]
//! upstreams = ["datadog/us1"]
//! names = ["payments-*"]
//! max_scopes = ["metrics_*"]
//!
//! [[grants]]
//! role = "payments"
//! subject = "system:serviceaccount:payments:*"
//! certificate = "spiffe://example.org/ns/payments/*"
//!
//! [deny]
//! token_ids = ["4f0c8f8e"]
//! ```
//!
//! This module knows no transport, no clock and, of upstreams, only how they are
//! named: the same question has the same answer for as long as a policy lives.

use std::{collections::BTreeMap, sync::Arc};

use crate::{auth::Caller, contract::Operation};
use deny::Deny;
use emergency::Emergency;
use grants::Grants;

mod deny;
mod emergency;
mod explanation;
mod file;
mod grants;
mod index;
mod permit;
mod role;
mod standing;
#[cfg(test)]
mod tests;
mod upstream;

pub use crate::glob::matches;
pub use deny::{Denied, What};
pub use explanation::{Explanation, Question};
pub use file::Error;
pub use permit::{Denial, Permit, ScopeRequest, Touch};
pub use role::{Key, Ownership, Role};
pub use standing::Standing;
pub use upstream::{Pattern, known_parts};

/// The permission to ask what others may do.
pub const ACCESS_READ: &str = "keygate_access_read";
/// The permission to read the audit trail.
pub const AUDIT_READ: &str = "keygate_audit_read";

/// A name in a certificate, or a pattern of such, as they are compared: a URI as it
/// is, a host name in lower case.
#[must_use]
pub fn certificate_name(name: &str) -> String {
    match name.contains("://") {
        true => name.to_owned(),
        false => name.to_ascii_lowercase(),
    }
}

/// A whole, valid policy.
#[derive(Debug)]
pub struct Policy {
    version: Arc<str>,
    roles: Vec<Arc<Role>>,
    grants: Arc<Grants>,
    deny: Arc<Deny>,
    emergency: Option<Emergency>,
    /// The permissions that operations ask for which are not denied to all, by
    /// vendor.
    in_use: BTreeMap<String, Vec<String>>,
}

/// A role that a caller holds.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// The role.
    pub role: &'a Role,
    /// The grants that give it, counted from zero, in order.
    pub grants: Vec<usize>,
}

/// What a call reaches for.
#[derive(Clone, Copy)]
enum Reach<'a> {
    /// keygate itself: a role's upstreams don't matter.
    Keygate,
    /// Some upstream of a vendor.
    Vendor(&'a str),
    /// That upstream.
    Upstream(&'a str),
}

impl<'a> Reach<'a> {
    fn of(operation: &'a Operation, upstream: Option<&'a str>) -> Result<Self, Denial> {
        let provider = operation.provider();
        match upstream {
            _ if !upstream::is_vendor(provider) => Ok(Self::Keygate),
            None => Ok(Self::Vendor(provider)),
            Some(name) if name.split('/').next() == Some(provider) => Ok(Self::Upstream(name)),
            Some(_) => Err(Denial {
                missing: Vec::new(),
                rule: format!("the upstream is not one of {provider}"),
            }),
        }
    }

    fn is_within(self, role: &Role) -> bool {
        role.upstreams.iter().any(|it| match self {
            Self::Keygate => true,
            Self::Vendor(provider) => it.can_match(provider),
            Self::Upstream(name) => it.matches(name),
        })
    }
}

impl Policy {
    /// A digest of the policy's text: lower-case hex SHA-256. After a `+` that of the
    /// text whose `[deny]` holds besides, if there is one.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All roles, by name.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().map(|it| &**it)
    }

    /// Decides about a call. `upstream` is its name, as `datadog/us1/main`; `None`
    /// asks about any upstream of the operation's vendor.
    ///
    /// # Errors
    /// [`Denial`] if the policy denies the call, or no role of the caller permits
    /// it.
    pub fn authorize(
        &self,
        caller: &Caller,
        operation: &Operation,
        upstream: Option<&str>,
    ) -> Result<Permit, Denial> {
        self.standing(caller).authorize(operation, upstream)
    }

    /// Where a caller stands, for whoever decides more than once about the same.
    #[must_use]
    pub fn standing<'p>(&'p self, caller: &'p Caller) -> Standing<'p> {
        Standing::of(self, caller)
    }

    /// Whether `[deny]` denies a call, whatever is granted.
    ///
    /// # Errors
    /// The [`Denial`].
    pub fn check_deny(
        &self,
        caller: &Caller,
        operation: &Operation,
        upstream: &str,
    ) -> Result<(), Denial> {
        let reach = Reach::of(operation, Some(upstream))?;
        let entry = self.denied_method(operation);
        let entry = entry.or_else(|| self.denied_caller(caller));
        match entry.or_else(|| self.denied_reach(reach)) {
            Some(entry) => Err(Denial::by(entry)),
            None => Ok(()),
        }
    }

    /// Decides about a call where any one of these upstreams would do.
    ///
    /// # Errors
    /// [`Denial`] if it is permitted on none of them: that of the first.
    pub fn authorize_any(
        &self,
        caller: &Caller,
        operation: &Operation,
        upstreams: &[String],
    ) -> Result<Permit, Denial> {
        let standing = self.standing(caller);
        let decide = |it: Option<&str>| standing.authorize(operation, it);
        let mut decisions = upstreams.iter().map(|it| decide(Some(it)));
        let first = decisions.next().unwrap_or_else(|| decide(None));
        first.or_else(|denial| decisions.find_map(Result::ok).ok_or(denial))
    }

    /// Decides about one of keygate's own permissions.
    ///
    /// # Errors
    /// [`Denial`] if the caller is denied everything, or no role has it.
    pub fn holds(&self, caller: &Caller, permission: &str) -> Result<Permit, Denial> {
        let standing = self.standing(caller);
        standing.decide(&[permission.to_owned()], Reach::Keygate)
    }

    /// The grants that hold only for callers with a certificate, counted from zero.
    pub fn grants_with_certificate(&self) -> impl Iterator<Item = usize> {
        self.grants.with_certificate()
    }

    /// The roles that a caller holds, in the order of their grants.
    pub fn roles_of(&self, caller: &Caller) -> impl Iterator<Item = Held<'_>> {
        self.held(caller).into_iter().map(|(role, grants)| Held {
            role: &self.roles[role],
            grants,
        })
    }

    /// Whether a caller may do anything at all on an upstream, by its name.
    #[must_use]
    pub fn reaches(&self, caller: &Caller, upstream: &str) -> bool {
        let provider = upstream.split('/').next().unwrap_or_default();
        let in_use = self.in_use.get(provider).map_or(&[][..], Vec::as_slice);
        let reach = Reach::Upstream(upstream);
        !in_use.is_empty() && self.standing(caller).decide(in_use, reach).is_ok()
    }

    /// What is denied to every caller, as far as it concerns this one.
    #[must_use]
    pub fn denied_to_all(&self, caller: &Caller) -> Vec<Denied<'_>> {
        let held = self.held(caller);
        let roles = held.iter().map(|(at, _)| &self.roles[*at]);
        let reached: Vec<_> = roles.flat_map(|it| &it.upstreams).collect();
        let denies = self.denies();
        denies.flat_map(|it| it.to_all(&reached)).collect()
    }

    /// The entry that denies a caller everything.
    fn denied_caller(&self, caller: &Caller) -> Option<deny::Entry> {
        self.denies().find_map(|it| it.caller(caller))
    }

    /// The entry that denies everyone what is reached for.
    fn denied_reach(&self, reach: Reach<'_>) -> Option<deny::Entry> {
        self.denies().find_map(|it| it.reach(reach))
    }

    /// The entry that denies everyone a method.
    fn denied_method(&self, operation: &Operation) -> Option<deny::Entry> {
        self.denies().find_map(|it| it.method(operation))
    }

    /// What is denied, by this policy and by whatever else holds besides.
    fn denies(&self) -> impl Iterator<Item = &Deny> {
        let besides = self.emergency.as_ref().map(Emergency::deny);
        std::iter::once(&*self.deny).chain(besides)
    }

    /// The places of the roles that a caller holds, each with its grants.
    fn held(&self, caller: &Caller) -> Vec<(usize, Vec<usize>)> {
        let mut held: Vec<(usize, Vec<usize>)> = Vec::new();
        for at in self.grants.of(caller) {
            let role = self.grants.role(at);
            match held.iter_mut().find(|(it, _)| *it == role) {
                Some((_, grants)) => grants.push(at),
                None => held.push((role, vec![at])),
            }
        }
        held
    }
}
