//! Upstream's rate limits, as its answers tell them: calls wait or are refused
//! here before upstream has to.
//!
//! A limit is shared by everyone behind the same credentials, so it is kept once
//! for a client. Routes that answer with the same limit name share a bucket.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode};

use crate::clock::Clock;

/// The limits that one upstream has told of.
#[derive(Debug)]
pub struct RateLimits {
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<&'static str, String>,
    closed: HashMap<String, Instant>,
}

/// A limit that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Until it is filled again.
    pub wait: Duration,
    /// Its name, where upstream gave one.
    pub limit: Option<String>,
}

/// Longest time for which an answer can close a limit.
const LONGEST: Duration = Duration::from_secs(3600);

impl RateLimits {
    /// No limits known yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            known: Mutex::default(),
        }
    }

    /// The limit that stands in a route's way now.
    #[must_use]
    pub fn closed(&self, route: &'static str) -> Option<Closed> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = known.names.get(route).cloned();
        let until = known.closed.get(limit.as_deref().unwrap_or(route))?;
        let wait = until.saturating_duration_since(self.clock.instant());
        (!wait.is_zero()).then_some(Closed { wait, limit })
    }

    /// Learns from an answer, and tells how long it asks to wait.
    pub fn learn(
        &self,
        route: &'static str,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Closed> {
        let limit = text(headers, "x-ratelimit-name").map(str::to_owned);
        let refused = status == StatusCode::TOO_MANY_REQUESTS;
        let used_up = number(headers, "x-ratelimit-remaining") == Some(0);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = &limit
            && known.names.get(route) != Some(limit)
        {
            known.names.insert(route, limit.clone());
        }
        if !refused && !used_up {
            return None;
        }
        let reset = number(headers, "x-ratelimit-reset").map(|it| self.until(it));
        let after = number(headers, "retry-after").map(Duration::from_secs);
        let wait = match (refused, after.or(reset)) {
            (true, wait) => wait.unwrap_or(Duration::from_secs(1)),
            (false, Some(wait)) => wait,
            (false, None) => return None,
        };
        let wait = wait.min(LONGEST);
        // an answer that names no limit is about the one that the route is known to have
        let limit = limit.or_else(|| known.names.get(route).cloned());
        let bucket = limit.clone().unwrap_or_else(|| route.to_owned());
        known.closed.insert(bucket, self.clock.instant() + wait);
        Some(Closed { wait, limit })
    }

    /// Some services send seconds until the reset, some a Unix time.
    fn until(&self, reset: u64) -> Duration {
        const UNIX_TIME: u64 = 1_000_000_000;
        let seconds = if reset >= UNIX_TIME {
            reset.saturating_sub(self.clock.unix_seconds())
        } else {
            reset
        };
        Duration::from_secs(seconds)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .filter(|it| it.len() <= 128)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}
