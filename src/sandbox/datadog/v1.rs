//! API v1, where a key's value is its id: the same keys as in v2, in the
//! documented legacy shapes. The words of refusals of a missing name and an
//! unknown key are those of recorded answers. Where documents and recordings are
//! silent:
//!
//! - what is switched off, all of it on Government sites and the application
//!   keys in One-Time Read mode, answers 403 whoever asks, and says why;
//! - a name is in the way of another (409) if both keys have the same owner;
//! - whoever may only see own application keys gets 404 for another's;
//! - the organization's last API key can't be deleted (400).

mod api_keys;
mod application_keys;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};

use super::{
    Simulator,
    document::{Attributes, Refusal},
};

const GOVERNMENT: [&str; 2] = ["us1-fed", "us2-fed"];

pub(super) fn routes(simulator: &Arc<Simulator>) -> Router<Arc<Simulator>> {
    let shown_once = middleware::from_fn_with_state(Arc::clone(simulator), one_time_read);
    let government = middleware::from_fn_with_state(Arc::clone(simulator), government);
    application_keys::routes()
        .layer(shown_once)
        .merge(api_keys::routes())
        .layer(government)
}

async fn government(
    State(simulator): State<Arc<Simulator>>,
    request: Request,
    next: Next,
) -> Response {
    if GOVERNMENT.contains(&simulator.name.as_str()) {
        return disabled("This endpoint is disabled for the Government sites");
    }
    next.run(request).await
}

async fn one_time_read(
    State(simulator): State<Arc<Simulator>>,
    request: Request,
    next: Next,
) -> Response {
    if simulator.one_time_read {
        return disabled("This endpoint is disabled for organizations in One-Time Read mode");
    }
    next.run(request).await
}

fn disabled(why: &str) -> Response {
    Refusal::new(StatusCode::FORBIDDEN, why).into_response()
}

/// The name in a body: all that can be said of a key.
fn name(body: &[u8]) -> Result<String, Refusal> {
    let name = Attributes::bare(body)?.name()?;
    name.ok_or_else(|| Refusal::bad("Required parameter 'name' is missing"))
}
