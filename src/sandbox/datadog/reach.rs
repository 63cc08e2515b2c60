//! Whose keys and tokens a route reaches. The same ones are reached in several
//! ways: through the organization, through the user who asks, and through the
//! service account that owns them. The handlers are the same for all.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::{Method, StatusCode, request::Parts},
};

use super::{Simulator, caller::Caller, document::Refusal};

/// Where the routes of a service account are.
pub(super) const SERVICE_ACCOUNT: &str = "/service_accounts/{service_account_id}";

/// A way to keys or tokens.
pub(super) trait Way: Send + Sync + 'static {
    /// Scopes any one of which suffices to read.
    const READ: &'static [&'static str];
    /// … to create.
    const CREATE: &'static [&'static str];
    /// … to change and to remove.
    const WRITE: &'static [&'static str];
    /// Whose it reaches.
    const OWNER: Owner;
}

/// Whose keys or tokens are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Everybody's in the organization.
    Anyone,
    /// Those of the user behind the application key.
    CurrentUser,
    /// Those of the service account in the path.
    ServiceAccount,
}

/// Through the service account that owns them.
pub(super) struct ServiceAccount;

impl Way for ServiceAccount {
    const READ: &'static [&'static str] = &["service_account_write"];
    const CREATE: &'static [&'static str] = Self::READ;
    const WRITE: &'static [&'static str] = Self::READ;
    const OWNER: Owner = Owner::ServiceAccount;
}

/// Both keys valid, and the application key allowed to do what is asked.
pub(super) struct Access<W> {
    user: String,
    /// Whose keys are reached; `None`: anyone's.
    pub(super) owner: Option<String>,
    way: PhantomData<fn() -> W>,
}

impl<W> Access<W> {
    /// Who owns what is made.
    pub(super) fn new_owner(&self) -> &str {
        self.owner.as_deref().unwrap_or(&self.user)
    }

    /// Whether what this owner has is reached.
    pub(super) fn reaches(&self, owner: &str) -> bool {
        self.owner.as_deref().is_none_or(|it| it == owner)
    }
}

impl<W: Way> FromRequestParts<Arc<Simulator>> for Access<W> {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        simulator: &Arc<Simulator>,
    ) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, simulator).await?;
        caller.need(match parts.method {
            Method::POST => W::CREATE,
            Method::PATCH | Method::DELETE => W::WRITE,
            _ => W::READ,
        })?;
        let owner = match W::OWNER {
            Owner::Anyone => None,
            Owner::CurrentUser => Some(caller.user.clone()),
            Owner::ServiceAccount => {
                let all = parameters(parts, simulator).await?;
                let account = all.into_iter().next().ok_or_else(not_found)?;
                if !simulator.org().is_service_account(&account) {
                    let words = "Service account not found";
                    return Err(Refusal::new(StatusCode::NOT_FOUND, words));
                }
                Some(account)
            }
        };
        Ok(Self {
            user: caller.user,
            owner,
            way: PhantomData,
        })
    }
}

/// The id of one key or token: the last one in the path.
pub(super) struct Item(pub(super) String);

impl FromRequestParts<Arc<Simulator>> for Item {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        simulator: &Arc<Simulator>,
    ) -> Result<Self, Refusal> {
        let all = parameters(parts, simulator).await?;
        all.into_iter().next_back().map(Self).ok_or_else(not_found)
    }
}

/// The path's parameters, in order.
async fn parameters(parts: &mut Parts, simulator: &Arc<Simulator>) -> Result<Vec<String>, Refusal> {
    let Path(all) = Path::from_request_parts(parts, simulator)
        .await
        .map_err(|_| not_found())?;
    Ok(all)
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Not Found")
}
