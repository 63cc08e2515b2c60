//! A role: what it permits, and the limits within which it does.

use super::{ScopeRequest, Touch, upstream::Pattern};
use crate::glob;

/// A role of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    pub(super) name: String,
    pub(super) permissions: Vec<String>,
    pub(super) upstreams: Vec<Pattern>,
    pub(super) names: Vec<String>,
    pub(super) keys: Ownership,
    pub(super) reveal: bool,
    pub(super) max_scopes: Vec<String>,
    pub(super) allow_unscoped: bool,
}

/// Whose keys a role may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Those that the caller made through the gateway.
    Own,
    /// Any.
    Any,
}

/// A key that a call touches.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// Its name, if that is known: a role that narrows names does not reach a
    /// key whose name is not known.
    pub name: Option<&'a str>,
    /// Whether the caller made it through the gateway.
    pub own: bool,
}

impl Role {
    /// The name in the policy.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The permissions; `*` is every one.
    #[must_use]
    pub fn permissions(&self) -> &[String] {
        &self.permissions
    }

    /// The upstreams on which it holds.
    #[must_use]
    pub fn upstreams(&self) -> &[Pattern] {
        &self.upstreams
    }

    /// Patterns of the names of keys that it may create or touch.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whose keys it may touch.
    #[must_use]
    pub fn keys(&self) -> Ownership {
        self.keys
    }

    /// Whether secrets in answers to reads are left in.
    #[must_use]
    pub fn reveal(&self) -> bool {
        self.reveal
    }

    /// Ceiling for the scopes of keys and tokens that it makes or changes.
    #[must_use]
    pub fn max_scopes(&self) -> &[String] {
        &self.max_scopes
    }

    /// Whether it may make keys that no scope limits.
    #[must_use]
    pub fn allow_unscoped(&self) -> bool {
        self.allow_unscoped
    }

    pub(super) fn permits(&self, permission: &str) -> bool {
        self.permissions
            .iter()
            .any(|it| it == "*" || it == permission)
    }

    /// Whether names don't matter to it.
    pub(super) fn any_name(&self) -> bool {
        self.names.iter().any(|it| glob::is_all(it))
    }

    /// Whether scopes don't matter to it.
    pub(super) fn any_scopes(&self) -> bool {
        self.allow_unscoped && self.max_scopes.iter().any(|it| glob::is_all(it))
    }

    /// The limit that a call would pass with what it does to a key, if it would.
    pub(super) fn refuses(&self, touch: &Touch<'_>) -> Option<&'static str> {
        let Touch { key, name, scopes } = touch;
        if let Some(limit) = key.and_then(|it| self.refuses_owner(it.own)) {
            return Some(limit);
        }
        let names = match key {
            Some(key) => self.allows_name(key.name) && (name.is_none() || self.allows_name(*name)),
            None => self.allows_name(*name),
        };
        if !names {
            return Some("names");
        }
        match scopes {
            ScopeRequest::NotApplicable => None,
            ScopeRequest::Unscoped => (!self.allow_unscoped).then_some("allow_unscoped"),
            ScopeRequest::Scopes(all) => {
                let within = all.iter().all(|it| glob::any(&self.max_scopes, it));
                (!within).then_some("max_scopes")
            }
        }
    }

    /// The limit that touching a key would pass for its owner alone, if it would.
    pub(super) fn refuses_owner(&self, own: bool) -> Option<&'static str> {
        (self.keys == Ownership::Own && !own).then_some("keys")
    }

    /// Whether it allows a name. `None`: one that is not known.
    fn allows_name(&self, name: Option<&str>) -> bool {
        self.any_name() || name.is_some_and(|it| glob::any(&self.names, it))
    }

    /// Whether it surely allows, on a key, all that another does. It may say no
    /// where the answer is yes.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let within = |ours: &[String], theirs: &[String]| {
            ours.iter().any(|it| glob::is_all(it)) || theirs.iter().all(|it| ours.contains(it))
        };
        (self.keys == Ownership::Any || other.keys == Ownership::Own)
            && within(&self.names, &other.names)
            && (self.reveal || !other.reveal)
            && within(&self.max_scopes, &other.max_scopes)
            && (self.allow_unscoped || !other.allow_unscoped)
    }
}
