//! Application keys, seen in two ways: the whole organization's, which never
//! shows a value, and the current user's own, which does.

use std::sync::Arc;

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
    org::{ApplicationKey, Org},
    query::{Query, Rank},
    secret, time,
};

const TYPE: &str = "application_keys";
const PAGE: usize = 100;
const OWN: &[&str] = &["user_app_keys"];
const READ: &[&str] = &["org_app_keys_read"];
const WRITE: &[&str] = &["org_app_keys_write"];

pub(super) fn routes() -> Router<Arc<Simulator>> {
    let own = Router::new()
        .route("/application_keys", get(list_own).post(create_own))
        .route(
            "/application_keys/{app_key_id}",
            get(one_own).patch(update_own).delete(delete_own),
        );
    Router::new()
        .route("/application_keys", get(list_all))
        .route(
            "/application_keys/{app_key_id}",
            get(one_of_all).patch(update_of_all).delete(delete_of_all),
        )
        .nest("/current_user", own)
}

async fn list_all(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(READ)?;
    let owner = query.one("filter[owned_by]");
    list(&simulator, &query, owner, false)
}

async fn list_own(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(OWN)?;
    list(&simulator, &query, Some(&caller.user), true)
}

fn list(
    simulator: &Simulator,
    query: &Query,
    owner: Option<&str>,
    own: bool,
) -> Result<Json<Value>, Refusal> {
    let page = query.page(PAGE)?;
    let sort = query.sort(&["created_at", "last4", "name"])?;
    let created = query.period("created_at")?;
    let with_owner = !query.include(&["owned_by"])?.is_empty();

    let org = simulator.org();
    let mut keys: Vec<_> = org
        .application_keys
        .iter()
        .filter(|key| {
            owner.is_none_or(|owner| owner == key.owned_by)
                && query.lets_through(&key.name)
                && created.contains(time::next_micro(key.created_at))
        })
        .collect();
    sort.order(&mut keys, |key, by| match by {
        "created_at" => Rank::Time(Some(key.created_at)),
        "last4" => Rank::Text(secret::last4(&key.value)),
        _ => Rank::Text(&key.name),
    });
    let shown = page.of(&keys);
    // A list of one's own keys doesn't say whose they are unless it is asked.
    let view = View {
        key: false,
        read_back: true,
        owner: !own || with_owner,
    };
    let data: Value = shown.iter().map(|key| resource(key, &view)).collect();
    let mut document = json!({
        "data": data,
        "meta": {
            "page": { "total_filtered_count": keys.len() },
            "max_allowed_per_user": simulator.max_application_keys_per_user,
        },
    });
    included(&org, shown, with_owner).put(&mut document);
    Ok(Json(document))
}

async fn create_own(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    caller.need(OWN)?;
    let attributes = Attributes::read(&body, TYPE, None)?;
    let name = required(attributes.name()?, "name")?;
    let scopes = attributes.scopes()?.flatten();

    let mut org = simulator.org();
    let key = make(&simulator, &org, caller.user, name, scopes)?;
    let view = View {
        key: true,
        read_back: false,
        owner: true,
    };
    let data = resource(&key, &view);
    org.application_keys.push(key);
    Ok((StatusCode::CREATED, Json(json!({ "data": data }))))
}

/// A new key; refused if it is one too many.
pub(super) fn make(
    simulator: &Simulator,
    org: &Org,
    owner: String,
    name: String,
    scopes: Option<Vec<String>>,
) -> Result<ApplicationKey, Refusal> {
    let owned = org.application_keys.iter();
    let owned = owned.filter(|key| key.owned_by == owner).count();
    if owned >= simulator.max_application_keys_per_user {
        return Err(Refusal::bad(
            "The maximum number of application keys is reached",
        ));
    }
    Ok(ApplicationKey {
        id: simulator.random.uuid().to_string(),
        value: secret::application_key(&simulator.random),
        name,
        scopes,
        created_at: time::truncated(simulator.clock.now()),
        owned_by: owner,
        last_used: None,
        leak: None,
    })
}

