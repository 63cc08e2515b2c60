//! How far keygate goes with an upstream.

use std::{path::PathBuf, time::Duration};

use super::values::{Certificates, duration};
use crate::settings::Table;

/// How far keygate goes with an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one request may take, to the end of its answer.
    pub timeout: Duration,
    /// Requests at once.
    pub max_concurrency: usize,
    /// The largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Certificates (PEM) to trust instead of the machine's.
    pub ca: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(10),
            max_concurrency: 64,
            max_response_bytes: 8 << 20,
            ca: None,
        }
    }
}

impl Limits {
    pub(super) fn read(table: &mut Table<'_>) -> Self {
        const MS: Duration = Duration::from_millis(1);
        const MOST: Duration = Duration::from_secs(600);
        let it = Self::default();
        Self {
            connect_timeout: duration(table, "connect_timeout", it.connect_timeout, MS..=MOST),
            timeout: duration(table, "timeout", it.timeout, MS..=MOST),
            max_concurrency: table.number("max_concurrency", it.max_concurrency, 1..=65_536),
            max_response_bytes: table.number(
                "max_response_bytes",
                it.max_response_bytes,
                1024..=1 << 30,
            ),
            ca: table.optional::<Certificates>("ca").map(|it| it.path),
        }
    }
}
