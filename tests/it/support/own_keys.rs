//! What a server of a test's own has to answer to a gateway that looks for its own
//! keys. The test sees nothing of it.

use axum::{
    Json, Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::upstreams::is_for_itself;

/// The id of both of the gateway's keys, whatever they are.
pub(crate) const ID: &str = "the-gateways-own";

/// The same routes of a Datadog of sorts, which also tells the gateway its keys.
pub(crate) fn told(routes: Router) -> Router {
    routes.layer(middleware::from_fn(tell))
}

async fn tell(request: Request, next: Next) -> Response {
    let agent = text(request.headers(), "user-agent");
    if !is_for_itself(agent) {
        return next.run(request).await;
    }
    let app_key = text(request.headers(), "dd-application-key").unwrap();
    Json(match request.uri().path() {
        "/api/v2/validate" => json!({ "data": { "attributes": { "api_key_id": ID } } }),
        "/api/v2/current_user/application_keys" => json!({ "data": [key(app_key)] }),
        _ => json!({ "data": key(app_key) }),
    })
    .into_response()
}

fn key(value: &str) -> Value {
    let last4 = &value[value.len() - 4..];
    json!({ "id": ID, "attributes": { "last4": last4 } })
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
