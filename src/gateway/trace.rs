//! How the effect of a change is looked for whose answer was lost.
//!
//! Each change describes it ([`super::Operation::trace`]) from what the trail still
//! knows of the call ([`Sought`]). Nothing is asked and nothing decided here: that
//! is [`super::reconcile`]'s.

use std::time::SystemTime;

use prost_types::Timestamp;
use secrecy::SecretString;
use serde_json::value::RawValue;

use super::{
    Failure, Operation, Pages,
    interpret::{self, Asked, Told},
    operation::{Answer as _, Found, Vendor},
    stream::Paging,
};
use crate::{
    json::Malformed,
    upstream::{self, Answer, Request},
};

/// What the trail knows of a call that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    /// Where it went: `coveo/us/my-org`.
    pub upstream: &'a str,
    /// The id of the key that it was about.
    pub id: Option<&'a str>,
    /// The name that it gave, unless the trail has only a part of it.
    pub name: Option<&'a str>,
    /// What the key belongs to: a service account's id.
    pub parent: Option<&'a str>,
    /// When upstream may have made what it made, at the earliest.
    pub from: SystemTime,
    /// The same, at the latest.
    pub to: SystemTime,
}

impl Sought<'_> {
    /// The time from which on upstream may have made it, for a query.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.from.into()
    }

    /// The time up to which upstream may have made it, for a query.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.to.into()
    }
}

/// Where the effect of a change shows.
pub enum Trace {
    /// It made a key: that is in this list, under its name.
    Made(Made),
    /// It removed a key: that is not here any more.
    Removed(Look),
    /// It changed settings of a key: they are here.
    Changed(Look),
    /// Nowhere, for this reason.
    Untold(&'static str),
}

impl Trace {
    /// The trail does not know which key it is about.
    pub const UNNAMED: Self = Self::Untold("the record does not name the key");
}

/// Where a key is looked for that was made.
pub struct Made {
    /// The list.
    pub list: Look,
    /// A read of one key by its id, where that shows its value.
    pub show: Option<Show>,
    /// Whether it may have taken the place of another key, with that one's id.
    pub in_place: bool,
}

/// A read of one key by its id.
pub type Show = Box<dyn Fn(&str) -> Request + Send + Sync>;

/// A read.
pub struct Look {
    /// What is asked.
    pub request: Request,
    /// Whether it is for a list: then it is not the key that is missing if upstream
    /// has no such thing.
    pub is_list: bool,
    /// How the answer is read.
    pub(super) reader: Reader,
    /// How the list is walked, where it has pages.
    pub(super) pages: Option<Leaves>,
}

/// How a vendor's answers are read.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) keys: fn(&[u8]) -> Result<Vec<&RawValue>, Malformed>,
    pub(super) found: fn(&RawValue) -> Found,
    pub(super) secret: fn(&RawValue) -> Option<SecretString>,
    pub(super) setting: for<'k> fn(&'k RawValue, &str) -> Option<&'k RawValue>,
    pub(super) interpret: Interpret,
}

type Interpret = fn(&Asked<'_>, Result<Answer, upstream::Error>) -> (Told, Result<Answer, Failure>);

/// How the pages of a list are read.
#[derive(Clone, Copy)]
pub(super) struct Leaves {
    pub(super) paging: Paging,
    /// How much a page says that there is on all pages.
    pub(super) total: fn(&[u8]) -> Option<u64>,
}

impl Look {
    /// At one key, by its id.
    #[must_use]
    pub fn one<V: Vendor>(request: Request) -> Self {
        Self {
            request,
            is_list: false,
            reader: Reader {
                keys: V::keys,
                found: V::found,
                secret: V::secret,
                setting: V::setting,
                interpret: interpret::answer::<V>,
            },
            pages: None,
        }
    }

    /// At a list that comes whole.
    #[must_use]
    pub fn list<V: Vendor>(request: Request) -> Self {
        Self {
            is_list: true,
            ..Self::one::<V>(request)
        }
    }

    /// At a list that comes in the pages of a stream.
    #[must_use]
    pub fn pages<O: Pages>(request: Request) -> Self {
        let total = |body: &[u8]| O::Response::read(body).ok().and_then(|it| O::total(&it));
        Self {
            pages: Some(Leaves {
                paging: O::PAGING,
                total,
            }),
            ..Self::list::<O::Vendor>(request)
        }
    }
}

/// An operation, as far as its effect can be looked for.
#[derive(Clone, Copy, Debug)]
pub struct Tracer {
    /// Its method in the contract.
    pub method: &'static str,
    /// Where its effect shows; `None` for operations that have none.
    pub trace: fn(&Sought<'_>) -> Option<Trace>,
}

impl Tracer {
    /// That of an operation.
    #[must_use]
    pub const fn of<O: Operation>() -> Self {
        Self {
            method: O::METHOD,
            trace: O::trace,
        }
    }
}
