//! The proof that a call was permitted, and the limits that come with it.

use std::sync::Arc;

use super::{
    deny::Entry,
    role::{Key, Ownership, Role},
};

/// What a call does to a key, as far as a role limits it.
#[derive(Clone, Copy, Debug)]
pub struct Touch<'a> {
    /// The key, if it exists. `None`: the call makes one out of nothing.
    pub key: Option<Key<'a>>,
    /// The name that the call gives, if it gives one.
    pub name: Option<&'a str>,
    /// The scopes that the key has afterwards: those that it is given, and those
    /// that it keeps.
    pub scopes: ScopeRequest<'a>,
}

impl<'a> Touch<'a> {
    /// A call that leaves the key as it is, or removes it.
    #[must_use]
    pub fn of(key: Key<'a>) -> Self {
        Self {
            key: Some(key),
            name: None,
            scopes: ScopeRequest::NotApplicable,
        }
    }
}

/// The scopes that a key or token has after a call.
#[derive(Clone, Copy, Debug)]
pub enum ScopeRequest<'a> {
    /// It has none, as API keys, or the call is not about what it may do.
    NotApplicable,
    /// None at all: the key may do whatever its owner may. Also where it can't be
    /// known.
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
    pub(super) version: Arc<str>,
    pub(super) roles: Vec<Granted>,
}

/// A role that permits a call, and the first grant that gives it.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) grant: usize,
    pub(super) role: Arc<Role>,
}

impl Granted {
    fn rule(&self) -> String {
        format!("grants[{}] roles.{}", self.grant, self.role.name)
    }
}

/// Why the policy says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct Denial {
    /// Permissions any one of which, without the limit in the way, would do. None:
    /// no permission would.
    pub missing: Vec<String>,
    /// Why, for the person who reads the trail. It names roles and limits of the
    /// policy, never a key.
    pub rule: String,
}

impl Denial {
    /// That of an entry of `[deny]`, which no permission outweighs.
    pub(super) fn by(entry: Entry) -> Self {
        Self {
            missing: Vec::new(),
            rule: entry.to_string(),
        }
    }
}

impl Permit {
    /// The gateway's own, to look for what became of a call that was permitted: it
    /// reads, and tells nobody but the trail.
    pub(crate) fn to_reconcile() -> Self {
        Self {
            permission: None,
            accepted: Vec::new(),
            version: "".into(),
            roles: Vec::new(),
        }
    }

    /// The permission that allowed the call. `None`: it needs none.
    #[must_use]
    pub fn permission(&self) -> Option<&str> {
        self.permission.as_deref()
    }

    /// The rule that decided: `grants[0] roles.key-admin`, the first that fits.
    #[must_use]
    pub fn rule(&self) -> String {
        let first = self.roles.first();
        first.map_or_else(|| "any caller".to_owned(), Granted::rule)
    }

    /// The version of the policy that decided.
    #[must_use]
    pub fn policy_version(&self) -> &str {
        &self.version
    }

    /// The roles that permit the call, in the order of their grants.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().map(|it| &*it.role)
    }

    /// Whether it can matter who made a key. Where it can't, any answer leads to
    /// the same decision.
    #[must_use]
    pub fn needs_owner(&self) -> bool {
        self.needs(|it| it.keys == Ownership::Any)
    }

    /// Whether it can matter what a key's name is.
    #[must_use]
    pub fn needs_name(&self) -> bool {
        self.needs(Role::any_name)
    }

    /// Whether it can matter which scopes a key has.
    #[must_use]
    pub fn needs_scopes(&self) -> bool {
        self.needs(Role::any_scopes)
    }

    /// Whether a role with a limit adds anything to those without it.
    fn needs(&self, is_free: impl Fn(&Role) -> bool) -> bool {
        self.roles()
            .filter(|it| !is_free(it))
            .any(|it| !self.roles().any(|other| is_free(other) && other.covers(it)))
    }

    /// Whether a call may do that to a key. Tells the rule that decided: of the
    /// roles that permit the call, the first that allows all of it.
    ///
    /// # Errors
    /// [`Denial`] if no role does.
    pub fn check(&self, touch: &Touch<'_>) -> Result<String, Denial> {
        self.first_that(|role| role.refuses(touch))
    }

    /// Whether a call may touch a key, as far as its owner tells. What this denies,
    /// [`Self::check`] denies with the same words.
    ///
    /// # Errors
    /// [`Denial`] if no role does, whatever else the key is.
    pub fn check_owner(&self, own: bool) -> Result<String, Denial> {
        self.first_that(|role| role.refuses_owner(own))
    }

    /// The rule of the first role that refuses nothing.
    fn first_that(
        &self,
        refuses: impl Fn(&Role) -> Option<&'static str>,
    ) -> Result<String, Denial> {
        let mut limits = Vec::new();
        for granted in &self.roles {
            match refuses(&granted.role) {
                None => return Ok(granted.rule()),
                Some(limit) => limits.push(format!("roles.{}.{limit}", granted.role.name)),
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

    /// Whether a call may read or remove a key: [`Self::check`] where it does not
    /// matter which rule decides.
    #[must_use]
    pub fn reaches(&self, key: &Key<'_>) -> bool {
        let touch = Touch::of(*key);
        self.roles().any(|it| it.refuses(&touch).is_none())
    }

    /// Whether the secret of a key may be in an answer to a read.
    #[must_use]
    pub fn reveals(&self, key: &Key<'_>) -> bool {
        let touch = Touch::of(*key);
        self.roles()
            .any(|it| it.reveal && it.refuses(&touch).is_none())
    }
}
