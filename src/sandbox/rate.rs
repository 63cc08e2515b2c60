//! A fixed-window request counter, as rate-limited APIs report one.
//!
//! It counts and says where the window stands; how that is told to a client
//! (which headers, which body) is the vendor's.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A limit.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What the vendor calls it.
    pub name: String,
    /// Requests admitted in a window.
    pub requests: u64,
    /// The window's length.
    pub period: Duration,
}

/// Where the window stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the request is within the limit.
    pub admitted: bool,
    /// Requests left in this window.
    pub remaining: u64,
    /// Until the window ends.
    pub reset: Duration,
}

/// The counter. A window begins with its first request.
#[derive(Debug)]
pub struct Window {
    limit: Limit,
    current: Mutex<Option<(Instant, u64)>>,
}

impl Window {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        Self {
            limit,
            current: Mutex::new(None),
        }
    }

    /// The limit.
    #[must_use]
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Counts a request at `now`. One that is refused is not counted.
    pub fn count(&self, now: Instant) -> Standing {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, used) = match *current {
            Some((begin, used)) if now.duration_since(begin) < self.limit.period => (begin, used),
            _ => (now, 0),
        };
        let admitted = used < self.limit.requests;
        let used = used + u64::from(admitted);
        *current = Some((begin, used));
        Standing {
            admitted,
            remaining: self.limit.requests - used,
            reset: self.limit.period.saturating_sub(now.duration_since(begin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_window_refuses_what_is_over_and_starts_anew() {
        let period = Duration::from_secs(10);
        let window = Window::new(Limit {
            name: "keys".to_owned(),
            requests: 2,
            period,
        });
        let begin = Clock::system().instant();
        assert_eq!(
            window.count(begin),
            Standing {
                admitted: true,
                remaining: 1,
                reset: period
            }
        );
        assert!(window.count(begin).admitted);
        let refused = window.count(begin + Duration::from_secs(4));
        assert_eq!(
            refused,
            Standing {
                admitted: false,
                remaining: 0,
                reset: Duration::from_secs(6)
            }
        );
        assert!(window.count(begin + period).admitted);
    }
}
