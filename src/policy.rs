//! Who may do what: a caller and an operation become a [`Permit`] or a
//! [`Denial`].
//!
//! A policy is a file of roles and grants. A grant ties a role to callers by a
//! value of their roles claim or by their subject, and may ask for a certificate
//! besides. What no role permits is denied. Roles don't add up: a call is permitted when one role permits all of
//! it, so that a grant never takes anything away, and a narrowed role never
//! gives more than it did.
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
//! ```
//!
//! This module knows no transport, no clock and, of upstreams, only how they are
//! named: the same question has the same answer for as long as a policy lives.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{auth::Caller, contract::Operation};

mod file;
mod glob;
mod permit;
mod role;
#[cfg(test)]
mod tests;
mod upstream;

pub use file::Error;
pub use permit::{Denial, Permit, ScopeRequest};
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
    grants: Vec<Grant>,
    /// Grants by the claim that they name.
    by_claim: HashMap<String, Vec<usize>>,
    /// Grants by the one subject that they name.
    by_subject: HashMap<String, Vec<usize>>,
    /// Grants with a pattern of subjects, which have to be tried.
    by_pattern: Vec<(String, usize)>,
    /// The permissions that operations ask for, by vendor.
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
        pattern.is_none_or(|it| names.any(|name| glob::matches(it, name)))
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

/// What the policy says of a call, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it permits the call, within the roles' limits on keys and scopes.
    pub permitted: bool,
    /// The rule that decides, or why none does.
    pub rule: String,
    /// Permissions any one of which would be needed. Empty if permitted.
    pub missing: Vec<String>,
    /// The version of the policy that says so.
    pub policy_version: String,
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

impl Reach<'_> {
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
    /// [`Denial`] if no role of the caller permits the call.
    pub fn authorize(
        &self,
        caller: &Caller,
        operation: &Operation,
        upstream: Option<&str>,
    ) -> Result<Permit, Denial> {
        let provider = operation.provider();
        let reach = match upstream {
            _ if !upstream::is_vendor(provider) => Reach::Keygate,
            None => Reach::Vendor(provider),
            Some(name) if name.split('/').next() == Some(provider) => Reach::Upstream(name),
            Some(_) => {
                return Err(Denial {
                    missing: Vec::new(),
                    rule: format!("the upstream is not one of {provider}"),
                });
            }
        };
        self.decide(caller, &operation.permissions, reach)
    }

    /// Decides about one of keygate's own permissions.
    ///
    /// # Errors
    /// [`Denial`] if no role of the caller has it.
    pub fn holds(&self, caller: &Caller, permission: &str) -> Result<Permit, Denial> {
        self.decide(caller, &[permission.to_owned()], Reach::Keygate)
    }

    /// Says what [`Self::authorize`] decides, and why.
    #[must_use]
    pub fn explain(
        &self,
        caller: &Caller,
        operation: &Operation,
        upstream: Option<&str>,
    ) -> Explanation {
        let (permitted, rule, missing) = match self.authorize(caller, operation, upstream) {
            Ok(permit) => (true, permit.rule, Vec::new()),
            Err(denial) => (false, denial.rule, denial.missing),
        };
        Explanation {
            permitted,
            rule,
            missing,
            policy_version: self.version.to_string(),
        }
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

    /// The one place where it is decided. Any of the permissions will do; if there
    /// are none, any caller may.
    fn decide(
        &self,
        caller: &Caller,
        accepted: &[String],
        reach: Reach<'_>,
    ) -> Result<Permit, Denial> {
        let held = self.held(caller);
        let permit = |permission: Option<&String>, rule: String, roles| Permit {
            permission: permission.cloned(),
            accepted: accepted.to_vec(),
            rule,
            version: Arc::clone(&self.version),
            roles,
        };
        if accepted.is_empty() {
            return Ok(permit(None, "any caller".to_owned(), Vec::new()));
        }
        let mut decided = None;
        let (mut roles, mut outside) = (Vec::new(), Vec::new());
        for (at, grants) in &held {
            let role = &self.roles[*at];
            let Some(permission) = accepted.iter().find(|it| role.permits(it)) else {
                continue;
            };
            if !reach.is_within(role) {
                outside.push(format!("roles.{}.upstreams", role.name));
                continue;
            }
            decided.get_or_insert((permission, grants.first(), &role.name));
            roles.push(Arc::clone(role));
        }
        if let Some((permission, grant, role)) = decided {
            let grant = grant.copied().unwrap_or_default();
            let rule = format!("grants[{grant}] roles.{role}");
            return Ok(permit(Some(permission), rule, roles));
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
        let by_subject = self.by_subject.get(&caller.subject).into_iter().flatten();
        let by_pattern = self
            .by_pattern
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, &caller.subject))
            .map(|(_, at)| at);
        let mut fitting: Vec<_> = by_claim
            .chain(by_subject)
            .chain(by_pattern)
            .copied()
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
