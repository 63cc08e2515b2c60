//! Application keys by their values, which are called hashes here. All that are
//! made here are unscoped.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::sandbox::datadog::{
    Simulator,
    application_keys::{make, not_found},
    caller::{self, Caller},
    document::Refusal,
    org::{ApplicationKey, Org},
};

const OWN: &str = "user_app_keys";
const READ: &str = "org_app_keys_read";
const WRITE: &str = "org_app_keys_write";

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/application_key", get(list).post(create))
        .route(
            "/application_key/{key}",
            get(one).put(update).delete(delete),
        )
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
) -> Result<Json<Value>, Refusal> {
    let reach = reach(&caller, READ)?;
    let org = simulator.org();
    let keys = org.application_keys.iter().filter(|key| reach.covers(key));
    let keys: Value = keys.map(|key| object(&org, key)).collect();
    Ok(Json(json!({ "application_keys": keys })))
}

async fn create(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(&[OWN])?;
    let name = super::name(&body)?;
    let mut org = simulator.org();
    let key = make(&simulator, &org, caller.user, name, None)?;
    unless_taken(&org, &key, &key.name)?;
    let answer = answer(&org, &key);
    org.application_keys.push(key);
    Ok(answer)
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(value): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let reach = reach(&caller, READ)?;
    let org = simulator.org();
    let at = reach.position(&org, &value)?;
    Ok(answer(&org, &org.application_keys[at]))
}

async fn update(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(value): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let reach = reach(&caller, WRITE)?;
    let name = super::name(&body)?;
    let mut org = simulator.org();
    let at = reach.position(&org, &value)?;
    unless_taken(&org, &org.application_keys[at], &name)?;
    org.application_keys[at].name = name;
    Ok(answer(&org, &org.application_keys[at]))
}

async fn delete(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(value): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let reach = reach(&caller, WRITE)?;
    let mut org = simulator.org();
    let at = reach.position(&org, &value)?;
    let key = org.application_keys.remove(at);
    Ok(answer(&org, &key))
}

/// Which keys a caller gets at.
enum Reach<'c> {
    All,
    OwnedBy(&'c str),
}

/// How far a caller gets: with this permission over the whole organization.
fn reach<'c>(caller: &'c Caller, permission: &str) -> Result<Reach<'c>, Refusal> {
    if caller.may(&[permission]) {
        return Ok(Reach::All);
    }
    caller.need(&[OWN])?;
    Ok(Reach::OwnedBy(&caller.user))
}

impl Reach<'_> {
    fn covers(&self, key: &ApplicationKey) -> bool {
        match self {
            Self::All => true,
            Self::OwnedBy(owner) => key.owned_by == *owner,
        }
    }

    fn position(&self, org: &Org, value: &str) -> Result<usize, Refusal> {
        org.application_keys
            .iter()
            .position(|key| caller::is(&key.value, value.as_bytes()) && self.covers(key))
            .ok_or_else(not_found)
    }
}

/// Refuses a name that another key of the same owner has.
fn unless_taken(org: &Org, key: &ApplicationKey, name: &str) -> Result<(), Refusal> {
    let mut others = org.application_keys.iter().filter(|it| it.id != key.id);
    if others.any(|it| it.owned_by == key.owned_by && it.name == name) {
        let taken = "Application key with this name already exists";
        return Err(Refusal::new(StatusCode::CONFLICT, taken));
    }
    Ok(())
}

fn answer(org: &Org, key: &ApplicationKey) -> Json<Value> {
    Json(json!({ "application_key": object(org, key) }))
}

fn object(org: &Org, key: &ApplicationKey) -> Value {
    json!({
        "hash": key.value.expose_secret(),
        "name": key.name,
        "owner": org.handle(&key.owned_by),
    })
}
