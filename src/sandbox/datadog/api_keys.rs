//! API keys: the organization's, whoever made them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Simulator,
    caller::Caller,
    document::{Attributes, Included, Refusal, deleted, leak_link, required, user_link},
    org::{ApiKey, Org},
    query::{Query, Rank},
    secret, time,
};

const TYPE: &str = "api_keys";
const PAGE: usize = 10;
const INCLUDE: &[&str] = &["created_by", "modified_by"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/api_keys", get(list).post(create))
        .route(
            "/api_keys/{api_key_id}",
            get(one).patch(update).delete(delete),
        )
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_read"])?;
    let page = query.page(PAGE)?;
    let sort = query.sort(&["created_at", "last4", "modified_at", "name"])?;
    let created = query.period("created_at")?;
    let modified = query.period("modified_at")?;
    let remote_config = query.flag("filter[remote_config_read_enabled]")?;
    let category = query.one("filter[category]");
    let include = query.include(INCLUDE)?;

    let org = simulator.org();
    let mut keys: Vec<_> = org
        .api_keys
        .iter()
        .filter(|key| {
            query.lets_through(&key.name)
                && created.contains(key.created_at)
                && modified.contains(key.modified_at)
                && remote_config.is_none_or(|wanted| wanted == key.remote_config_read_enabled)
                && category.is_none_or(|wanted| wanted == key.category)
        })
        .collect();
    sort.order(&mut keys, |key, by| match by {
        "created_at" => Rank::Time(Some(key.created_at)),
        "modified_at" => Rank::Time(Some(key.modified_at)),
        "last4" => Rank::Text(secret::last4(&key.value)),
        _ => Rank::Text(&key.name),
    });
    let shown = page.of(&keys);
    let now = simulator.clock.now();
    let data: Value = shown
        .iter()
        .map(|key| {
            resource(
                key,
                &View {
                    key: false,
                    usage: Some(now),
                },
            )
        })
        .collect();
    let mut document = json!({
        "data": data,
        "meta": {
            "page": { "total_filtered_count": keys.len() },
            "max_allowed": simulator.max_api_keys,
        },
    });
    included(&org, shown, &include).put(&mut document);
    Ok(Json(document))
}

async fn create(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    caller.need(&["api_keys_write"])?;
    let attributes = Attributes::read(&body, TYPE, None)?;
    let name = required(attributes.name()?, "name")?;
    let category = attributes.text("category")?;
    let remote_config = attributes.flag("remote_config_read_enabled")?;

    let mut org = simulator.org();
    let mut key = make(&simulator, &org, caller.user, name)?;
    key.category = category.unwrap_or_else(|| key.category.clone());
    key.remote_config_read_enabled = remote_config.unwrap_or(key.remote_config_read_enabled);
    let view = View {
        key: true,
        usage: None,
    };
    let data = resource(&key, &view);
    org.api_keys.push(key);
    Ok((StatusCode::CREATED, Json(json!({ "data": data }))))
}

/// A new key; refused if it is one too many.
pub(super) fn make(
    simulator: &Simulator,
    org: &Org,
    user: String,
    name: String,
) -> Result<ApiKey, Refusal> {
    if org.api_keys.len() >= simulator.max_api_keys {
        return Err(Refusal::bad("The maximum number of API keys is reached"));
    }
    let now = time::truncated(simulator.clock.now());
    Ok(ApiKey {
        id: simulator.random.uuid().to_string(),
        value: secret::api_key(&simulator.random),
        name,
        category: "default".to_owned(),
        remote_config_read_enabled: true,
        created_at: now,
        created_by: user.clone(),
        modified_at: now,
        modified_by: user,
        last_used: None,
        leak: None,
    })
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_read"])?;
    let include = query.include(INCLUDE)?;
    let org = simulator.org();
    let key = org.api_keys.iter().find(|key| key.id == id);
    let key = key.ok_or_else(not_found)?;
    let view = View {
        key: !simulator.one_time_read,
        usage: Some(simulator.clock.now()),
    };
    let mut document = json!({ "data": resource(key, &view) });
    included(&org, &[key], &include).put(&mut document);
    Ok(Json(document))
}

async fn update(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(&["api_keys_write"])?;
    let mut org = simulator.org();
    let key = org.api_keys.iter_mut().find(|key| key.id == id);
    let key = key.ok_or_else(not_found)?;
    let attributes = Attributes::read(&body, TYPE, Some(&id))?;
    let name = required(attributes.name()?, "name")?;
    let category = attributes.text("category")?;
    let remote_config = attributes.flag("remote_config_read_enabled")?;

    rename(&simulator, key, caller.user, name);
    key.category = category.unwrap_or_else(|| key.category.clone());
    key.remote_config_read_enabled = remote_config.unwrap_or(key.remote_config_read_enabled);
    let view = View {
        key: !simulator.one_time_read,
        usage: None,
    };
    Ok(Json(json!({ "data": resource(key, &view) })))
}

/// Gives a key a name, the old one or a new one.
pub(super) fn rename(simulator: &Simulator, key: &mut ApiKey, user: String, name: String) {
    key.name = name;
    key.modified_at = time::truncated(simulator.clock.now());
    key.modified_by = user;
}

async fn delete(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.need(&["api_keys_delete"])?;
    let mut org = simulator.org();
    let at = org.api_keys.iter().position(|key| key.id == id);
    org.api_keys.remove(at.ok_or_else(not_found)?);
    Ok(deleted())
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "API key not found")
}

/// What an answer shows of a key.
struct View {
    /// Its value.
    key: bool,
    /// When it was last used, seen from this time.
    usage: Option<SystemTime>,
}

fn resource(key: &ApiKey, view: &View) -> Value {
    let mut attributes = json!({
        "created_at": time::offset(key.created_at),
        "last4": secret::last4(&key.value),
        "modified_at": time::offset(key.modified_at),
        "remote_config_read_enabled": key.remote_config_read_enabled,
        "category": key.category,
        "name": key.name,
    });
    if view.key {
        attributes["key"] = json!(key.value.expose_secret());
    }
    if let Some(now) = view.usage {
        let recent = |used: SystemTime, days: u32| {
            now.duration_since(used).is_ok_and(|ago| ago < DAY * days) || used > now
        };
        let last_90_days = key.last_used.filter(|used| recent(*used, 90));
        attributes["date_last_used"] = json!(key.last_used.map(time::offset));
        attributes["used_in_last_24_hours"] =
            json!(key.last_used.is_some_and(|used| recent(used, 1)));
        attributes["last_used_date"] = json!({
            "timestamp": last_90_days.map(time::offset),
            "description": "When this key was last used within ninety (90) days; null if it was not",
        });
    }
    json!({
        "type": TYPE,
        "id": key.id,
        "attributes": attributes,
        "relationships": {
            "created_by": user_link(&key.created_by),
            "modified_by": user_link(&key.modified_by),
            "leak_information": leak_link(key.leak.as_ref()),
        },
    })
}

fn included(org: &Org, keys: &[&ApiKey], include: &[&str]) -> Included {
    let mut included = Included::default();
    for key in keys {
        if include.contains(&"created_by") {
            included.user(org, &key.created_by);
        }
        if include.contains(&"modified_by") {
            included.user(org, &key.modified_by);
        }
        included.leak(key.leak.as_ref());
    }
    included
}