async fn one_of_all(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(READ)?;
    let with_owner = !query.include(&["owned_by"])?.is_empty();
    let view = View {
        key: false,
        read_back: true,
        owner: true,
    };
    one(&simulator.org(), &id, None, &view, with_owner)
}

async fn one_own(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    caller.need(OWN)?;
    let view = View {
        key: !simulator.one_time_read,
        read_back: true,
        owner: true,
    };
    // The user and the role come unasked.
    one(&simulator.org(), &id, Some(&caller.user), &view, true)
}

fn one(
    org: &Org,
    id: &str,
    owner: Option<&str>,
    view: &View,
    with_owner: bool,
) -> Result<Json<Value>, Refusal> {
    let key = &org.application_keys[position(org, id, owner)?];
    let mut document = json!({ "data": resource(key, view) });
    included(org, &[key], with_owner).put(&mut document);
    Ok(Json(document))
}

async fn update_of_all(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(WRITE)?;
    let view = View {
        key: false,
        read_back: true,
        owner: true,
    };
    update(&mut simulator.org(), &id, None, &body, &view)
}

async fn update_own(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(OWN)?;
    let view = View {
        key: !simulator.one_time_read,
        read_back: true,
        owner: false,
    };
    update(&mut simulator.org(), &id, Some(&caller.user), &body, &view)
}

fn update(
    org: &mut Org,
    id: &str,
    owner: Option<&str>,
    body: &[u8],
    view: &View,
) -> Result<Json<Value>, Refusal> {
    let at = position(org, id, owner)?;
    let key = &mut org.application_keys[at];
    let attributes = Attributes::read(body, TYPE, Some(id))?;
    let name = attributes.name()?;
    let scopes = attributes.scopes()?;
    if let Some(name) = name {
        key.name = name;
    }
    if let Some(scopes) = scopes {
        key.scopes = scopes;
    }
    Ok(Json(json!({ "data": resource(key, view) })))
}

async fn delete_of_all(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.need(WRITE)?;
    delete(&mut simulator.org(), &id, None)
}

async fn delete_own(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.need(OWN)?;
    delete(&mut simulator.org(), &id, Some(&caller.user))
}

fn delete(org: &mut Org, id: &str, owner: Option<&str>) -> Result<Response, Refusal> {
    let at = position(org, id, owner)?;
    org.application_keys.remove(at);
    Ok(deleted())
}

/// Where a key is, if the owner, or anybody, has it.
fn position(org: &Org, id: &str, owner: Option<&str>) -> Result<usize, Refusal> {
    org.application_keys
        .iter()
        .position(|key| key.id == id && owner.is_none_or(|owner| owner == key.owned_by))
        .ok_or_else(not_found)
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Application key not found")
}

/// What an answer shows of a key.
struct View {
    /// Its value.
    key: bool,
    /// What only reads show: when it was last used, and a creation time one
    /// microsecond later than the creation itself said.
    read_back: bool,
    /// Whose it is.
    owner: bool,
}

fn resource(key: &ApplicationKey, view: &View) -> Value {
    let mut attributes = json!({
        "name": key.name,
        "created_at": time::offset(key.created_at),
        "last4": secret::last4(&key.value),
        "scopes": key.scopes,
    });
    if view.key {
        attributes["key"] = json!(key.value.expose_secret());
    }
    if view.read_back {
        attributes["created_at"] = json!(time::offset(time::next_micro(key.created_at)));
        attributes["last_used_at"] = json!(key.last_used.map(time::offset));
    }
    let mut relationships = json!({ "leak_information": leak_link(key.leak.as_ref()) });
    if view.owner {
        relationships["owned_by"] = user_link(&key.owned_by);
    }
    json!({
        "type": TYPE,
        "id": key.id,
        "attributes": attributes,
        "relationships": relationships,
    })
}

fn included(org: &Org, keys: &[&ApplicationKey], with_owner: bool) -> Included {
    let mut included = Included::default();
    for key in keys {
        if with_owner {
            included.user_and_role(org, &key.owned_by);
        }
        included.leak(key.leak.as_ref());
    }
    included
}
