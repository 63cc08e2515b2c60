//! API keys by their values.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::sandbox::datadog::{
    Simulator,
    api_keys::{make, not_found, rename},
    caller::{self, Caller},
    document::Refusal,
    org::{ApiKey, Org},
    time,
};

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/api_key", get(list).post(create))
        .route("/api_key/{key}", get(one).put(update).delete(delete))
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_read"])?;
    let org = simulator.org();
    let keys: Value = org.api_keys.iter().map(|key| object(&org, key)).collect();
    Ok(Json(json!({ "api_keys": keys })))
}

async fn create(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_write"])?;
    let name = super::name(&body)?;
    let mut org = simulator.org();
    let key = make(&simulator, &org, caller.user, name)?;
    let answer = answer(&org, &key);
    org.api_keys.push(key);
    Ok(answer)
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(value): Path<String>,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_read"])?;
    let org = simulator.org();
    let at = position(&org, &value)?;
    Ok(answer(&org, &org.api_keys[at]))
}

async fn update(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(value): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_write"])?;
    let name = super::name(&body)?;
    let mut org = simulator.org();
    let at = position(&org, &value)?;
    rename(&simulator, &mut org.api_keys[at], caller.user, name);
    Ok(answer(&org, &org.api_keys[at]))
}

async fn delete(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(value): Path<String>,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_delete"])?;
    let mut org = simulator.org();
    let at = position(&org, &value)?;
    if org.api_keys.len() == 1 {
        return Err(Refusal::bad("The last API key can't be deleted"));
    }
    let key = org.api_keys.remove(at);
    Ok(answer(&org, &key))
}

fn position(org: &Org, value: &str) -> Result<usize, Refusal> {
    org.api_keys
        .iter()
        .position(|key| caller::is(&key.value, value.as_bytes()))
        .ok_or_else(not_found)
}

fn answer(org: &Org, key: &ApiKey) -> Json<Value> {
    Json(json!({ "api_key": object(org, key) }))
}

fn object(org: &Org, key: &ApiKey) -> Value {
    json!({
        "created": time::zoneless(key.created_at),
        "created_by": org.handle(&key.created_by),
        "key": key.value.expose_secret(),
        "name": key.name,
    })
}
