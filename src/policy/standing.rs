//! Where a caller stands with a policy, whatever they call: what they are denied, and
//! the roles that they hold.

use std::sync::Arc;

use super::{Denial, Permit, Policy, Reach, deny, permit::Granted};
use crate::{auth::Caller, contract::Operation};

/// Where a caller stands with a policy.
#[derive(Debug)]
pub struct Standing<'p> {
    policy: &'p Policy,
    caller: &'p Caller,
    /// The entry that denies them everything.
    denied: Option<deny::Entry>,
    /// The places of the roles that they hold, each with its grants.
    held: Vec<(usize, Vec<usize>)>,
}

impl<'p> Standing<'p> {
    pub(super) fn of(policy: &'p Policy, caller: &'p Caller) -> Self {
        Self {
            policy,
            caller,
            denied: policy.denied_caller(caller),
            held: policy.held(caller),
        }
    }

    /// Decides about a call, as [`Policy::authorize`] does.
    ///
    /// # Errors
    /// [`Denial`] if the policy denies the call, or no role of the caller permits
    /// it.
    pub fn authorize(
        &self,
        operation: &Operation,
        upstream: Option<&str>,
    ) -> Result<Permit, Denial> {
        if let Some(entry) = self.policy.denied_method(operation) {
            return Err(Denial::by(entry));
        }
        let reach = Reach::of(operation, upstream)?;
        self.decide(&operation.permissions, reach)
    }

    /// The one place where it is decided. Any of the permissions will do; if there
    /// are none, any caller may.
    pub(super) fn decide(&self, accepted: &[String], reach: Reach<'_>) -> Result<Permit, Denial> {
        let Self {
            policy,
            caller,
            denied,
            held,
        } = self;
        if let Some(entry) = denied.or_else(|| policy.denied_reach(reach)) {
            return Err(Denial::by(entry));
        }
        let permit = |permission: Option<&String>, roles| Permit {
            permission: permission.cloned(),
            accepted: accepted.to_vec(),
            version: Arc::clone(&policy.version),
            roles,
        };
        if accepted.is_empty() {
            return Ok(permit(None, Vec::new()));
        }
        let mut permission = None;
        let (mut roles, mut outside) = (Vec::new(), Vec::new());
        for (at, grants) in held {
            let role = &policy.roles[*at];
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
            let role = &policy.roles[policy.grants.role(*at)];
            accepted.iter().any(|it| role.permits(it)) && reach.is_within(role)
        };
        // it stands in statuses and records, so it is bounded
        const TOLD: usize = 8;
        let unshown = policy
            .grants
            .for_want_of_a_certificate(caller)
            .filter(would);
        let unshown: Vec<_> = unshown.take(TOLD + 1).collect();
        let told = unshown.iter().take(TOLD);
        outside.extend(told.map(|at| format!("grants[{at}].certificate")));
        if unshown.len() > TOLD {
            outside.push("and more".to_owned());
        }
        let rule = if held.is_empty() && outside.is_empty() {
            "no grant fits the caller".to_owned()
        } else if outside.is_empty() {
            let names: Vec<_> = held
                .iter()
                .map(|(at, _)| policy.roles[*at].name())
                .collect();
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
}
