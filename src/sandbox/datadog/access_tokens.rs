//! Personal access tokens. Every answer with a body is
//! `application/vnd.api+json`, refusals too.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::Response,
    routing::get,
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Simulator,
    caller::Caller,
    document::{Attributes, Included, Refusal, leak_link, required, user_link},
    org::{AccessToken, Org},
    query::{Query, Rank},
    secret, time,
};

const TYPE: &str = "personal_access_tokens";
const PAGE: usize = 10;
const INCLUDE: &[&str] = &["leak_information"];
const READ: &[&str] = &["user_app_keys", "org_app_keys_read"];
const WRITE: &[&str] = &["user_app_keys", "org_app_keys_write"];
/// The shortest life of a token.
const MIN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/personal_access_tokens", get(list).post(create))
        .route(
            "/personal_access_tokens/{token_id}",
            get(one).patch(update).delete(revoke),
        )
        .layer(middleware::map_response(typed))
}

async fn typed(mut response: Response) -> Response {
    if let Some(content_type) = response.headers_mut().get_mut(header::CONTENT_TYPE) {
        *content_type = HeaderValue::from_static("application/vnd.api+json");
    }
    response
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(READ)?;
    let page = query.page(PAGE)?;
    let sort = query.sort(&["name", "created_at", "expires_at", "last_used_at", "leaked"])?;
    let owners: Vec<_> = query.all("filter[owned_by]").collect();
    let leaked_only = query.flag("filter[leaked]")? == Some(true);
    let with_leak = !query.include(INCLUDE)?.is_empty();

    let org = simulator.org();
    let mut tokens: Vec<_> = valid(&org)
        .filter(|token| {
            query.lets_through(&token.name)
                && (owners.is_empty() || owners.contains(&token.owned_by.as_str()))
                && (!leaked_only || token.leak.is_some())
        })
        .collect();
    sort.order(&mut tokens, |token, by| match by {
        "created_at" => Rank::Time(Some(token.created_at)),
        "expires_at" => Rank::Time(Some(token.expires_at)),
        // Nothing here accepts a token, so none was ever used.
        "last_used_at" => Rank::Time(None),
        "leaked" => Rank::Flag(token.leak.is_some()),
        _ => Rank::Text(&token.name),
    });
    let shown = page.of(&tokens);
    let data: Value = shown.iter().map(|token| resource(token)).collect();
    let mut document = json!({
        "data": data,
        "meta": { "page": { "total_filtered_count": tokens.len() } },
    });
    included(shown, with_leak).put(&mut document);
    Ok(Json(document))
}

async fn create(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    caller.need(&["user_app_keys"])?;
    let attributes = Attributes::read(&body, TYPE, None)?;
    let name = required(attributes.name()?, "name")?;
    let scopes = some_scopes(required(attributes.scopes()?.flatten(), "scopes")?)?;
    let expires_at = required(attributes.text("expires_at")?, "expires_at")?;
    let expires_at = time::parse(&expires_at)
        .ok_or_else(|| Refusal::bad("expires_at must be an RFC 3339 timestamp"))?;
    let now = simulator.clock.now();
    if expires_at < now + MIN_LIFE {
        return Err(Refusal::bad("expires_at must be at least 24 hours ahead"));
    }

    let (public_portion, value) = secret::access_token(&simulator.random);
    let token = AccessToken {
        id: simulator.random.uuid().to_string(),
        value,
        public_portion,
        name,
        scopes,
        created_at: now,
        expires_at,
        modified_at: None,
        owned_by: caller.user,
        revoked: false,
        leak: None,
    };
    let data = json!({
        "type": TYPE,
        "id": token.id,
        "attributes": {
            "created_at": time::zulu(token.created_at),
            "expires_at": time::zulu(token.expires_at),
            "key": token.value.expose_secret(),
            "name": token.name,
            "public_portion": token.public_portion,
            "scopes": token.scopes,
        },
        "relationships": { "owned_by": user_link(&token.owned_by) },
    });
    simulator.org().access_tokens.push(token);
    Ok((StatusCode::CREATED, Json(json!({ "data": data }))))
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    caller.need(READ)?;
    let with_leak = !query.include(INCLUDE)?.is_empty();
    let org = simulator.org();
    let token = valid(&org).find(|token| token.id == id);
    let token = token.ok_or_else(not_found)?;
    let mut document = json!({ "data": resource(token) });
    included(&[token], with_leak).put(&mut document);
    Ok(Json(document))
}

async fn update(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need(WRITE)?;
    let mut org = simulator.org();
    let mut tokens = org.access_tokens.iter_mut();
    let token = tokens.find(|token| !token.revoked && token.id == id);
    let token = token.ok_or_else(not_found)?;
    let attributes = Attributes::read(&body, TYPE, Some(&id))?;
    let name = attributes.name()?;
    let scopes = match attributes.scopes()? {
        None => None,
        Some(scopes) => Some(some_scopes(scopes.unwrap_or_default())?),
    };
    if let Some(name) = name {
        token.name = name;
    }
    if let Some(scopes) = scopes {
        token.scopes = scopes;
    }
    token.modified_at = Some(simulator.clock.now());
    let mut data = resource(token);
    data["relationships"] = json!({ "owned_by": user_link(&token.owned_by) });
    Ok(Json(json!({ "data": data })))
}

/// Revoking what is revoked already succeeds again.
async fn revoke(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    caller.need(WRITE)?;
    let mut org = simulator.org();
    let token = org.access_tokens.iter_mut().find(|token| token.id == id);
    token.ok_or_else(not_found)?.revoked = true;
    Ok(StatusCode::NO_CONTENT)
}

fn valid(org: &Org) -> impl Iterator<Item = &AccessToken> {
    org.access_tokens.iter().filter(|token| !token.revoked)
}

fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "Personal access token not found")
}

fn some_scopes(scopes: Vec<String>) -> Result<Vec<String>, Refusal> {
    if scopes.is_empty() {
        return Err(Refusal::bad("scopes must not be empty"));
    }
    Ok(scopes)
}

/// A token as reads and updates show it: never its value.
fn resource(token: &AccessToken) -> Value {
    let micros = |at: SystemTime| time::zulu(time::truncated(at));
    json!({
        "type": TYPE,
        "id": token.id,
        "attributes": {
            "created_at": micros(token.created_at),
            "expires_at": micros(token.expires_at),
            "last_used_at": null,
            "modified_at": token.modified_at.map(micros),
            "name": token.name,
            "public_portion": token.public_portion,
            "scopes": token.scopes,
        },
        "relationships": {
            "owned_by": user_link(&token.owned_by),
            "leak_information": leak_link(token.leak.as_ref()),
        },
    })
}

fn included(tokens: &[&AccessToken], with_leak: bool) -> Included {
    let mut included = Included::default();
    for token in tokens.iter().filter(|_| with_leak) {
        included.leak(token.leak.as_ref());
    }
    included
}
