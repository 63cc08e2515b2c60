//! The routes of API keys.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post, put},
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::{
    Simulator,
    caller::Caller,
    document::{Refusal, ids, object, take_text, writable},
    key::{ApiKey, Status, filter},
    lifetime, secret,
    templates::Template,
};

/// A path's organization, which the caller was checked against, and its key.
type Key = Path<(String, String)>;

/// No filter.
const ALL: fn(Status, bool) -> bool = |_, _| true;

type Params = Query<HashMap<String, String>>;

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/{api_key_id}", get(one).put(update).delete(delete))
        .route("/{api_key_id}/activate", put(activate))
        .route("/{api_key_id}/disable", put(disable))
        .route("/{api_key_id}/activation/extend", put(extend))
        .route("/{api_key_id}/duplicate", put(duplicate))
        .route("/delete/bulk", post(bulk_delete))
        .route("/activate/bulk", put(bulk_activate))
        .route("/disable/bulk", put(bulk_disable))
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Query(params): Params,
) -> Result<Json<Value>, Refusal> {
    let is_listed = params.get("status").map_or(Ok(ALL), |name| {
        filter(name).ok_or_else(|| Refusal::bad("status is not one of the filters"))
    })?;
    let now = simulator.clock.now();
    let keys = simulator.keys();
    let shown = keys
        .iter()
        .filter(|key| is_listed(key.status(now), key.exposure.is_some()))
        .map(|key| simulator.shown(key, &secret::masked(&key.value)));
    Ok(Json(shown.collect()))
}

async fn create(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Query(params): Params,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let template = params
        .get("apiKeyTemplateId")
        .map(|id| {
            Template::find(id).ok_or_else(|| {
                Refusal::not_found("TEMPLATE_NOT_FOUND", "There is no such API key template")
            })
        })
        .transpose()?;
    let mut body = object(&body)?;
    let now = simulator.clock.now();
    let expires = end(&mut body, now)?;
    let mut written = writable(body)?;
    if written.get("displayName").is_none_or(Value::is_null) {
        let name = template.map(|template| json!(template.display_name));
        let name = name.ok_or_else(|| Refusal::bad("displayName is required"))?;
        written.insert("displayName".to_owned(), name);
    }
    Ok(simulator.made(written, template, now, expires))
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
) -> Result<Json<Value>, Refusal> {
    let mut keys = simulator.keys();
    let key = find(&mut keys, &id)?;
    Ok(Json(simulator.shown(key, &secret::masked(&key.value))))
}

