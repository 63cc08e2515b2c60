//! keygate's own keys at an upstream: by which ids upstream knows the credentials
//! that a client presents.
//!
//! Nobody may touch these keys through keygate, so their ids are looked for before
//! an upstream is used, again until they are found, and anew whenever the client
//! gets other credentials. Meanwhile nothing is known that could be relied on: see
//! [`Masters::are_known`]. This module knows no vendor; each says how to look in a
//! [`Seek`].

mod follow;
mod look;
mod mask;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use futures_util::future::BoxFuture;
use http::StatusCode;
use tokio::{
    sync::{Notify, watch},
    time::timeout_at,
};

pub use follow::follow;
pub use look::Look;
pub use mask::Mask;

/// The ids that were found, in time.
pub type Found<'a> = BoxFuture<'a, Result<Vec<String>, Miss>>;

/// How a vendor finds its ids of the credentials that are presented to it.
#[derive(Clone, Copy)]
pub struct Seek(pub for<'a> fn(&'a Look<'a>) -> Found<'a>);

impl fmt::Debug for Seek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seek")
    }
}

impl PartialEq for Seek {
    /// It is the vendor's, whose name tells it.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Seek {}

/// Why it is not known which keys are our own.
#[derive(Debug, thiserror::Error)]
pub enum Miss {
    /// There is no answer.
    #[error("upstream can't be asked")]
    Unanswered(#[source] super::Error),
    /// Upstream fails, or has enough of us.
    #[error("upstream answers with {0}")]
    Failing(StatusCode),
    /// Upstream does not tell.
    #[error("upstream refuses to tell, with {0}")]
    Refused(StatusCode),
    /// The answer makes no sense.
    #[error("upstream's answer makes no sense: {0}")]
    Malformed(&'static str),
    /// The vendor takes another number of credentials.
    #[error("the vendor takes another number of credentials")]
    Credentials,
    /// Upstream shows no key that a credential can be.
    #[error("{what} is none of the keys that upstream shows{}: {advice}", with(.refused))]
    Hidden {
        /// The credential: `the application key`.
        what: &'static str,
        /// The status by which upstream refused to show some.
        refused: Option<StatusCode>,
        /// What to do.
        advice: &'static str,
    },
}

fn with(refused: &Option<StatusCode>) -> String {
    let told = |it: &StatusCode| format!(" (it refuses to show some, with {it})");
    refused.as_ref().map(told).unwrap_or_default()
}

/// What is known of our own keys.
#[derive(Debug)]
pub struct Masters {
    standing: watch::Sender<Standing>,
    /// Told when other credentials are presented.
    renewed: Notify,
    /// What was logged last.
    logged: Mutex<Option<String>>,
}

#[derive(Clone, Debug)]
struct Standing {
    /// The ids, in one spelling. Those found last stay until others are found.
    ids: BTreeSet<String>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// They are being looked for.
    Sought,
    /// They are these.
    Known,
    /// They could not be found, for this reason; they are looked for again.
    Unknown(String),
}

impl Default for Masters {
    fn default() -> Self {
        let standing = Standing {
            ids: BTreeSet::new(),
            state: State::Sought,
        };
        Self {
            standing: watch::Sender::new(standing),
            renewed: Notify::new(),
            logged: Mutex::default(),
        }
    }
}

impl Masters {
    /// Whether this is the id of one of our own keys, however it is spelled.
    #[must_use]
    pub fn include(&self, id: &str) -> bool {
        self.standing.borrow().ids.contains(&canonical(id))
    }

    /// Whether all ids of our own keys are known. Waits, until then at most, for as
    /// long as they are being looked for, but not for another attempt.
    pub async fn are_known(&self, until: Instant) -> bool {
        let mut standing = self.standing.subscribe();
        let settled = standing.wait_for(|it| it.state != State::Sought);
        let settled = timeout_at(until.into(), settled).await;
        settled.is_ok_and(|it| it.is_ok_and(|it| it.state == State::Known))
    }

    /// Why they are not known, and what to do; `None` if they are.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        match &self.standing.borrow().state {
            State::Known => None,
            State::Sought => Some("they are being looked for".to_owned()),
            State::Unknown(why) => Some(why.clone()),
        }
    }

    /// Other credentials are presented: their ids are to be found.
    pub(super) fn seek_anew(&self) {
        self.standing.send_modify(|it| it.state = State::Sought);
        self.renewed.notify_one();
    }

    /// Takes in what an attempt has found, if that `still_counts`.
    fn settle(&self, found: Result<Vec<String>, String>, still_counts: impl Fn() -> bool) {
        self.standing.send_if_modified(|it| {
            let counts = still_counts();
            if counts {
                it.state = match found {
                    Ok(ids) => {
                        it.ids = ids.iter().map(|id| canonical(id)).collect();
                        State::Known
                    }
                    Err(why) => State::Unknown(why),
                };
            }
            counts
        });
    }

    /// Whether this is another fault than was logged last. It is from now on.
    fn is_news(&self, fault: Option<&str>) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = logged.as_deref() != fault;
        *logged = fault.map(str::to_owned);
        is_news
    }
}

/// One spelling of all that upstream may take for one id: those of a UUID differ in
/// case and hyphens (PostgreSQL's documentation, "UUID Type").
fn canonical(id: &str) -> String {
    let kept = id.chars().filter(|it| *it != '-');
    kept.map(|it| it.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const ID: &str = "0a0b0c0d-0000-4000-8000-00000000000e";

    #[tokio::test]
    async fn what_was_found_last_holds_until_something_else_is_found() {
        let (masters, now) = (Masters::default(), Clock::system().instant());
        assert!(!masters.are_known(now).await && !masters.include(ID));
        masters.settle(Ok(vec![ID.to_owned()]), || true);
        assert!(masters.are_known(now).await && masters.fault().is_none());
        masters.seek_anew();
        assert!(!masters.are_known(now).await && masters.include(ID));
        masters.settle(Ok(Vec::new()), || false);
        masters.settle(Err("no right".to_owned()), || true);
        assert!(!masters.are_known(now).await && masters.include(ID));
        assert_eq!(masters.fault().as_deref(), Some("no right"));
        masters.settle(Ok(Vec::new()), || true);
        assert!(masters.are_known(now).await && !masters.include(ID));
    }

    #[test]
    fn an_id_is_known_in_any_spelling() {
        let masters = Masters::default();
        masters.settle(Ok(vec![ID.to_owned()]), || true);
        for id in [
            "0A0B0C0D-0000-4000-8000-00000000000E",
            "0a0b0c0d000040008000-00000000000e",
            "0a0b-0c0d-0000-4000-8000-0000-0000-000e",
        ] {
            assert!(masters.include(id), "{id}");
        }
        for id in ["", "-", "0a0b0c0d-0000-4000-8000-00000000000f", "0a0b0c0d"] {
            assert!(!masters.include(id), "{id}");
        }
    }

    #[test]
    fn a_fault_is_news_once() {
        let masters = Masters::default();
        let news = [None, Some("a"), Some("a"), Some("b"), None, Some("b")];
        let told = news.map(|it| masters.is_news(it));
        assert_eq!(told, [false, true, false, true, true, true]);
    }
}
