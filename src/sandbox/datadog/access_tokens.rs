//! Access tokens: personal ones, and those of service accounts. Every answer
//! with a body is `application/vnd.api+json`, refusals too.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::State,
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
    document::{Attributes, Included, Refusal, leak_link, link, required},
    org::{AccessToken, Org, TokenKind},
    query::{Query, Rank},
    reach::{Access, Item, Owner, SERVICE_ACCOUNT, ServiceAccount, Way},
    secret, time,
};

const PAGE: usize = 10;
const INCLUDE: &[&str] = &["leak_information"];
/// The shortest life of a token.
const MIN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Through the organization. The list has tokens of both kinds; the other routes
/// know personal ones only.
struct Personal;

impl Way for Personal {
    const READ: &'static [&'static str] = &["user_app_keys", "org_app_keys_read"];
    const CREATE: &'static [&'static str] = &["user_app_keys"];
    const WRITE: &'static [&'static str] = &["user_app_keys", "org_app_keys_write"];
    const OWNER: Owner = Owner::Anyone;
}

pub(super) fn routes() -> Router<Arc<Simulator>> {
    tokens::<Personal>("/personal_access_tokens")
        .nest(SERVICE_ACCOUNT, tokens::<ServiceAccount>("/access_tokens"))
        .layer(middleware::map_response(typed))
}

fn tokens<W: Way>(path: &str) -> Router<Arc<Simulator>> {
    Router::new()
        .route(path, get(list::<W>).post(create::<W>))
        .route(
            &format!("{path}/{{token_id}}"),
            get(one::<W>).patch(update::<W>).delete(revoke::<W>),
        )
}

/// The kind of token that is made, read, changed and revoked.
fn kind<W: Way>() -> TokenKind {
    match W::OWNER {
        Owner::Anyone | Owner::CurrentUser => TokenKind::Personal,
        Owner::ServiceAccount => TokenKind::Service,
    }
}

async fn typed(mut response: Response) -> Response {
    if let Some(content_type) = response.headers_mut().get_mut(header::CONTENT_TYPE) {
        *content_type = HeaderValue::from_static("application/vnd.api+json");
    }
    response
}

async fn list<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    let page = query.page(PAGE)?;
    let sort = query.sort(&["name", "created_at", "expires_at", "last_used_at", "leaked"])?;
    let owners: Vec<_> = match W::OWNER {
        Owner::Anyone => query.all("filter[owned_by]").collect(),
        Owner::CurrentUser | Owner::ServiceAccount => Vec::new(),
    };
    let leaked_only = query.flag("filter[leaked]")? == Some(true);
    let with_leak = !query.include(INCLUDE)?.is_empty();

    let org = simulator.org();
    let mut tokens: Vec<_> = valid(&org)
        .filter(|token| {
            access.reaches(&token.owned_by)
                && query.lets_through(&token.name)
                && (owners.is_empty() || owners.contains(&token.owned_by.as_str()))
                && (!leaked_only || token.leak.is_some())
        })
        .collect();
    sort.order(&mut tokens, |token, by| match by {
        "created_at" => Rank::Time(Some(token.created_at)),
        "expires_at" => token
            .expires_at
            .map_or(Rank::Never, |at| Rank::Time(Some(at))),
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

async fn create<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let kind = kind::<W>();
    let attributes = Attributes::read(&body, kind.resource_type(), None)?;
    let name = required(attributes.name()?, "name")?;
    let scopes = some_scopes(required(attributes.scopes()?.flatten(), "scopes")?)?;
    let expires_at = attributes.text("expires_at")?.map(|text| {
        time::parse(&text).ok_or_else(|| Refusal::bad("expires_at must be an RFC 3339 timestamp"))
    });
    let expires_at = match kind {
        TokenKind::Personal => Some(required(expires_at, "expires_at")??),
        TokenKind::Service => expires_at.transpose()?,
    };
    let now = simulator.clock.now();
    if expires_at.is_some_and(|at| at < now + MIN_LIFE) {
        return Err(Refusal::bad("expires_at must be at least 24 hours ahead"));
    }

    let (public_portion, value) = secret::access_token(kind, &simulator.random);
    let token = AccessToken {
        kind,
        id: simulator.random.uuid().to_string(),
        value,
        public_portion,
        name,
        scopes,
        created_at: now,
        expires_at,
        modified_at: None,
        owned_by: access.new_owner().to_owned(),
        revoked: false,
        leak: None,
    };
    let data = json!({
        "type": kind.resource_type(),
        "id": token.id,
        "attributes": {
            "created_at": time::zulu(token.created_at),
            "expires_at": token.expires_at.map(time::zulu),
            "key": token.value.expose_secret(),
            "name": token.name,
            "public_portion": token.public_portion,
            "scopes": token.scopes,
        },
        "relationships": { "owned_by": owner_link(&token) },
    });
    simulator.org().access_tokens.push(token);
    Ok((StatusCode::CREATED, Json(json!({ "data": data }))))
}

async fn one<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    Item(id): Item,
    query: Query,
) -> Result<Json<Value>, Refusal> {
    let with_leak = !query.include(INCLUDE)?.is_empty();
    let mut org = simulator.org();
    let token = &*valid_one(&mut org, &id, &access)?;
    let mut document = json!({ "data": resource(token) });
    included(&[token], with_leak).put(&mut document);
    Ok(Json(document))
}

