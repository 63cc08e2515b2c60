//! The credentials that we present ourselves are out of everybody's reach, whatever
//! the policy grants: by value, and by the ids that upstream has for them.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::{
    Operation, Result,
    operation::{Found, Target},
    work::Work,
};
use crate::{policy::Denial, status::Error};

/// How long a change waits while it is being looked for which keys are our own.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why nobody gets at the credentials that we present ourselves.
pub(super) fn out_of_reach() -> Denial {
    Denial {
        missing: Vec::new(),
        rule: "the gateway's own credentials are out of reach".to_owned(),
    }
}

impl<O: Operation> Work<O> {
    /// Denies a call that names a key of our own, whatever it is to do with it. A
    /// change of a key that may be our own, for all that is known, is refused.
    pub(super) async fn spare_masters(&self) -> Result<()> {
        self.deny_own()?;
        if self.changes_by_id() {
            let begin = self.call.ledger().clock.instant();
            let until = self.deadline.from(begin).min(begin + PATIENCE);
            if !self.client.masters().are_known(until).await {
                return Err(Error::OwnKeysUnknown.into());
            }
            // what was not known before may be now
            self.deny_own()?;
        }
        Ok(())
    }

    /// The same for keys that were found by what else is known of them. One of which
    /// nothing is known may be our own where it is to be replaced.
    pub(super) fn spare_found(&self, found: &[Found]) -> Result<()> {
        let is_replaced = matches!(self.plan.target, Target::Replacement);
        let is_own = |it: &Found| match it.id.as_deref() {
            Some(id) => self.upstreams.is_own(Some(id), None),
            None => is_replaced,
        };
        self.deny_if(found.iter().any(is_own))
    }

    fn deny_own(&self) -> Result<()> {
        let is_own = |id: &String| self.upstreams.is_own(Some(id), None);
        self.deny_if(match &self.plan.target {
            Target::Collection | Target::Replacement => false,
            Target::Key(id) | Target::CopyOf(id) => is_own(id),
            Target::Secret(secret) => self.upstreams.is_own(None, Some(secret.expose_secret())),
            Target::Keys(ids) => ids.iter().any(is_own),
        })
    }

    fn deny_if(&self, is_own: bool) -> Result<()> {
        if is_own {
            self.noted(Err(out_of_reach()))
        } else {
            Ok(())
        }
    }

    /// Whether it changes, copies or replaces keys that are there, and that nothing
    /// but their ids can tell from our own.
    fn changes_by_id(&self) -> bool {
        let names_one = match self.plan.target {
            Target::Key(_) | Target::Keys(_) | Target::CopyOf(_) | Target::Replacement => true,
            Target::Collection | Target::Secret(_) => false,
        };
        names_one && self.is_mutation()
    }
}
