//! The policy that holds at the moment.

use std::sync::{Arc, PoisonError, RwLock};

use super::Policy;

/// A shared place for the policy that holds. Cheap to clone; all clones see the
/// same one.
#[derive(Clone, Debug)]
pub struct Live(Arc<RwLock<Arc<Policy>>>);

impl Live {
    /// Begins with that policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(policy))))
    }

    /// The policy that holds now. A call keeps the one that it began with.
    #[must_use]
    pub fn current(&self) -> Arc<Policy> {
        // A whole `Arc` is swapped: there is no half-written state to fear.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another policy in its place, for every call that begins from now on.
    pub fn replace(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}
