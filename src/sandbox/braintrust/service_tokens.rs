//! Service tokens, which only owners may see and only service accounts with
//! owner rights may make.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use bytes::Bytes;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use super::{
    Simulator,
    caller::Caller,
    list::{Listed, Query, objects},
    org::{Org, ServiceToken},
    refusal::Refusal,
    secret, written,
};

pub(super) fn routes() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/service_token", get(list).post(create).put(replace))
        .route("/service_token/{service_token_id}", get(one).delete(delete))
}

impl Listed for ServiceToken {
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
    caller.need_owner()?;
    let org = simulator.org();
    let here = query.one("org_name").is_none_or(|it| it == org.name);
    let seen = if here {
        org.service_tokens.as_slice()
    } else {
        &[]
    };
    let page = query.page(seen, "service_token_name")?;
    Ok(objects(page.into_iter().map(|token| object(&org, token))))
}

async fn create(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need_owner()?;
    let mut org = simulator.org();
    let wanted = Wanted::read(&org, &body)?;
    let id = simulator.random.uuid().to_string();
    Ok(Json(make(&simulator, &mut org, id, wanted)))
}

async fn replace(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    caller.need_owner()?;
    let mut org = simulator.org();
    let wanted = Wanted::read(&org, &body)?;
    let mut tokens = org.service_tokens.iter();
    let id = match tokens.rposition(|token| token.name == wanted.name) {
        Some(at) => org.service_tokens.remove(at).id,
        None => simulator.random.uuid().to_string(),
    };
    Ok(Json(make(&simulator, &mut org, id, wanted)))
}

async fn one(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    caller.need_owner()?;
    let org = simulator.org();
    let at = place(&org, &id)?;
    Ok(Json(object(&org, &org.service_tokens[at])))
}

async fn delete(
    State(simulator): State<Arc<Simulator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    caller.need_owner()?;
    let mut org = simulator.org();
    let at = place(&org, &id)?;
    let token = org.service_tokens.remove(at);
    Ok(Json(object(&org, &token)))
}

fn place(org: &Org, id: &str) -> Result<usize, Refusal> {
    let at = org.service_tokens.iter().position(|token| token.id == id);
    at.ok_or_else(|| Refusal::bad(format!("No service_token with id {id}")))
}

/// What a body asks for.
struct Wanted {
    name: String,
    account: String,
}

impl Wanted {
    fn read(org: &Org, body: &[u8]) -> Result<Self, Refusal> {
        let mut body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| Refusal::bad("Invalid JSON in the body"))?;
        let mut text = |member: &str| match body.remove(member) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Refusal::member(member, "Expected string")),
            None => Err(Refusal::member(member, "Required")),
        };
        let name = text("name")?;
        let account = text("service_account_id")?;
        match body.remove("org_name") {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name == org.name => {}
            Some(Value::String(name)) => {
                let words = format!("Missing access to organization {name}, or it does not exist");
                return Err(Refusal::text(StatusCode::FORBIDDEN, words));
            }
            Some(_) => return Err(Refusal::member("org_name", "Expected string")),
        }
        if org.service_account(&account).is_none() {
            let words = format!("No service account with id {account}");
            return Err(Refusal::bad(words));
        }
        Ok(Self { name, account })
    }
}

/// Makes a token. The answer is the only one to show its value.
fn make(simulator: &Simulator, org: &mut Org, id: String, wanted: Wanted) -> Value {
    let token = ServiceToken {
        id,
        value: secret::service_token(&simulator.random),
        name: wanted.name,
        created: simulator.clock.now(),
        account: wanted.account,
    };
    let mut answer = object(org, &token);
    answer["key"] = json!(token.value.expose_secret());
    org.service_tokens.push(token);
    answer
}

fn object(org: &Org, token: &ServiceToken) -> Value {
    let account = org.service_account(&token.account);
    json!({
        "id": token.id,
        "created": written(token.created),
        "name": token.name,
        "preview_name": secret::preview(&token.value),
        "service_account_id": token.account,
        "service_account_email": account.map(|it| &it.email),
        "service_account_name": account.map(|it| it.name),
        "org_id": org.id,
    })
}
