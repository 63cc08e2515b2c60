//! Calls to one upstream: its client, credentials, limits and retries.
//!
//! A call needs a [`Permit`](crate::policy::Permit): there is no way to reach an
//! upstream that no policy decided on, but for the look for our own keys
//! ([`masters`]), which nobody asks for. What comes back says whether upstream
//! can have seen the request, because that decides what a caller may be told.
//! This module knows no vendor.

pub mod breaker;
pub mod client;
pub mod credentials;
pub mod masters;
pub mod rate_limit;
mod redact;
pub mod registry;
pub mod retry;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use secrecy::SecretString;

pub use client::{Client, Settings};
pub use registry::Registry;

/// A request in upstream's terms.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, encoded.
    pub path: String,
    /// The route it goes to, with its parameters unfilled: a name for limits.
    pub route: &'static str,
    /// The JSON body.
    pub body: Option<Bytes>,
    /// Whether upstream ends in the same state however often it is sent.
    pub repeatable: bool,
    /// A secret that the path holds: it is kept out of whatever upstream repeats.
    pub secret: Option<SecretString>,
    /// Whether keygate sends it for itself, and upstream can see that it does.
    pub for_itself: bool,
}

impl Request {
    /// A request without a body. Only a `GET` is repeatable.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>, route: &'static str) -> Self {
        Self {
            repeatable: method == Method::GET,
            method,
            path: path.into(),
            route,
            body: None,
            secret: None,
            for_itself: false,
        }
    }
}

/// An answer, of whatever status.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
    /// Where the answer says when to come back: how long to wait.
    pub retry_after: Option<Duration>,
    /// Where the answer names it: the limit that was hit.
    pub limit: Option<String>,
}

impl Answer {
    /// What upstream's clock showed, to the second.
    #[must_use]
    pub fn date(&self) -> Option<SystemTime> {
        let date = self.headers.get(header::DATE)?.to_str().ok()?;
        httpdate::parse_http_date(date).ok()
    }

    /// Upstream's own id of the request, for its support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        const HEADERS: [&str; 4] = [
            "x-request-id",
            "dd-request-id",
            "x-dd-request-id",
            "x-bt-internal-trace-id",
        ];
        HEADERS
            .iter()
            .find_map(|name| self.headers.get(*name))
            .and_then(|it| it.to_str().ok())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Upstream has not seen the request.
    #[error("the request was not sent: {0}")]
    NotSent(&'static str, #[source] Option<Cause>),
    /// Upstream could not be reached lately: the request was not sent.
    #[error("upstream could not be reached lately")]
    Unreachable,
    /// Upstream may have seen the request, and its answer is lost.
    #[error("the answer was lost: {0}")]
    Lost(&'static str, #[source] Option<Cause>),
    /// Time was up.
    #[error("time was up")]
    Deadline {
        /// Whether upstream may have seen the request.
        sent: bool,
    },
    /// A limit that upstream told of is used up: the request was not sent.
    #[error("upstream's rate limit is used up")]
    RateLimited {
        /// When it is filled again.
        retry_after: Duration,
        /// Its name.
        limit: Option<String>,
    },
    /// The answer is larger than allowed.
    #[error("the answer is larger than allowed")]
    TooLarge,
}

/// What lies under an [`Error`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// Whether upstream can have seen the request.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::NotSent(..) | Self::Unreachable | Self::RateLimited { .. } => false,
            Self::Deadline { sent } => *sent,
            Self::Lost(..) | Self::TooLarge => true,
        }
    }
}
