//! Who calls: the API key opens the organization, the application key says
//! which user acts and with which scopes.

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, request::Parts},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Simulator, document::Refusal, org::Org, time};
use crate::sandbox::http::Verdict;

const API_KEY: &str = "dd-api-key";
const APPLICATION_KEY: &str = "dd-application-key";

/// A valid API key alone.
pub(super) struct Opener {
    pub(super) api_key_id: String,
}

/// Both keys valid.
pub(super) struct Caller {
    /// The id of the user behind the application key.
    pub(super) user: String,
    scopes: Option<Vec<String>>,
}

impl Caller {
    /// Whether the application key is unscoped or has one of the scopes.
    pub(super) fn may(&self, any_of: &[&str]) -> bool {
        let scopes = self.scopes.as_ref();
        scopes.is_none_or(|it| it.iter().any(|scope| any_of.contains(&scope.as_str())))
    }

    /// Refuses unless the application key is unscoped or has one of the scopes.
    pub(super) fn need(&self, any_of: &[&str]) -> Result<(), Refusal> {
        self.may(any_of).then_some(()).ok_or_else(forbidden)
    }
}

impl FromRequestParts<Arc<Simulator>> for Opener {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        simulator: &Arc<Simulator>,
    ) -> Result<Self, Refusal> {
        let now = simulator.clock.now();
        open(&mut simulator.org(), &parts.headers, now)
    }
}

impl FromRequestParts<Arc<Simulator>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        simulator: &Arc<Simulator>,
    ) -> Result<Self, Refusal> {
        let now = simulator.clock.now();
        let mut org = simulator.org();
        open(&mut org, &parts.headers, now)?;
        let value = credential(&parts.headers, APPLICATION_KEY).ok_or_else(unauthorized)?;
        let key = org
            .application_keys
            .iter_mut()
            .find(|key| is(&key.value, value))
            .ok_or_else(forbidden)?;
        key.last_used = Some(time::truncated(now));
        Ok(Self {
            user: key.owned_by.clone(),
            scopes: key.scopes.clone(),
        })
    }
}

fn open(org: &mut Org, headers: &HeaderMap, now: SystemTime) -> Result<Opener, Refusal> {
    let value = credential(headers, API_KEY).ok_or_else(unauthorized)?;
    let key = org
        .api_keys
        .iter_mut()
        .find(|key| is(&key.value, value))
        .ok_or_else(forbidden)?;
    key.last_used = Some(time::truncated(now));
    Ok(Opener {
        api_key_id: key.id.clone(),
    })
}

/// What became of the credentials, for the request log.
pub(super) fn verdicts(org: &Org, headers: &HeaderMap) -> Vec<(&'static str, Verdict)> {
    let verdict = |header, known: &dyn Fn(&[u8]) -> bool| {
        let verdict = match credential(headers, header) {
            None => Verdict::Missing,
            Some(value) if known(value) => Verdict::Valid,
            Some(_) => Verdict::Invalid,
        };
        (header, verdict)
    };
    vec![
        verdict(API_KEY, &|value| {
            org.api_keys.iter().any(|key| is(&key.value, value))
        }),
        verdict(APPLICATION_KEY, &|value| {
            org.application_keys.iter().any(|key| is(&key.value, value))
        }),
    ]
}

fn credential<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let value = headers.get(name)?.as_bytes();
    (!value.is_empty()).then_some(value)
}

/// Whether this is the secret.
pub(super) fn is(secret: &SecretString, value: &[u8]) -> bool {
    secret.expose_secret().as_bytes() == value
}

fn unauthorized() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized")
}

fn forbidden() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "Forbidden")
}
