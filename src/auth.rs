//! Who calls: a bearer JWT becomes a [`Caller`], or the call is refused.
//!
//! A token is held to RFC 8725, and to what its successor
//! (draft-ietf-oauth-rfc8725bis) adds for signed tokens: names of algorithms are
//! taken letter for letter, and only the compact form is a token. Its issuer is
//! looked up by `iss`, the key by `kid`, and the algorithm has to be both one that
//! the issuer is allowed and the one that the key is for. Nothing that a token
//! brings along (`jku`, `x5u`, `jwk`, `x5c`) is ever used or fetched. Claims are
//! looked at only after the signature has been verified, and every claim that is
//! checked is required.
//!
//! This module knows no policy: it says who calls, never what they may do.

use std::{sync::Arc, time::SystemTime};

use aws_lc_rs::digest;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    clock::Clock,
    settings::{Fault, Faults},
    tasks::Tasks,
};

mod algorithm;
mod cache;
mod claims;
mod error;
mod issuer;
mod jwks;
mod jws;
mod keys;
mod strict_json;
#[cfg(test)]
mod vectors;

pub use algorithm::Algorithm;
pub use error::{Error, Reason};
pub use issuer::{Fetching, Issuer, Keys, TokenType};

/// The most that a token may have, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// How many verified tokens are remembered.
const REMEMBERED_TOKENS: usize = 10_000;

/// Who calls, as a verified token says. Holds no part of the token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The token's issuer (`iss`): one of the configured ones.
    pub issuer: String,
    /// The token's subject (`sub`). Never empty.
    pub subject: String,
    /// The values of the issuer's roles claim, in the token's order.
    pub claims: Vec<String>,
    /// The token's id (`jti`), where it has one.
    pub token_id: Option<String>,
    /// When the token ends: by its `exp`, or earlier by the age that its issuer's
    /// tokens may have.
    pub expires_at: SystemTime,
    /// The names (URIs and host names) in the verified client certificate of the
    /// call's connection. No token brings any.
    pub certificate_names: Arc<[String]>,
}

/// The bearer token of a request.
///
/// # Errors
/// [`Error::Missing`] if there is none (another scheme is none), and
/// [`Error::Invalid`] if there are several, or one that is too long.
pub fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all.next().ok_or(Error::Missing)?;
    if all.next().is_some() {
        return Err(Reason::ManyTokens.into());
    }
    let value = value.to_str().map_err(|_| Reason::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(Error::Missing)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Error::Missing);
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Reason::TooLong.into());
    }
    Ok(token)
}

/// Turns tokens into callers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Vec<Trusted>,
    cache: cache::Cache,
    clock: Clock,
}

#[derive(Debug)]
struct Trusted {
    settings: Issuer,
    keys: jwks::Source,
}

impl Authenticator {
    /// Loads keys that are in files and shared secrets, and begins to fetch the
    /// other keys. Must be called on a Tokio runtime.
    ///
    /// What `before` has fetched of an address goes on to be used where the settings
    /// say the same of it; for the rest of its addresses, fetching ends when it is
    /// dropped.
    ///
    /// # Errors
    /// Every fault of the issuers' settings and files. An issuer that can't be
    /// reached is not one of them: its tokens are refused until it can.
    pub async fn start(
        issuers: Vec<Issuer>,
        clock: Clock,
        tasks: &Tasks,
        before: Option<&Self>,
    ) -> Result<Self, Faults> {
        let mut faults = issuer::check(&issuers);
        let (mut trusted, mut fresh) = (Vec::with_capacity(issuers.len()), Vec::new());
        for (at, settings) in issuers.into_iter().enumerate() {
            let keys = match before.and_then(|it| it.fetched(&settings.keys)) {
                Some(keys) => keys,
                None => match jwks::Source::open(&settings.keys, &clock).await {
                    Ok(keys) => {
                        fresh.push(keys.clone());
                        keys
                    }
                    Err(message) => {
                        faults.push(Fault {
                            path: format!("auth.issuers[{at}].{}", settings.keys.setting()),
                            line: None,
                            message,
                        });
                        continue;
                    }
                },
            };
            trusted.push(Trusted { settings, keys });
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        for keys in fresh {
            keys.refresh_in(tasks);
        }
        Ok(Self(Arc::new(Inner {
            issuers: trusted,
            cache: cache::Cache::new(REMEMBERED_TOKENS),
            clock,
        })))
    }

    /// What is fetched of an address already.
    fn fetched(&self, keys: &Keys) -> Option<jwks::Source> {
        let known = self.0.issuers.iter().find(|it| it.settings.keys == *keys)?;
        matches!(keys, Keys::Url(..)).then(|| known.keys.clone())
    }

    /// Verifies a token.
    ///
    /// It waits only for keys: for the first ones after the start, and for a
    /// `kid` that nobody has seen, each for a few seconds at most.
    ///
    /// # Errors
    /// [`Error`] if it is not a token to trust, or can't be verified now.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Caller>, Error> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Reason::TooLong.into());
        }
        let inner = &*self.0;
        let id = token_digest(token);
        if let Some(known) = inner.cache.get(&id)
            && inner.clock.now() < known.caller.expires_at
            && inner.issuers[known.issuer].keys.is_current(&known.keys)
        {
            return Ok(known.caller);
        }

        let jws = jws::Jws::parse(token)?;
        let payload = strict_json::object(&jws.payload)?;
        let name = claims::issuer(&payload)?;
        let (at, issuer) = inner
            .issuers
            .iter()
            .enumerate()
            .find(|(_, it)| it.settings.issuer == name)
            .ok_or(Reason::Issuer)?;
        if !issuer.settings.algorithms.contains(&jws.algorithm) {
            return Err(Reason::Algorithm.into());
        }
        if !issuer.settings.accepts(jws.typ.as_ref()) {
            return Err(Reason::Type.into());
        }
        let keys = issuer.keys.holding(&jws).await?;
        keys.verify(&jws)?;
        let caller = Arc::new(claims::check(
            &payload,
            &issuer.settings,
            inner.clock.now(),
        )?);
        let verified = cache::Verified {
            caller: Arc::clone(&caller),
            issuer: at,
            keys,
        };
        inner.cache.insert(id, verified);
        Ok(caller)
    }
}

fn token_digest(token: &str) -> cache::Id {
    let mut id = cache::Id::default();
    id.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    id
}
