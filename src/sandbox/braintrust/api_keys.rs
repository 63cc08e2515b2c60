//! API keys: users make them on the settings page, never here.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};

use super::{
    Simulator,
    caller::Caller,
    list::{Listed, Query, objects},
    org::{ApiKey, Org},
    refusal::Refusal,
    secret, written,
};

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/api_key", get(list).post(create))
        .route("/api_key/{api_key_id}", get(one).delete(delete))
}

impl Listed for ApiKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    let org = simulator.org();
    let here = query.one("org_name").is_none_or(|it| it == org.name);
    let seen = if caller.sees_api_keys() && here {
        org.api_keys.as_slice()
    } else {
        &[]
    };
    let page = query.page(seen, "api_key_name")?;
    Ok(objects(page.into_iter().map(|key| object(&org, key))))
}

async fn create(_: Caller) -> Refusal {
    Refusal::text(StatusCode::FORBIDDEN, "API keys cannot create API keys")
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let org = simulator.org();
    let at = place(&org, caller, &id)?;
    Ok(Json(object(&org, &org.api_keys[at])))
}

async fn delete(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let mut org = simulator.org();
    let at = place(&org, caller, &id)?;
    let key = org.api_keys.remove(at);
    Ok(Json(object(&org, &key)))
}

fn place(org: &Org, caller: Caller, id: &str) -> Result<usize, Refusal> {
    let at = org.api_keys.iter().position(|key| key.id == id);
    at.filter(|_| caller.sees_api_keys())
        .ok_or_else(|| Refusal::bad(format!("No api_key with id {id}")))
}

/// As answers show it. This user has told nobody a name.
fn object(org: &Org, key: &ApiKey) -> Value {
    json!({
        "id": key.id,
        "created": written(key.created),
        "name": key.name,
        "preview_name": secret::preview(&key.value),
        "user_id": org.user.id,
        "user_email": org.user.email,
        "user_given_name": null,
        "user_family_name": null,
        "org_id": org.id,
    })
}
