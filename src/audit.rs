//! The audit trail: who did what, on which key, with what result.
//!
//! [`Trail`] promises that a record whose position was handed out is on disk, in
//! an order that never changes, and that after the first write that failed
//! nothing is accepted any more. Who owns a key is a projection of the trail,
//! written in the same transaction as the record that says so. [`Reader`] reads
//! a trail, also while a server writes to it.
//!
//! A record never holds a secret, only its [`Fingerprint`]. This module knows no
//! policy, no transport and no upstream: it stores what it is told.

use std::fmt;

pub mod checkpoint;
mod debts;
mod error;
mod filter;
mod fingerprint;
mod line;
mod names;
pub mod note;
mod ocsf;
mod owners;
mod reader;
mod reading;
pub mod receipt;
mod record;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod trail;
pub mod tree;
mod unresolved;
mod upkeep;
pub mod verify;
mod writer;

pub use error::{Advice, Error};
pub use filter::Filter;
pub use fingerprint::{Fingerprint, Fingerprinter, ParseFingerprintError};
pub use line::{line, plain_json};
pub use names::{Finding, Kind, Outcome, ParseNameError};
pub use ocsf::ocsf;
pub use reader::{Order, Query, Reader, Records, Stored};
pub use receipt::Receipt;
pub use record::{Caller, Change, Peer, Pruned, Record, Resource};
pub(crate) use record::{cut, is_cut};
pub use settings::{Location, ORIGIN, Settings};
pub use store::{migrate, postgres};
pub use trail::{Appended, Trail};
pub use unresolved::Unresolved;
pub use upkeep::{Mandate, Pruning};
pub use writer::Availability;

/// A record's place in the trail, counted from 0 without a gap: the order in
/// which records were committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is appended in one piece: a record, and what it changes about keys.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// What it says about the owners of keys.
    pub projections: Vec<Projection>,
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        Self {
            record,
            projections: Vec::new(),
        }
    }
}

/// What a succeeded outcome says about the owner of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// The key was made by `owner`. A key that exists keeps its first owner.
    Created {
        /// The upstream: `datadog/us1/main`.
        upstream: String,
        /// The type of the resource: `api_key`.
        resource_type: String,
        /// What the key is known by: its id upstream, or its secret's fingerprint.
        id: String,
        /// Who made it.
        owner: Owner,
    },
    /// The key was deleted. Whose it was stays known.
    Removed {
        /// The upstream: `datadog/us1/main`.
        upstream: String,
        /// The type of the resource: `api_key`.
        resource_type: String,
        /// What the key is known by: its id upstream, or its secret's fingerprint.
        id: String,
    },
}

impl Projection {
    /// Whether it is about the very key that a record is about.
    #[must_use]
    pub fn is_about(&self, record: &Record) -> bool {
        let (Self::Created { id, .. } | Self::Removed { id, .. }) = self;
        let resource = record.resource.as_ref();
        resource.and_then(|it| it.id.as_ref()) == Some(id)
    }
}

/// Who made a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The issuer of the token that it was made with.
    pub issuer: String,
    /// The subject, as this issuer names it.
    pub subject: String,
}