async fn update(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let mut keys = simulator.keys();
    let key = find(&mut keys, &id)?;
    let mut body = object(&body)?;
    if body.get("id").is_some_and(|other| *other != id) {
        return Err(Refusal::bad("The id in the body is not the id in the path"));
    }
    // a lifetime is for creations only
    body.remove("lifetimeDuration");
    key.written = writable(body)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn duplicate(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let (mut written, template) = {
        let mut keys = simulator.keys();
        let source = find(&mut keys, &id)?;
        (source.written.clone(), source.template)
    };
    let mut body = object(&body)?;
    let now = simulator.clock.now();
    let expires = end(&mut body, now)?;
    let asked = writable(body)?;
    for name in ["displayName", "description"] {
        if let Some(value) = asked.get(name).filter(|value| !value.is_null()) {
            written.insert(name.to_owned(), value.clone());
        }
    }
    Ok(simulator.made(written, template, now, expires))
}

async fn activate(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
) -> Result<StatusCode, Refusal> {
    let now = simulator.clock.now();
    let mut keys = simulator.keys();
    let key = find(&mut keys, &id)?;
    alive(key, now)?;
    key.activate(now);
    Ok(StatusCode::NO_CONTENT)
}

async fn disable(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
) -> Result<StatusCode, Refusal> {
    let mut keys = simulator.keys();
    let now = simulator.clock.now();
    find(&mut keys, &id)?.disabled.get_or_insert(now);
    Ok(StatusCode::NO_CONTENT)
}

async fn extend(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
) -> Result<StatusCode, Refusal> {
    let now = simulator.clock.now();
    let mut keys = simulator.keys();
    let key = find(&mut keys, &id)?;
    if !key.status(now).is_active() {
        let message = "Only an active API key can be extended";
        return Err(Refusal::precondition("API_KEY_NOT_ACTIVE", message));
    }
    key.activated = now;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    Path((_, id)): Key,
) -> Result<StatusCode, Refusal> {
    let mut keys = simulator.keys();
    find(&mut keys, &id)?;
    keys.retain(|key| key.id != id);
    Ok(StatusCode::NO_CONTENT)
}

async fn bulk_delete(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let ids = ids(&body)?;
    let mut keys = simulator.keys();
    all_there(&keys, &ids)?;
    keys.retain(|key| !ids.contains(&key.id));
    Ok(StatusCode::NO_CONTENT)
}

async fn bulk_activate(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let ids = ids(&body)?;
    let now = simulator.clock.now();
    let mut keys = simulator.keys();
    all_there(&keys, &ids)?;
    for key in keys.iter().filter(|key| ids.contains(&key.id)) {
        alive(key, now)?;
    }
    for key in keys.iter_mut().filter(|key| ids.contains(&key.id)) {
        key.activate(now);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn bulk_disable(
    State(simulator): State<Arc<Simulator>>,
    _: Caller,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let ids = ids(&body)?;
    let now = simulator.clock.now();
    let mut keys = simulator.keys();
    all_there(&keys, &ids)?;
    for key in keys.iter_mut().filter(|key| ids.contains(&key.id)) {
        key.disabled.get_or_insert(now);
    }
    Ok(StatusCode::NO_CONTENT)
}

impl Simulator {
    /// Makes a key, and shows it with its value.
    fn made(
        &self,
        written: Map<String, Value>,
        template: Option<&'static Template>,
        now: SystemTime,
        expires: Option<SystemTime>,
    ) -> (StatusCode, Json<Value>) {
        let key = ApiKey {
            id: secret::api_key_id(&self.random),
            value: secret::api_key(&self.random),
            written,
            template,
            created: now,
            activated: now,
            last_used: None,
            expires,
            disabled: None,
            exposure: None,
        };
        let shown = self.shown(&key, key.value.expose_secret());
        self.keys().push(key);
        (StatusCode::CREATED, Json(shown))
    }
}

/// Takes the lifetime that begins now out of a body, and says when it ends.
fn end(body: &mut Map<String, Value>, now: SystemTime) -> Result<Option<SystemTime>, Refusal> {
    take_text(body, "lifetimeDuration")?
        .map(|text| {
            lifetime::parse(&text)
                .and_then(|lifetime| now.checked_add(lifetime))
                .ok_or_else(|| Refusal::bad("lifetimeDuration is not an ISO 8601 duration"))
        })
        .transpose()
}

fn find<'k>(keys: &'k mut [ApiKey], id: &str) -> Result<&'k mut ApiKey, Refusal> {
    keys.iter_mut()
        .find(|key| key.id == id)
        .ok_or_else(|| Refusal::not_found("API_KEY_NOT_FOUND", "There is no such API key"))
}

fn all_there(keys: &[ApiKey], ids: &[String]) -> Result<(), Refusal> {
    let is_there = |id: &String| keys.iter().any(|key| key.id == *id);
    if ids.iter().all(is_there) {
        Ok(())
    } else {
        let message = "Not all of these API keys exist";
        Err(Refusal::precondition("API_KEY_NOT_FOUND", message))
    }
}

fn alive(key: &ApiKey, now: SystemTime) -> Result<(), Refusal> {
    if key.has_expired(now) {
        let message = "The API key has expired";
        Err(Refusal::precondition("API_KEY_EXPIRED", message))
    } else {
        Ok(())
    }
}
