//! Documents: the JSON that is read, the refusals that are written, and the
//! request's id on every answer.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::Simulator;

/// An answer that is an error: `{"message","errorCode","requestID"}`.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
    }

    /// 404.
    pub(super) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 412.
    pub(super) fn precondition(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, code, message)
    }
}

impl IntoResponse for Refusal {
    /// The body needs the request's id: [`identified`] writes it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives every request an id, and tells it in the answer.
pub(super) async fn identified(
    State(simulator): State<Arc<Simulator>>,
    request: Request,
    next: Next,
) -> Response {
    let id = simulator.random.uuid().to_string();
    let mut response = next.run(request).await;
    if let Some(Refusal {
        status,
        code,
        message,
    }) = response.extensions_mut().remove()
    {
        let body = json!({ "message": message, "errorCode": code, "requestID": id });
        response = (status, Json(body)).into_response();
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Members of a key that only the vendor writes: in a request they count for
/// nothing.
const READ_ONLY: &[&str] = &[
    "activationDate",
    "apiKeyTemplateId",
    "createdBy",
    "createdDate",
    "disabledDate",
    "enabled",
    "expirationDate",
    "exposureReport",
    "id",
    "lastUsedDate",
    "organizationId",
    "privacyLevel",
    "resourceId",
    "status",
    "tokenId",
    "value",
];

/// Reads an object; an empty body counts as one without members.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| Refusal::bad("The body is not a JSON object"))
}

/// Reads the ids of a bulk call: at least one, none of them twice.
pub(super) fn ids(body: &[u8]) -> Result<Vec<String>, Refusal> {
    let ids: Vec<String> = serde_json::from_slice(body)
        .map_err(|_| Refusal::bad("The body is not a JSON array of strings"))?;
    let different: BTreeSet<_> = ids.iter().collect();
    if ids.is_empty() || different.len() != ids.len() {
        return Err(Refusal::bad("The ids must be different, and at least one"));
    }
    Ok(ids)
}

/// Takes a text out of a body.
pub(super) fn take_text(
    body: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<String>, Refusal> {
    match body.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::bad(format!("{name} must be a string"))),
    }
}

/// What of a body a caller can write, checked as far as the description of the
/// API says; members that it does not name are kept as they are.
pub(super) fn writable(mut body: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    for name in READ_ONLY {
        body.remove(*name);
    }
    for (name, longest) in [("displayName", 125), ("description", 1_000)] {
        match body.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.chars().count() <= longest => {}
            Some(_) => {
                let message = format!("{name} must be a string of at most {longest} characters");
                return Err(Refusal::bad(message));
            }
        }
    }
    for name in ["allowedIps", "deniedIps"] {
        every(&body, name, Value::is_string)?;
    }
    for name in ["groupsThatCanEdit", "apiKeysThatCanEdit"] {
        every(&body, name, |value| is_text(value, "id"))?;
    }
    every(&body, "privileges", |privilege| {
        is_text(privilege, "owner")
            && is_text(privilege, "targetDomain")
            // a key that could edit keys could edit itself
            && (privilege["owner"] != "PLATFORM" || privilege["targetDomain"] != "API_KEY")
    })?;
    Ok(body)
}

fn every(
    body: &Map<String, Value>,
    name: &str,
    fits: impl Fn(&Value) -> bool,
) -> Result<(), Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(values)) if values.iter().all(fits) => Ok(()),
        Some(_) => Err(Refusal::bad(format!("{name} is not valid"))),
    }
}

fn is_text(value: &Value, name: &str) -> bool {
    value.get(name).is_some_and(Value::is_string)
}
