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

impl Choice {
    /// The full names that it leaves, at least one.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::Named(name) => std::slice::from_ref(name),
            Self::Open(names) => names,
        }
    }
}

/// The addresses that leave something open, and what they mean.
#[derive(Debug, Default)]
pub struct Addresses(HashMap<String, Shared>);

/// Upstreams that an address leaves open, and the one that it means.
#[derive(Debug, Default)]
struct Shared {
    names: Vec<String>,
    default: Option<String>,
}

impl Addresses {
    /// Adds an upstream's name under the address of a request that leaves out what
    /// tells it from its like: `datadog/us1` for `datadog/us1/main`. The `default`
    /// is what that address means.
    pub fn add(&mut self, name: &str, address: &str, default: bool) {
        let shared = self.0.entry(address.to_owned()).or_default();
        shared.names.push(name.to_owned());
        if default {
            shared.default = Some(name.to_owned());
        }
    }

    /// What an address means. One that nobody configured is taken for a name.
    #[must_use]
    pub fn choose(&self, address: &str) -> Choice {
        match self.0.get(address) {
            None => Choice::Named(address.to_owned()),
            Some(shared) => match &shared.default {
                Some(default) => Choice::Named(default.clone()),
                None => Choice::Open(shared.names.clone()),
            },
        }
    }

    fn is_default(&self, name: &str) -> bool {
        let is_default = |it: &Shared| it.default.as_deref() == Some(name);
        self.0.values().any(is_default)
    }
}

/// The configured upstreams.
#[derive(Debug, Default)]
pub struct Registry {
    clients: BTreeMap<String, Arc<Client>>,
    addresses: Addresses,
}

impl Registry {
    /// Adds an upstream, as [`Addresses::add`] does.
    pub fn add(&mut self, client: Arc<Client>, address: &str, default: bool) {
        self.addresses.add(client.name(), address, default);
        self.clients.insert(client.name().to_owned(), client);
    }

    /// What an address means, as [`Addresses::choose`] tells.
    #[must_use]
    pub fn choose(&self, address: &str) -> Choice {
        self.addresses.choose(address)
    }

    /// The client of a full name.
    #[must_use]
    pub fn client(&self, name: &str) -> Option<&Arc<Client>> {
        self.clients.get(name)
    }

    /// Whether a key, wherever it is, is one that any of the clients presents: two of
    /// them can be of one organization. By its value or its id, which may be the same.
    #[must_use]
    pub fn is_own(&self, id: Option<&str>, secret: Option<&str>) -> bool {
        self.clients.values().any(|it| it.is_own(id, secret))
    }

    /// Every upstream by name, in order, and whether it is a default.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        let names = self.clients.keys();
        names.map(|name| (name.as_str(), self.addresses.is_default(name)))
    }
}
