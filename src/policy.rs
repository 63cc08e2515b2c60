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

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{auth::Caller, contract::Operation};
use deny::Deny;
use index::Index;
use permit::Granted;

mod deny;
mod explanation;
mod file;
mod index;
mod permit;
mod role;
#[cfg(test)]
mod tests;
mod upstream;

pub use crate::glob::matches;
pub use deny::{Denied, What};
pub use explanation::{Explanation, Question};
pub use file::Error;
pub use permit::{Denial, Permit, ScopeRequest, Touch};
pub use role::{Key, Ownership, Role};
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
    grants: Vec<Grant>,
    /// Grants by the claim that they name.
    by_claim: HashMap<String, Vec<usize>>,
    /// Grants by the subjects that they name.
    by_subject: Index,
    deny: Deny,
    /// The permissions that operations ask for which are not denied to all, by
    /// vendor.
    in_use: BTreeMap<String, Vec<String>>,
}

#[derive(Debug)]
struct Grant {
    /// The role's place.
    role: usize,
    issuer: Option<String>,
    /// A pattern of the names in client certificates, one of which has to fit.
    certificate: Option<String>,
}

impl Grant {
    /// Whether it is for callers of that issuer.
    fn trusts(&self, caller: &Caller) -> bool {
        self.issuer.as_ref().is_none_or(|it| *it == caller.issuer)
    }

    /// Whether a caller has the certificate that it asks for.
    fn is_shown(&self, caller: &Caller) -> bool {
        let mut names = caller.certificate_names.iter();
        let pattern = self.certificate.as_ref();
        pattern.is_none_or(|it| names.any(|name| matches(it, name)))
    }
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
    /// A digest of the policy's text: lower-case hex SHA-256.
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
        if let Some(entry) = self.deny.method(operation) {
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
        let entry = self.deny.method(operation);
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
        let all = self.grants.iter().enumerate();
        all.filter(|(_, it)| it.certificate.is_some())
            .map(|(at, _)| at)
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
        self.deny.to_all(&reached)
    }

    /// The entry that denies a caller everything, or everyone what is reached for.
    fn denied(&self, caller: &Caller, reach: Reach<'_>) -> Option<deny::Entry> {
        self.deny.caller(caller).or_else(|| self.deny.reach(reach))
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
        for at in self.grants_of(caller) {
            let (grant, role) = (&self.grants[at], &self.roles[self.grants[at].role]);
            let would = accepted.iter().any(|it| role.permits(it)) && reach.is_within(role);
            if would && !grant.is_shown(caller) {
                outside.push(format!("grants[{at}].certificate"));
            }
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

    /// The grants for a caller, in order, whatever certificate they ask for.
    fn grants_of(&self, caller: &Caller) -> Vec<usize> {
        let by_claim = caller
            .claims
            .iter()
            .filter_map(|it| self.by_claim.get(it))
            .flatten();
        let mut fitting: Vec<_> = by_claim
            .copied()
            .chain(self.by_subject.fitting(&caller.subject))
            .filter(|at| self.grants[*at].trusts(caller))
            .collect();
        fitting.sort_unstable();
        fitting.dedup();
        fitting
    }

    /// The places of the roles that a caller holds, each with its grants.
    fn held(&self, caller: &Caller) -> Vec<(usize, Vec<usize>)> {
        let mut held: Vec<(usize, Vec<usize>)> = Vec::new();
        let fitting = self.grants_of(caller).into_iter();
        for at in fitting.filter(|at| self.grants[*at].is_shown(caller)) {
            let role = self.grants[at].role;
            match held.iter_mut().find(|(it, _)| *it == role) {
                Some((_, grants)) => grants.push(at),
                None => held.push((role, vec![at])),
            }
        }
        held
    }
}
