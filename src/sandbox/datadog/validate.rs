//! The two probes: is the API key valid, are both keys?

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use super::{
    Simulator,
    caller::{Caller, Opener},
};

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/validate", get(api_key))
        .route("/validate_keys", get(both_keys))
}

async fn api_key(State(simulator): State<Arc<Simulator>>, opener: Opener) -> Json<Value> {
    Json(json!({
        "data": {
            "type": "validate_v2",
            "id": simulator.org().id,
            "attributes": { "api_key_id": opener.api_key_id, "api_key_scopes": [], "valid": true },
        },
    }))
}

async fn both_keys(_: Caller) -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
