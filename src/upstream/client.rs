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
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Answer, Error, Request,
    breaker::Breaker,
    credentials::Header,
    masters::{Masters, Seek},
    rate_limit::{Closed, RateLimits},
    redact::redact_keys,
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
    /// How our own keys are found there.
    pub seek: Seek,
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
    masters: Arc<Masters>,
    gone: DropGuard,
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
            masters: Arc::default(),
            gone: CancellationToken::new().drop_guard(),
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
        _permit: &Permit,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        self.attempts(request, deadline, retry::ATTEMPTS).await
    }

    /// The same, but whatever becomes of the only attempt, there is no other.
    ///
    /// # Errors
    /// [`Error`] if there is no answer; an answer of any status is none.
    pub async fn call_once(
        &self,
        _permit: &Permit,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        self.attempts(request, deadline, 1).await
    }

    /// Reads what only we ask for.
    pub(super) async fn look(&self, request: &Request, deadline: Instant) -> Result<Answer, Error> {
        self.attempts(request, deadline, retry::ATTEMPTS).await
    }

    async fn attempts(
        &self,
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
        self.fill_headers(outgoing.headers_mut(), request);
        Ok(outgoing)
    }

    fn fill_headers(&self, headers: &mut HeaderMap, request: &Request) {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const AGENT: HeaderValue =
            HeaderValue::from_static(concat!("keygate/", env!("CARGO_PKG_VERSION")));
        const FOR_ITSELF: HeaderValue =
            HeaderValue::from_static(concat!("keygate/", env!("CARGO_PKG_VERSION"), " own-keys"));
        let agent = if request.for_itself {
            FOR_ITSELF
        } else {
            AGENT
        };
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::USER_AGENT, agent);
        if request.body.is_some() {
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
        drop(held);
        self.masters.seek_anew();
    }

    /// What is known of our own keys there.
    #[must_use]
    pub fn masters(&self) -> &Arc<Masters> {
        &self.masters
    }

    /// How they are found.
    pub(super) fn seek(&self) -> Seek {
        self.settings.seek
    }

    /// Resolves when nobody has this client any more.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.token().clone()
    }

    /// Whether a key is one that it presents itself, by its value or its id, which
    /// may be the same.
    #[must_use]
    pub fn is_own(&self, id: Option<&str>, secret: Option<&str>) -> bool {
        let credentials = self.credentials();
        let presents = |secret: &str| {
            let mut all = credentials.iter();
            all.any(|(_, it)| it.expose_secret().eq_ignore_ascii_case(secret))
        };
        secret.is_some_and(presents) || id.or(secret).is_some_and(|it| self.masters.include(it))
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
