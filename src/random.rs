//! The one place that randomness comes from.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use uuid::Uuid;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Where random bytes come from.
pub trait Source: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// A shared source of randomness. Cheap to clone.
#[derive(Clone)]
pub struct Random(Arc<dyn Source>);

impl Random {
    /// The process's own generator, seeded by the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::from_source(System)
    }

    /// A source of one's own, for tests.
    #[must_use]
    pub fn from_source(source: impl Source + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        self.0.fill(&mut buffer);
        buffer
    }

    /// A random UUID (version 4).
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A UUID that sorts by time (version 7).
    #[must_use]
    pub fn uuid_at(&self, time: SystemTime) -> Uuid {
        let millis = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// This many letters and digits, each as likely as any other.
    #[must_use]
    pub fn base62(&self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        while text.len() < length {
            let [byte] = self.bytes();
            // The bytes over the last whole multiple of 62 would favour some digits.
            if byte < 248 {
                text.push(char::from(BASE62[usize::from(byte % 62)]));
            }
        }
        text
    }

    /// A number in `0.0 .. 1.0`.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        f64::from(u32::from_le_bytes(self.bytes())) / (f64::from(u32::MAX) + 1.0)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

struct System;

impl Source for System {
    #[allow(clippy::disallowed_methods)] // this is the one place
    fn fill(&self, buffer: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), buffer);
    }
}