async fn update<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    Item(id): Item,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let mut org = simulator.org();
    let token = valid_one(&mut org, &id, &access)?;
    let attributes = Attributes::read(&body, token.kind.resource_type(), Some(&id))?;
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
    data["relationships"] = json!({ "owned_by": owner_link(token) });
    Ok(Json(json!({ "data": data })))
}

/// Revoking what is revoked already succeeds again.
async fn revoke<W: Way>(
    State(simulator): State<Arc<Simulator>>,
    access: Access<W>,
    Item(id): Item,
) -> Result<StatusCode, Refusal> {
    find(&mut simulator.org(), &id, &access)?.revoked = true;
    Ok(StatusCode::NO_CONTENT)
}

fn valid(org: &Org) -> impl Iterator<Item = &AccessToken> {
    org.access_tokens.iter().filter(|token| !token.revoked)
}

/// A token, revoked or not, if it is reached.
fn find<'o, W: Way>(
    org: &'o mut Org,
    id: &str,
    access: &Access<W>,
) -> Result<&'o mut AccessToken, Refusal> {
    let kind = kind::<W>();
    let mut tokens = org.access_tokens.iter_mut();
    let token = tokens
        .find(|token| token.id == id && token.kind == kind && access.reaches(&token.owned_by));
    token.ok_or_else(|| not_found(kind))
}

fn valid_one<'o, W: Way>(
    org: &'o mut Org,
    id: &str,
    access: &Access<W>,
) -> Result<&'o mut AccessToken, Refusal> {
    let token = find(org, id, access)?;
    if token.revoked {
        return Err(not_found(token.kind));
    }
    Ok(token)
}

fn not_found(kind: TokenKind) -> Refusal {
    let words = match kind {
        TokenKind::Personal => "Personal access token not found",
        TokenKind::Service => "Service access token not found",
    };
    Refusal::new(StatusCode::NOT_FOUND, words)
}

fn owner_link(token: &AccessToken) -> Value {
    link(token.kind.owner_type(), &token.owned_by)
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
        "type": token.kind.resource_type(),
        "id": token.id,
        "attributes": {
            "created_at": micros(token.created_at),
            "expires_at": token.expires_at.map(micros),
            "last_used_at": null,
            "modified_at": token.modified_at.map(micros),
            "name": token.name,
            "public_portion": token.public_portion,
            "scopes": token.scopes,
        },
        "relationships": {
            "owned_by": owner_link(token),
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
