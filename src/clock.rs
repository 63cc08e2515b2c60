//! The one place that time comes from.
//!
//! [`Clock::system`] is the machine's; a test holds one of its own and moves it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// Where time comes from.
pub trait Source: Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;
    /// A time that only moves forward, for durations and deadlines.
    fn instant(&self) -> Instant;
}

/// A shared clock. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_source(System)
    }

    /// A clock of one's own, for tests.
    #[must_use]
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.0.now()
    }

    /// A time that only moves forward, for durations and deadlines.
    #[must_use]
    pub fn instant(&self) -> Instant {
        self.0.instant()
    }

    /// Seconds since the Unix epoch; 0 before it.
    #[must_use]
    pub fn unix_seconds(&self) -> u64 {
        self.now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

struct System;

#[allow(clippy::disallowed_methods)] // this is the one place
impl Source for System {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A time of day as RFC 3339 in UTC, with nanoseconds where there are any.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    prost_types::Timestamp::from(time).to_string()
}
