//! What the policy says of a call, in words: the same as it decides.

use super::{Policy, Touch};
use crate::{auth::Caller, contract::Operation};

/// A call to be explained.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who would call.
    pub caller: &'a Caller,
    /// What they would call.
    pub operation: &'a Operation,
    /// Where, as `datadog/us1/main`: on any one of these; if there are none, on any
    /// upstream of the operation's vendor.
    pub upstreams: &'a [String],
    /// What the call would do to a key; `None`: what roles say of keys is left
    /// aside.
    pub touch: Option<Touch<'a>>,
}

/// What the policy says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it permits the call.
    pub permitted: bool,
    /// The rule that decides, or why none does.
    pub rule: String,
    /// The permission that allows the call. `None`: it needs none, or is denied.
    pub permission: Option<String>,
    /// Permissions any one of which would be needed. Empty if permitted, and if
    /// none would do.
    pub missing: Vec<String>,
    /// The version of the policy that says so.
    pub policy_version: String,
}

impl Policy {
    /// Says what is decided about a call, and why: by [`Policy::authorize`] anywhere
    /// at all, by [`Policy::authorize_any`] there, and by
    /// [`Permit::check`](super::Permit::check).
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        let Question {
            caller,
            operation,
            upstreams,
            touch,
        } = question;
        // who may not do it anywhere is not told more of any one place
        let decided = self.authorize(caller, operation, None);
        let decided = decided.and_then(|_| self.authorize_any(caller, operation, upstreams));
        let decided = decided.and_then(|permit| {
            let rule = match touch {
                Some(touch) => permit.check(touch)?,
                None => permit.rule(),
            };
            Ok((rule, permit.permission().map(str::to_owned)))
        });
        let policy_version = self.version().to_owned();
        match decided {
            Ok((rule, permission)) => Explanation {
                permitted: true,
                rule,
                permission,
                missing: Vec::new(),
                policy_version,
            },
            Err(denial) => Explanation {
                permitted: false,
                rule: denial.rule,
                permission: None,
                missing: denial.missing,
                policy_version,
            },
        }
    }
}
