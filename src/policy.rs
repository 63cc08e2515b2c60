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
use permit::Granted;

mod deny;
mod emergency;
mod explanation;
mod file;
mod glob;
mod grants;
mod index;
mod permit;
mod role;
#[cfg(test)]
mod tests;
mod upstream;

pub use deny::{Denied, What};
pub use explanation::{Explanation, Question};
pub use file::Error;
pub use glob::matches;
pub use permit::{Denial, Permit, ScopeRequest, Touch};
pub use role::{Key, Ownership, Role};
pub use upstream::Pattern;

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
        if let Some(entry) = self.denied_method(operation) {
            return Err(Denial::by(entry));
        }
        let reach = Reach::of(operation, upstream)?;
        self.decide(caller, &operation.permissions, reach)
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
        match entry.or_else(|| self.denied(caller, reach)) {
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
        let decide = |it: Option<&str>| self.authorize(caller, operation, it);
        let mut decisions = upstreams.iter().map(|it| decide(Some(it)));
        let first = decisions.next().unwrap_or_else(|| decide(None));
        first.or_else(|denial| decisions.find_map(Result::ok).ok_or(denial))
    }

    /// Decides about one of keygate's own permissions.
    ///
    /// # Errors
    /// [`Denial`] if the caller is denied everything, or no role has it.
    pub fn holds(&self, caller: &Caller, permission: &str) -> Result<Permit, Denial> {
        self.decide(caller, &[permission.to_owned()], Reach::Keygate)
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
        !in_use.is_empty() && self.decide(caller, in_use, reach).is_ok()
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

    /// The entry that denies a caller everything, or everyone what is reached for.
    fn denied(&self, caller: &Caller, reach: Reach<'_>) -> Option<deny::Entry> {
        let mut denies = self.denies();
        denies.find_map(|it| it.caller(caller).or_else(|| it.reach(reach)))
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

    /// The one place where it is decided. Any of the permissions will do; if there
    /// are none, any caller may.
    fn decide(
        &self,
        caller: &Caller,
        accepted: &[String],
        reach: Reach<'_>,
    ) -> Result<Permit, Denial> {
        if let Some(entry) = self.denied(caller, reach) {
            return Err(Denial::by(entry));
        }
        let permit = |permission: Option<&String>, roles| Permit {
            permission: permission.cloned(),
            accepted: accepted.to_vec(),
            version: Arc::clone(&self.version),
            roles,
        };
        if accepted.is_empty() {
            return Ok(permit(None, Vec::new()));
        }
        let held = self.held(caller);
        let mut permission = None;
        let (mut roles, mut outside) = (Vec::new(), Vec::new());
        for (at, grants) in &held {
            let role = &self.roles[*at];
            let Some(allowing) = accepted.iter().find(|it| role.permits(it)) else {
                continue;
            };
            if !reach.is_within(role) {
                outside.push(format!("roles.{}.upstreams", role.name));
                continue;
            }
            permission = permission.or(Some(allowing));
            roles.push(Granted {
                grant: grants.first().copied().unwrap_or_default(),
                role: Arc::clone(role),
            });
        }
        if permission.is_some() {
            return Ok(permit(permission, roles));
        }
        let would = |at: &usize| {
            let role = &self.roles[self.grants.role(*at)];
            accepted.iter().any(|it| role.permits(it)) && reach.is_within(role)
        };
        // it stands in statuses and records, so it is bounded
        const TOLD: usize = 8;
        let unshown = self.grants.for_want_of_a_certificate(caller).filter(would);
        let unshown: Vec<_> = unshown.take(TOLD + 1).collect();
        let told = unshown.iter().take(TOLD);
        outside.extend(told.map(|at| format!("grants[{at}].certificate")));
        if unshown.len() > TOLD {
            outside.push("and more".to_owned());
        }
        let rule = if held.is_empty() && outside.is_empty() {
            "no grant fits the caller".to_owned()
        } else if outside.is_empty() {
            let names: Vec<_> = held.iter().map(|(at, _)| self.roles[*at].name()).collect();
            format!(
                "no role of the caller ({}) has {}",
                names.join(", "),
                accepted.join(" or ")
            )
        } else {
            format!("outside {}", outside.join(", "))
        };
        Err(Denial {
            missing: accepted.to_vec(),
            rule,
        })
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
