//! The proof that a call was permitted, and the limits that come with it.

use std::sync::Arc;

use super::role::{Key, Ownership, Role};

/// The scopes that a call would give to a key or token.
#[derive(Clone, Copy, Debug)]
pub enum ScopeRequest<'a> {
    /// What it makes or changes has no scopes, as API keys.
    NotApplicable,
    /// A change that leaves them as they are.
    Unchanged,
    /// None at all: the key may do whatever its owner may.
    Unscoped,
    /// These, possibly none of them: then the key may do nothing.
    Scopes(&'a [String]),
}

/// A call that the policy permits. Only the policy makes one, so a function that
/// asks for it can't be reached without a decision.
///
/// It carries every role that permits the call. Each counts as a whole: what a
/// call does has to be within all limits of one role; limits of different
/// roles don't add up.
#[derive(Clone, Debug)]
#[must_use = "a permit has limits that are to be checked"]
pub struct Permit {
    pub(super) permission: Option<String>,
    pub(super) accepted: Vec<String>,
    pub(super) rule: String,
    pub(super) version: Arc<str>,
    pub(super) roles: Vec<Arc<Role>>,
}

/// Why the policy says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct Denial {
    /// Permissions any one of which, without the limit in the way, would do.
    pub missing: Vec<String>,
    /// Why, for the person who reads the trail. It names roles and limits of the
    /// policy, never a key.
    pub rule: String,
}

impl Permit {
    /// The permission that allowed the call. `None`: it needs none.
    #[must_use]
    pub fn permission(&self) -> Option<&str> {
        self.permission.as_deref()
    }

    /// The rule that decided: `grants[0] roles.key-admin`, the first that fits.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The version of the policy that decided.
    #[must_use]
    pub fn policy_version(&self) -> &str {
        &self.version
    }

    /// The roles that permit the call, in the order of their grants.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().map(|it| &**it)
    }

    /// Whether it can matter who made a key. Where it can't, any answer leads to
    /// the same decision.
    #[must_use]
    pub fn needs_owner(&self) -> bool {
        self.needs(
            |it| it.keys == Ownership::Own,
            |it| it.keys == Ownership::Any,
        )
    }

    /// Whether it can matter what a key's name is.
    #[must_use]
    pub fn needs_name(&self) -> bool {
        self.needs(|it| !it.any_name(), Role::any_name)
    }

    /// Whether a role with a limit adds anything to those without it.
    fn needs(&self, limited: impl Fn(&Role) -> bool, free: impl Fn(&Role) -> bool) -> bool {
        self.roles()
            .filter(|it| limited(it))
            .any(|it| !self.roles().any(|other| free(other) && other.covers(it)))
    }

    /// Whether an existing key may be touched (read, deleted).
    ///
    /// # Errors
    /// [`Denial`] if no role reaches it.
    pub fn check_key(&self, key: &Key<'_>) -> Result<(), Denial> {
        self.check(|role| role.refuses_key(key))
    }

    /// Whether a key may be made.
    ///
    /// # Errors
    /// [`Denial`] if no role allows the name and the scopes together.
    pub fn check_create(&self, name: Option<&str>, scopes: ScopeRequest<'_>) -> Result<(), Denial> {
        self.check(|role| {
            role.refuses_name(name)
                .or_else(|| role.refuses_scopes(scopes))
        })
    }

    /// Whether an existing key may be changed: with its old name and with its new
    /// one, if it gets one.
    ///
    /// # Errors
    /// [`Denial`] if no role allows all of it.
    pub fn check_change(
        &self,
        key: &Key<'_>,
        new_name: Option<&str>,
        scopes: ScopeRequest<'_>,
    ) -> Result<(), Denial> {
        self.check(|role| {
            role.refuses_key(key)
                .or_else(|| new_name.and_then(|it| role.refuses_name(Some(it))))
                .or_else(|| role.refuses_scopes(scopes))
        })
    }

    /// Whether the secret of a key may be in an answer to a read.
    #[must_use]
    pub fn reveals(&self, key: &Key<'_>) -> bool {
        self.roles()
            .any(|it| it.reveal && it.refuses_key(key).is_none())
    }

    fn check(&self, refused: impl Fn(&Role) -> Option<&'static str>) -> Result<(), Denial> {
        let mut limits = Vec::new();
        for role in self.roles() {
            match refused(role) {
                None => return Ok(()),
                Some(limit) => limits.push(format!("roles.{}.{limit}", role.name)),
            }
        }
        Err(Denial {
            missing: self.accepted.clone(),
            rule: match limits.as_slice() {
                [] => "no role permits to touch keys".to_owned(),
                limits => format!("outside {}", limits.join(", ")),
            },
        })
    }
}
