//! Application keys, seen in three ways: the whole organization's and those of
//! a service account, which show a value at creation alone, and the current
//! user's own, which show it in reads and updates too.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Simulator,
    document::{Attributes, Included, Refusal, deleted, leak_link, required, user_link},
    org::{ApplicationKey, Org},
    query::{Query, Rank},
    reach::{Access, Item, Owner, SERVICE_ACCOUNT, ServiceAccount, Way},
    secret, time,
};

const TYPE: &str = "application_keys";
const PAGE: usize = 100;

/// Through the organization: no key is made this way.
struct Organization;

impl Way for Organization {
    const READ: &'static [&'static str] = &["org_app_keys_read"];
    const CREATE: &'static [&'static str] = Self::WRITE;
    const WRITE: &'static [&'static str] = &["org_app_keys_write"];
    const OWNER: Owner = Owner::Anyone;
}

/// Through the user who asks.
struct CurrentUser;

impl Way for CurrentUser {
    const READ: &'static [&'static str] = &["user_app_keys"];
    const CREATE: &'static [&'static str] = Self::READ;
    const WRITE: &'static [&'static str] = Self::READ;
    const OWNER: Owner = Owner::CurrentUser;
}

pub(super) fn routes() -> Router<Arc<Simulator>> {
    existing::<Organization>()
        .nest("/current_user", all::<CurrentUser>())
        .nest(SERVICE_ACCOUNT, all::<ServiceAccount>())
}

fn existing<W: Way>() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/application_keys", get(list::<W>))
        .route(
            "/application_keys/{app_key_id}",
            get(one::<W>).patch(update::<W>).delete(delete::<W>),
        )
}

fn all<W: Way>() -> Router<Arc<Simulator>> {
    existing::<W>().route("/application_keys", post(create::<W>))
}

async fn list<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    let page = query.page(PAGE)?;
    let sort = query.sort(&["created_at", "last4", "name"])?;
    let created = query.period("created_at")?;
    let of = match W::OWNER {
        Owner::Anyone => query.one("filter[owned_by]"),
        Owner::CurrentUser | Owner::ServiceAccount => None,
    };
    let with_owner = includes_owner::<W>(&query)?;

    let org = simulator.org();
    let mut keys: Vec<_> = org
        .application_keys
        .iter()
        .filter(|key| {
            access.reaches(&key.owned_by)
                && of.is_none_or(|owner| owner == key.owned_by)
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
    // A list of one owner's keys doesn't say whose they are unless it is asked.
    let view = View {
        key: false,
        read_back: true,
        owner: access.owner.is_none() || with_owner,
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

async fn create<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let attributes = Attributes::read(&body, TYPE, None)?;
    let name = required(attributes.name()?, "name")?;
    let scopes = attributes.scopes()?.flatten();

    let mut org = simulator.org();
    let owner = access.new_owner().to_owned();
    let key = make(&simulator, &org, owner, name, scopes)?;
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

async fn one<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    Item(id): Item,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    let with_owner = match W::OWNER {
        // The user and the role come unasked.
        Owner::CurrentUser => true,
        Owner::Anyone | Owner::ServiceAccount => includes_owner::<W>(&query)?,
    };
    let view = View {
        key: shows_value::<W>(&simulator),
        read_back: true,
        owner: W::OWNER != Owner::ServiceAccount,
    };
    let org = simulator.org();
    let key = &org.application_keys[position(&org, &id, &access)?];
    let mut document = json!({ "data": resource(key, &view) });
    included(&org, &[key], with_owner).put(&mut document);
    Ok(Json(document))
}

async fn update<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    Item(id): Item,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let mut org = simulator.org();
    let at = position(&org, &id, &access)?;
    let key = &mut org.application_keys[at];
    let attributes = Attributes::read(&body, TYPE, Some(&id))?;
    let name = attributes.name()?;
    let scopes = attributes.scopes()?;
    if let Some(name) = name {
        key.name = name;
    }
    if let Some(scopes) = scopes {
        key.scopes = scopes;
    }
    let view = View {
        key: shows_value::<W>(&simulator),
        read_back: true,
        owner: W::OWNER == Owner::Anyone,
    };
    Ok(Json(json!({ "data": resource(key, &view) })))
}

async fn delete<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    Item(id): Item,
) -> Result<Response, Refusal> {
    let mut org = simulator.org();
    let at = position(&org, &id, &access)?;
    org.application_keys.remove(at);
    Ok(deleted())
}

/// Where a key is, if it is reached.
fn position<W>(org: &Org, id: &str, access: &Access<W>) -> Result<usize, Refusal> {
    org.application_keys
        .iter()
        .position(|key| key.id == id && access.reaches(&key.owned_by))
        .ok_or_else(not_found)
}

pub(super) fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Application key not found")
}

/// Whether the owner is to come along. A service account's routes know no such
/// parameter.
fn includes_owner<W: Way>(query: &Query) -> Result<bool, Refusal> {
    match W::OWNER {
        Owner::ServiceAccount => Ok(false),
        Owner::Anyone | Owner::CurrentUser => Ok(!query.include(&["owned_by"])?.is_empty()),
    }
}

/// Whether reads of one key and updates show its value.
fn shows_value<W: Way>(simulator: &Simulator) -> bool {
    W::OWNER == Owner::CurrentUser && !simulator.one_time_read
}

/// What an answer shows of a key.
struct View {
    /// Its value.
    key: bool,
    /// What only reads show: when it was last used, and a creation time one
    /// microsecond later than the creation itself said.
    read_back: bool,
    /// Owner it is.
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
