//! Who calls: the bearer token, and whether it may.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Simulator, document::Refusal};
use crate::sandbox::http::Verdict;

/// A caller with the privileges to view, create and edit API keys in the
/// organization that the path names.
pub(super) struct Caller;

impl FromRequestParts<Arc<Simulator>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        simulator: &Arc<Simulator>,
    ) -> Result<Self, Refusal> {
        let token = bearer(&parts.headers).ok_or_else(|| {
            let message = "The request has no access token";
            Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
        })?;
        if !is(&simulator.token, token) {
            return Err(simulator.refuse_key(token));
        }
        let path = RawPathParams::from_request_parts(parts, simulator).await;
        let path = path.map_err(|_| Refusal::bad("The path is not valid"))?;
        let is_own = path
            .iter()
            .any(|(name, value)| name == "organization_id" && value == simulator.organization_id);
        if is_own {
            Ok(Self)
        } else {
            let message = "The token does not belong to this organization";
            Err(denied(message))
        }
    }
}

impl Simulator {
    /// Refuses a token that is not the master's: an API key that works is known,
    /// and used by this, but has no privilege here.
    fn refuse_key(&self, token: &[u8]) -> Refusal {
        let now = self.clock.now();
        let mut keys = self.keys();
        let key = keys.iter_mut().find(|key| is(&key.value, token));
        match key.filter(|key| key.status(now).is_active()) {
            Some(key) => {
                key.last_used = Some(now);
                denied("An API key can't view or edit API keys")
            }
            None => {
                let message = "The access token is not valid";
                Refusal::new(StatusCode::UNAUTHORIZED, "INVALID_TOKEN", message)
            }
        }
    }
}

/// What became of the credential, for the request log.
pub(super) fn verdict(simulator: &Simulator, headers: &HeaderMap) -> Verdict {
    match bearer(headers) {
        None => Verdict::Missing,
        Some(token) if is(&simulator.token, token) => Verdict::Valid,
        Some(_) => Verdict::Invalid,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let token = value.strip_prefix(b"Bearer ")?.trim_ascii();
    (!token.is_empty()).then_some(token)
}

fn is(secret: &SecretString, value: &[u8]) -> bool {
    secret.expose_secret().as_bytes() == value
}

fn denied(message: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "ACCESS_DENIED", message)
}
