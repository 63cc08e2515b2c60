//! The key that a question to the policy is about.

use crate::{
    contract::Effect,
    policy::{Key, ScopeRequest, Touch},
};

/// What is told of a key. What is not told is left out of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyFacts {
    /// Its name; that of a new key too.
    pub(super) name: Option<String>,
    /// Whether the caller made it through the gateway.
    pub(super) own: Option<bool>,
    /// The name that it, or its copy, is given.
    pub(super) new_name: Option<String>,
    /// The scopes that it has afterwards.
    pub(super) scopes: Option<Vec<String>>,
    /// Whether it has no scopes afterwards, and all its owner's rights.
    pub(super) unscoped: bool,
}

impl KeyFacts {
    /// What a call of that effect does to the key.
    pub(super) fn touch(&self, effect: Effect) -> Touch<'_> {
        let scopes = match &self.scopes {
            _ if self.unscoped => ScopeRequest::Unscoped,
            Some(scopes) => ScopeRequest::Scopes(scopes),
            None => ScopeRequest::NotApplicable,
        };
        let name = self.name.as_deref();
        // one that is copied or replaced has an owner or gets another name
        let exists = self.own.is_some() || self.new_name.is_some();
        if effect == Effect::Create && !exists {
            return Touch {
                key: None,
                name,
                scopes,
            };
        }
        Touch {
            key: Some(Key {
                name,
                own: self.own.unwrap_or_default(),
            }),
            name: self.new_name.as_deref(),
            scopes,
        }
    }
}
