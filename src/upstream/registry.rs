//! The configured upstreams, and which one a request means.
//!
//! A request gives an address: an upstream's whole name, or as much of one as
//! its caller has to know. This module does not know what the parts of either
//! mean.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::Client;

/// Whether this can be the last part of an upstream's name, which people choose
/// or a vendor gives out: what can't, nobody has configured.
#[must_use]
pub fn is_last_part(text: &str) -> bool {
    const LONGEST: usize = 64;
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
    let starts = text.starts_with(|it: char| it.is_ascii_alphanumeric());
    starts && text.len() <= LONGEST && text.bytes().all(is_plain)
}

/// What [`is_last_part`] asks for, in words.
pub const LAST_PART: &str =
    "1 to 64 letters, digits, `.`, `_` and `-`, the first a letter or digit";

/// Which upstream a request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one of this full name, whether it is configured or not.
    Named(String),
    /// One of these: the caller has to say which, for none is the default.
    Open(Vec<String>),
}

/// The configured upstreams.
#[derive(Debug, Default)]
pub struct Registry {
    clients: BTreeMap<String, Arc<Client>>,
    shared: HashMap<String, Shared>,
}

/// Upstreams that an address leaves open, and the one that it means.
#[derive(Debug, Default)]
struct Shared {
    names: Vec<String>,
    default: Option<String>,
}

impl Registry {
    /// Adds an upstream under its name, and under the address of a request that
    /// leaves out what tells it from its like: `datadog/us1` for
    /// `datadog/us1/main`. The `default` is what that address means.
    pub fn add(&mut self, client: Arc<Client>, address: &str, default: bool) {
        let name = client.name().to_owned();
        let shared = self.shared.entry(address.to_owned()).or_default();
        shared.names.push(name.clone());
        if default {
            shared.default = Some(name.clone());
        }
        self.clients.insert(name, client);
    }

    /// What an address means. One that nobody configured is taken for a name.
    #[must_use]
    pub fn choose(&self, address: &str) -> Choice {
        match self.shared.get(address) {
            None => Choice::Named(address.to_owned()),
            Some(shared) => match &shared.default {
                Some(default) => Choice::Named(default.clone()),
                None => Choice::Open(shared.names.clone()),
            },
        }
    }

    /// The client of a full name.
    #[must_use]
    pub fn client(&self, name: &str) -> Option<&Arc<Client>> {
        self.clients.get(name)
    }

    /// Every upstream by name, in order, and whether it is a default.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.clients.keys().map(|name| {
            let is_default = |it: &Shared| it.default.as_ref() == Some(name);
            (name.as_str(), self.shared.values().any(is_default))
        })
    }
}
