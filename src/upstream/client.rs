//! The client of one upstream.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::connect::capture_connection;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Semaphore, time::timeout_at};

use super::{
    Answer, Error, Request,
    breaker::Breaker,
    credentials::Header,
    rate_limit::{Closed, RateLimits},
    retry::{self, Budget},
};
use crate::{clock::Clock, http::Client as Http, policy::Permit, random::Random};

/// What a client needs to know of its upstream.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The upstream's name: `datadog/us1/main`.
    pub name: String,
    /// Where its API is.
    pub base_url: Uri,
    /// How long one attempt may take, from the first byte out to the last one in.
    pub timeout: Duration,
    /// How many requests may be under way at once.
    pub max_concurrency: usize,
    /// How large an answer's body may be, in bytes.
    pub max_response_bytes: usize,
}

/// Credentials, and how each is presented.
pub type Credentials = Vec<(Header, SecretString)>;

/// The client of one upstream: the only holder of its credentials.
pub struct Client {
    settings: Settings,
    http: Http,
    credentials: RwLock<Arc<Credentials>>,
    slots: Semaphore,
    limits: RateLimits,
    breaker: Breaker,
    budget: Budget,
    clock: Clock,
    random: Random,
}

impl Client {
    /// A client that presents these credentials.
    #[must_use]
    pub fn new(
        settings: Settings,
        http: Http,
        credentials: Credentials,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            http,
            credentials: RwLock::new(Arc::new(credentials)),
            slots: Semaphore::new(settings.max_concurrency),
            settings,
            limits: RateLimits::new(clock.clone()),
            breaker: Breaker::new(clock.clone()),
            budget: Budget::new(),
            clock,
            random,
        }
    }

    /// The upstream's name: `datadog/us1/main`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether most of the requests are under way that may be at once: what is not
    /// urgent should wait.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.slots.available_permits() <= self.settings.max_concurrency / 4
    }

    /// Makes a call that was permitted, until `deadline` at most, and tries again
    /// where that is safe.
    ///
    /// # Errors
    /// [`Error`] if there is no answer; an answer of any status is none.
    pub async fn call(
        &self,
        permit: &Permit,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        self.attempts(permit, request, deadline, retry::ATTEMPTS)
            .await
    }

    /// The same, but whatever becomes of the only attempt, there is no other.
    ///
    /// # Errors
    /// [`Error`] if there is no answer; an answer of any status is none.
    pub async fn call_once(
        &self,
        permit: &Permit,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        self.attempts(permit, request, deadline, 1).await
    }

    async fn attempts(
        &self,
        _permit: &Permit,
        request: &Request,
        deadline: Instant,
        most: u32,
    ) -> Result<Answer, Error> {
        let before = Error::Deadline { sent: false };
        let Ok(slot) = timeout_at(deadline.into(), self.slots.acquire()).await else {
            return Err(before);
        };
        // the semaphore is never closed
        let _slot = slot.map_err(|_| Error::Deadline { sent: false })?;
        self.budget.earn();
        let mut attempt = 1;
        loop {
            self.pass_limit(request, deadline).await?;
            let result = self.attempt(request, deadline).await;
            let Some(pause) = retry::pause(request, attempt, most, &result, &self.random) else {
                return result;
            };
            let next = self.clock.instant() + pause;
            if next >= deadline || !self.budget.spend() {
                return result;
            }
            tokio::time::sleep_until(next.into()).await;
            attempt += 1;
        }
    }

    /// Waits for a limit that is used up, if that is soon.
    async fn pass_limit(&self, request: &Request, deadline: Instant) -> Result<(), Error> {
        let Some(Closed { wait, limit }) = self.limits.closed(request.route) else {
            return Ok(());
        };
        let open = self.clock.instant() + wait;
        if wait > retry::LONGEST_WAIT || open >= deadline {
            return Err(Error::RateLimited {
                retry_after: wait,
                limit,
            });
        }
        tokio::time::sleep_until(open.into()).await;
        Ok(())
    }

    async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Answer, Error> {
        if !self.breaker.allows() {
            return Err(Error::Unreachable);
        }
        let until = deadline.min(self.clock.instant() + self.settings.timeout);
        let mut outgoing = self.outgoing(request)?;
        let connection = capture_connection(&mut outgoing);
        let exchange = self.exchange(request.route, outgoing);
        let result = timeout_at(until.into(), exchange).await;
        let sent = connection.connection_metadata().is_some();
        match &result {
            Ok(Err(Error::NotSent(..))) => self.breaker.unreachable(),
            Err(_) if !sent && until < deadline => self.breaker.unreachable(),
            // a caller in a hurry says nothing about upstream
            Err(_) if !sent => {}
            _ => self.breaker.reached(),
        }
        match result {
            Ok(result) => result,
            // the caller still has time: this attempt is over, not the call
            Err(_) if until < deadline && !sent => {
                Err(Error::NotSent("no connection in time", None))
            }
            Err(_) if until < deadline => Err(Error::Lost("no answer in time", None)),
            Err(_) => Err(Error::Deadline { sent }),
        }
    }

    async fn exchange(
        &self,
        route: &'static str,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Answer, Error> {
        let answer = self.http.request(request).await.map_err(|e| {
            if e.is_connect() {
                Error::NotSent("no connection", Some(e.into()))
            } else {
                Error::Lost("the connection ended before an answer", Some(e.into()))
            }
        })?;
        let (head, body) = answer.into_parts();
        let closed = self.limits.learn(route, head.status, &head.headers);
        let body = Limited::new(body, self.settings.max_response_bytes);
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(e) if e.is::<LengthLimitError>() => return Err(Error::TooLarge),
            Err(e) => return Err(Error::Lost("the answer ended early", Some(e))),
        };
        let refused = head.status == StatusCode::TOO_MANY_REQUESTS;
        let closed = closed.filter(|_| refused);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
            retry_after: closed.as_ref().map(|it| it.wait),
            limit: closed.and_then(|it| it.limit),
        })
    }

    fn outgoing(&self, request: &Request) -> Result<http::Request<Full<Bytes>>, Error> {
        let not_sent =
            |e: http::Error| Error::NotSent("the request can't be written", Some(e.into()));
        let base = &self.settings.base_url;
        let path = format!("{}{}", base.path().trim_end_matches('/'), request.path);
        let uri = Uri::builder()
            .scheme(base.scheme_str().unwrap_or("https"))
            .authority(base.authority().map_or("", |it| it.as_str()))
            .path_and_query(path)
            .build()
            .map_err(not_sent)?;
        let body = Full::new(request.body.clone().unwrap_or_default());
        let mut outgoing = http::Request::builder()
            .method(&request.method)
            .uri(uri)
            .body(body)
            .map_err(not_sent)?;
        self.fill_headers(outgoing.headers_mut(), request.body.is_some());
        Ok(outgoing)
    }

    fn fill_headers(&self, headers: &mut HeaderMap, has_body: bool) {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const AGENT: HeaderValue =
            HeaderValue::from_static(concat!("keygate/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::USER_AGENT, AGENT);
        if has_body {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        for (header, secret) in self.credentials().iter() {
            if let Ok(value) = header.value(secret) {
                headers.insert(header.name(), value);
            }
        }
    }

    /// The credentials that it presents.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        let credentials = self.credentials.read();
        credentials.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Presents other credentials from now on, in attempts of calls under way too.
    pub fn replace_credentials(&self, credentials: Credentials) {
        let mut held = self
            .credentials
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(credentials);
    }

    /// Whether it presents this secret.
    #[must_use]
    pub fn presents(&self, secret: &str) -> bool {
        let credentials = self.credentials();
        credentials
            .iter()
            .any(|(_, it)| it.expose_secret() == secret)
    }

    /// Upstream's words to a request, fit for a caller: on one line, bounded, and
    /// without secrets, should upstream repeat any.
    #[must_use]
    pub fn clean(&self, request: &Request, words: &str) -> String {
        const LONGEST: usize = 500;
        let mut words = words.to_owned();
        let credentials = self.credentials();
        let credentials = credentials.iter().map(|(_, secret)| secret);
        for secret in credentials.chain(&request.secret) {
            words = words.replace(secret.expose_secret(), "[redacted]");
        }
        let words: String = redact_keys(&words)
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .take(LONGEST)
            .collect();
        words.trim().to_owned()
    }
}

/// Blots out whatever looks like the value of a key or token: 32 or more letters
/// and digits on end, or a UUID with more of them before or after it. Ids (UUIDs)
/// and words don't.
fn redact_keys(words: &str) -> String {
    const KEY: usize = 32;
    let words = redact(words, &['-'], holds_more_than_a_uuid);
    redact(&words, &[], |run| run.len() >= KEY)
}

/// Blots out runs of letters and digits, and of these further characters.
fn redact(words: &str, further: &[char], is_key: fn(&str) -> bool) -> String {
    let is_part = |it: char| it.is_ascii_alphanumeric() || further.contains(&it);
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(start) = rest.find(is_part) {
        let (before, run) = rest.split_at(start);
        let end = run.find(|it| !is_part(it)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        out.push_str(before);
        out.push_str(if is_key(run) { "[redacted]" } else { run });
        rest = after;
    }
    out + rest
}

/// Whether a word has the groups of a UUID (RFC 9562, section 4), the first or
/// the last of them longer than there.
fn holds_more_than_a_uuid(word: &str) -> bool {
    let groups: Vec<_> = word.split('-').collect();
    groups.windows(5).any(|groups| {
        let [first, inner @ .., last] = groups else {
            return false;
        };
        let fits = |it: &&str| it.len() == 4 && it.bytes().all(|it| it.is_ascii_hexdigit());
        let (first, last) = (first.len(), last.len());
        inner.iter().all(fits) && first >= 8 && last >= 12 && first + last > 20
    })
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_key_is_blotted_out() {
        let key = "0123456789abcdef0123456789abcdef";
        let words = format!("key {key} of 1234, {key}ff not found");
        assert_eq!(
            redact_keys(&words),
            "key [redacted] of 1234, [redacted] not found"
        );
        for words in [
            "no key é here",
            "no API key 0a0a0a0a-0000-4000-8000-000000000000",
            "no api-key-0a0a0a0a-0000-4000-8000-000000000000-either",
            "no key of-a-team-that-has-many-words-in-its-names",
        ] {
            assert_eq!(redact_keys(words), words);
        }
        assert_eq!(
            redact_keys("ddpat_0123456789ABCDEFGHIJKL_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ?"),
            "ddpat_0123456789ABCDEFGHIJKL_[redacted]?"
        );
        assert_eq!(
            redact_keys("no key xx0a0a0a0a-0000-4000-8000-000000000000, sorry"),
            "no key [redacted], sorry"
        );
    }
}
