//! One look at an upstream for our own keys: reads, which no caller asked for and
//! nothing but this can make.

use std::{sync::Arc, time::Instant};

use http::Method;
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;

use super::{super::client::Credentials, Miss};
use crate::upstream::{Client, Request};

/// One look, with the credentials that are presented at its begin.
pub struct Look<'c> {
    client: &'c Client,
    credentials: Arc<Credentials>,
    deadline: Instant,
}

impl<'c> Look<'c> {
    pub(super) fn new(client: &'c Client, deadline: Instant) -> Self {
        Self {
            client,
            credentials: client.credentials(),
            deadline,
        }
    }

    /// Whether the client still presents what was looked for.
    pub(super) fn is_current(&self) -> bool {
        Arc::ptr_eq(&self.credentials, &self.client.credentials())
    }

    /// The last part of the upstream's name.
    #[must_use]
    pub fn place(&self) -> &str {
        let name = self.client.name();
        name.rsplit('/').next().unwrap_or(name)
    }

    /// The credentials, in the order of the vendor's section of the configuration.
    ///
    /// # Errors
    /// [`Miss::Credentials`] if there are not so many.
    pub fn credentials<const N: usize>(&self) -> Result<[&str; N], Miss> {
        let all: Vec<_> = self.credentials.iter().collect();
        let all = all.iter().map(|(_, it)| it.expose_secret());
        let all: Vec<_> = all.collect();
        all.try_into().map_err(|_| Miss::Credentials)
    }

    /// Reads what is at a path.
    ///
    /// # Errors
    /// [`Miss`] if that can't be had, or is something else.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: impl Into<String>,
        route: &'static str,
    ) -> Result<T, Miss> {
        let request = Request {
            for_itself: true,
            ..Request::new(Method::GET, path, route)
        };
        let answer = self.client.look(&request, self.deadline).await;
        let answer = answer.map_err(Miss::Unanswered)?;
        match answer.status {
            it if it.is_success() => serde_json::from_slice(&answer.body)
                .map_err(|_| Miss::Malformed("it is not what the vendor documents")),
            it if it.is_client_error() && !matches!(it.as_u16(), 408 | 429) => {
                Err(Miss::Refused(it))
            }
            it => Err(Miss::Failing(it)),
        }
    }
}
