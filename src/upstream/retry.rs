//! Whether and when a call is tried again. The only layer that does so.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use http::StatusCode;

use super::{Answer, Error, Request};
use crate::random::Random;

/// How often a request is sent at most.
pub const ATTEMPTS: u32 = 3;
/// The longest wait that upstream can ask for without the call being given up.
pub const LONGEST_WAIT: Duration = Duration::from_secs(2);

const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// The retries that calls have earned: one for every five calls, and a few to
/// begin with, so that a failing upstream is not made to fail more.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Budget {
    const RETRY: u32 = 10;
    const EARNED: u32 = 2;
    const FULL: u32 = 100 * Self::RETRY;

    /// A budget for ten retries.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU32::new(10 * Self::RETRY))
    }

    /// A call was made: it earns a part of a retry.
    pub fn earn(&self) {
        let more = |it: u32| (it < Self::FULL).then(|| it + Self::EARNED);
        // nothing to add once it is full
        let _ = self.0.fetch_update(Relaxed, Relaxed, more);
    }

    /// Takes a retry. False if there is none left.
    pub fn spend(&self) -> bool {
        let less = |it: u32| it.checked_sub(Self::RETRY);
        self.0.fetch_update(Relaxed, Relaxed, less).is_ok()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// How long to wait before the next of at most so many attempts; `None` if there
/// must be none.
///
/// Reads are repeated freely. Other calls only if upstream has not seen them, or
/// has refused them by 429.
#[must_use]
pub fn pause(
    request: &Request,
    attempt: u32,
    most: u32,
    result: &Result<Answer, Error>,
    random: &Random,
) -> Option<Duration> {
    if attempt >= most {
        return None;
    }
    let backoff = (FIRST_BACKOFF * 2_u32.pow(attempt - 1)).mul_f64(0.5 + random.fraction() / 2.0);
    match result {
        Ok(answer) if answer.status == StatusCode::TOO_MANY_REQUESTS => answer
            .retry_after
            .filter(|it| *it <= LONGEST_WAIT)
            .map(|it| it + backoff),
        Ok(answer) if request.repeatable && is_passing(answer.status) => Some(backoff),
        Err(Error::NotSent(..)) => Some(backoff),
        Err(Error::Lost(..)) if request.repeatable => Some(backoff),
        _ => None,
    }
}

fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}
