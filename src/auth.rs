//! Who calls: a bearer JWT becomes a [`Caller`], or the call is refused.
//!
//! A token is held to RFC 8725. Its issuer is looked up by `iss`, the key by
//! `kid`, and the algorithm has to be both one that the issuer is allowed and
//! the one that the key is for. Nothing that a token brings along (`jku`, `x5u`,
//! `jwk`, `x5c`) is ever used or fetched. Claims are looked at only after the
//! signature has been verified, and every claim that is checked is required.
//!
//! This module knows no policy: it says who calls, never what they may do.

use std::{sync::Arc, time::SystemTime};

use aws_lc_rs::digest;
use http::{HeaderMap, header::AUTHORIZATION};

use crate::{
    clock::Clock,
    http::Client,
    settings::{Fault, Faults},
    tasks::Tasks,
};

mod cache;
mod claims;
mod issuer;
mod jwks;
mod jws;
mod keys;
mod strict_json;
#[cfg(test)]
mod tests;

pub use issuer::{Issuer, Jwks};
pub use jsonwebtoken::Algorithm;

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
    /// When the token ends (`exp`).
    pub expires_at: SystemTime,
    /// The names (URIs and host names) in the verified client certificate of the
    /// call's connection. No token brings any.
    pub certificate_names: Arc<[String]>,
}

/// Why a call has no [`Caller`]. The text is safe to send to anybody: it holds
/// nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no bearer token.
    #[error("the call carries no token; send the metadata `authorization: Bearer <JWT>`")]
    Missing,
    /// The token is not one to trust.
    #[error("the token is not valid: {0}")]
    Invalid(Reason),
    /// The token was good, and is over.
    #[error("the token has expired")]
    Expired,
    /// The issuer's keys can't be had at the moment.
    #[error("the keys of the token's issuer are not available at the moment; try again")]
    KeysUnavailable,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// More than one `authorization`.
    #[error("the call has more than one `authorization`")]
    ManyTokens,
    /// Over [`MAX_TOKEN_BYTES`].
    #[error("it is longer than 16 KiB")]
    TooLong,
    /// Not three parts of unpadded base64url, or not JSON objects inside.
    #[error("it is not a signed JWT in compact form")]
    Malformed,
    /// A member twice in one object, where two readers could see two tokens.
    #[error("its JSON names a member twice")]
    DuplicateMember,
    /// `alg` is missing, not known, not allowed for the issuer, or `none`.
    #[error("its `alg` is not one that is allowed for its issuer")]
    Algorithm,
    /// A header member of the wrong type.
    #[error("its header member `{0}` has the wrong type")]
    Header(&'static str),
    /// `crit` asks for extensions, and none are known here.
    #[error("its header has `crit`, and no extension is supported")]
    Critical,
    /// `iss` is not a configured issuer.
    #[error("its issuer is not a trusted one")]
    Issuer,
    /// No key of the issuer has that `kid` and is for that `alg`.
    #[error("its issuer has no key for its `kid` and `alg`")]
    Key,
    /// No `kid`, and several keys of the issuer would do.
    #[error("it names no `kid`, and its issuer has several keys")]
    AmbiguousKey,
    /// The signature does not verify.
    #[error("its signature does not verify")]
    Signature,
    /// A required claim is missing, or a claim has the wrong type.
    #[error("its claim `{0}` is missing or has the wrong type")]
    Claim(&'static str),
    /// It is for somebody else.
    #[error("its audience (`aud`) is not this gateway")]
    Audience,
    /// Its time has not come (`nbf`).
    #[error("it is not valid yet (`nbf`)")]
    NotYetValid,
    /// It was issued in the future, or after its own end.
    #[error("its `iat` makes no sense")]
    IssuedAt,
    /// The roles claim is neither a list of strings nor a string.
    #[error("the claim that holds its roles is neither a list of strings nor a string")]
    Roles,
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
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
    /// Loads keys that are in files, and begins to fetch those that are not.
    /// Must be called on a Tokio runtime.
    ///
    /// # Errors
    /// Every fault of the issuers' settings and files. An issuer that can't be
    /// reached is not one of them: its tokens are refused until it can.
    pub fn start(
        issuers: Vec<Issuer>,
        client: &Client,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, Faults> {
        let mut faults = issuer::check(&issuers);
        let mut trusted = Vec::with_capacity(issuers.len());
        for (at, settings) in issuers.into_iter().enumerate() {
            match jwks::Source::open(&settings.jwks, client, &clock) {
                Ok(keys) => trusted.push(Trusted { settings, keys }),
                Err(message) => faults.push(Fault {
                    path: format!("auth.issuers[{at}].jwks"),
                    line: None,
                    message,
                }),
            }
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        for issuer in &trusted {
            issuer.keys.refresh_in(tasks);
        }
        Ok(Self(Arc::new(Inner {
            issuers: trusted,
            cache: cache::Cache::new(REMEMBERED_TOKENS),
            clock,
        })))
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
