//! Who calls: the bearer token is a user's API key, or the token of a service
//! account with or without owner rights.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Simulator, org::Org, refusal::Refusal};
use crate::sandbox::http::Verdict;

/// Somebody whose credential is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The user, by an API key.
    User,
    /// A service account with owner rights.
    Owner,
    /// A service account without.
    Service,
}

impl Caller {
    /// Whether the caller sees API keys: a user the user's own, which all are
    /// here, an owner everybody's.
    pub(super) fn sees_api_keys(self) -> bool {
        self != Self::Service
    }

    /// Refuses all but service accounts with owner rights.
    pub(super) fn need_owner(self) -> Result<(), Refusal> {
        let words = match self {
            Self::Owner => return Ok(()),
            Self::User => "User API keys cannot manage service tokens",
            Self::Service => "Only organization owners can manage service tokens",
        };
        Err(Refusal::text(StatusCode::FORBIDDEN, words))
    }
}

impl FromRequestParts<Arc<Simulator>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        simulator: &Arc<Simulator>,
    ) -> Result<Self, Refusal> {
        credential(&parts.headers)
            .and_then(|value| find(&simulator.org(), value))
            .ok_or_else(|| Refusal::text(StatusCode::UNAUTHORIZED, "No valid API key provided"))
    }
}

/// What became of the credential, for the request log.
pub(super) fn verdicts(org: &Org, headers: &HeaderMap) -> Vec<(&'static str, Verdict)> {
    let verdict = match credential(headers) {
        None => Verdict::Missing,
        Some(value) if find(org, value).is_some() => Verdict::Valid,
        Some(_) => Verdict::Invalid,
    };
    vec![("authorization", verdict)]
}

fn find(org: &Org, value: &[u8]) -> Option<Caller> {
    let is = |secret: &SecretString| secret.expose_secret().as_bytes() == value;
    if org.api_keys.iter().any(|key| is(&key.value)) {
        return Some(Caller::User);
    }
    let token = org.service_tokens.iter().find(|token| is(&token.value))?;
    let account = org.service_account(&token.account)?;
    Some(if account.is_owner {
        Caller::Owner
    } else {
        Caller::Service
    })
}

fn credential(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, value) = value.split_at_checked("bearer ".len())?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !value.is_empty()).then_some(value)
}
