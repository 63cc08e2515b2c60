//! The `[deny]` of another policy, which holds besides one's own.
//!
//! It can take access away and never give any: what is wrong with other files must
//! not hold it up.

use std::sync::Arc;

use super::{Policy, deny::Deny, file::in_use};
use crate::contract::Contract;

/// What another policy denies, and the policy without it.
#[derive(Debug)]
pub(super) struct Emergency {
    deny: Arc<Deny>,
    base: Arc<Policy>,
}

impl Emergency {
    pub(super) fn deny(&self) -> &Deny {
        &self.deny
    }
}

impl Policy {
    /// The policy without what another one denies.
    #[must_use]
    pub fn base(self: &Arc<Self>) -> Arc<Self> {
        match &self.emergency {
            Some(emergency) => emergency.base.clone(),
            None => self.clone(),
        }
    }

    /// The same policy, which denies what another one denies, too. What any third one
    /// denied holds no more. Its version names both.
    #[must_use]
    pub fn denying(self: &Arc<Self>, other: &Self, contract: &Contract) -> Arc<Self> {
        let base = self.base();
        if other.deny.is_empty() || other.version == base.version {
            return base;
        }
        let version = format!("{}+{}", base.version, other.version).into();
        if self.version == version {
            return self.clone();
        }
        Arc::new(Self {
            version,
            roles: base.roles.clone(),
            grants: base.grants.clone(),
            deny: base.deny.clone(),
            in_use: in_use(contract, &[&base.deny, &other.deny]),
            emergency: Some(Emergency {
                deny: other.deny.clone(),
                base,
            }),
        })
    }
}
