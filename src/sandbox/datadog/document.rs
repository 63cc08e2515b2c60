//! Documents: the JSON:API requests that are read, the answers and refusals
//! that are written.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{
    org::{Leak, Org, User},
    time,
};

/// An answer that is an error: `{"errors": ["…"]}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// 400.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "errors": [self.message] }))).into_response()
    }
}

/// The answer to a deletion: no body, and yet a type.
pub(super) fn deleted() -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (StatusCode::NO_CONTENT, content_type).into_response()
}

/// The attributes of a request's resource.
pub(super) struct Attributes(Map<String, Value>);

impl Attributes {
    /// Reads a body that is not JSON:API: an object of attributes alone.
    pub(super) fn bare(body: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|_| Refusal::bad("Invalid JSON in the body"))
    }

    /// Reads the body of a creation, or of an update of the resource `id`.
    pub(super) fn read(body: &[u8], kind: &str, id: Option<&str>) -> Result<Self, Refusal> {
        let mut document: Value =
            serde_json::from_slice(body).map_err(|_| Refusal::bad("Invalid JSON in the body"))?;
        let data = document
            .get_mut("data")
            .and_then(Value::as_object_mut)
            .ok_or_else(|| Refusal::bad("Missing required field: data"))?;
        if data.get("type").and_then(Value::as_str) != Some(kind) {
            return Err(Refusal::bad(format!("Invalid type: expected {kind}")));
        }
        if let Some(id) = id
            && data.get("id").and_then(Value::as_str) != Some(id)
        {
            return Err(Refusal::bad("The id in the body is not the id in the path"));
        }
        match data.remove("attributes") {
            Some(Value::Object(attributes)) => Ok(Self(attributes)),
            _ => Err(Refusal::bad("Missing required field: attributes")),
        }
    }

    /// A text; refused if it is something else.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::bad(format!("{name} must be a string"))),
        }
    }

    /// `name`; refused if it is blank.
    pub(super) fn name(&self) -> Result<Option<String>, Refusal> {
        match self.text("name")? {
            Some(name) if name.trim().is_empty() => Err(Refusal::bad("name must not be empty")),
            name => Ok(name),
        }
    }

    /// `true` or `false`; refused if it is something else.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Refusal::bad(format!("{name} must be a boolean"))),
        }
    }

    /// `scopes`: absent, `null`, or names.
    pub(super) fn scopes(&self) -> Result<Option<Option<Vec<String>>>, Refusal> {
        let refusal = || Refusal::bad("scopes must be an array of strings");
        match self.0.get("scopes") {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::Array(scopes)) => scopes
                .iter()
                .map(|scope| match scope.as_str() {
                    Some(scope) if !scope.is_empty() => Ok(scope.to_owned()),
                    _ => Err(refusal()),
                })
                .collect::<Result<_, _>>()
                .map(|scopes| Some(Some(scopes))),
            Some(_) => Err(refusal()),
        }
    }
}

/// Refuses what is required and absent.
pub(super) fn required<T>(value: Option<T>, name: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::bad(format!("Missing required field: {name}")))
}

/// A relationship to a user.
pub(super) fn user_link(id: &str) -> Value {
    link("users", id)
}

/// A relationship to one resource.
pub(super) fn link(kind: &str, id: &str) -> Value {
    json!({ "data": { "type": kind, "id": id } })
}

/// The relationship `leak_information`.
pub(super) fn leak_link(leak: Option<&Leak>) -> Value {
    json!({ "data": leak.map(|leak| json!({ "type": "leaked_keys", "id": leak.id })) })
}

/// What goes along with an answer: each resource once. No member at all if
/// there is nothing.
#[derive(Default)]
pub(super) struct Included(Vec<Value>);

impl Included {
    pub(super) fn user(&mut self, org: &Org, id: &str) {
        if let Some(user) = org.users.iter().find(|user| user.id == id) {
            self.add(user_resource(org, user));
        }
    }

    /// A user and the user's role. A service account has none.
    pub(super) fn user_and_role(&mut self, org: &Org, id: &str) {
        self.user(org, id);
        if org.is_service_account(id) {
            return;
        }
        self.add(json!({
            "type": "roles",
            "id": org.role.id,
            "attributes": {
                "name": org.role.name,
                "managed": true,
                "created_at": time::offset(org.role.created_at),
                "modified_at": time::offset(org.role.created_at),
            },
        }));
    }

    pub(super) fn leak(&mut self, leak: Option<&Leak>) {
        if let Some(leak) = leak {
            self.add(json!({
                "type": "leaked_keys",
                "id": leak.id,
                "attributes": { "date": time::offset(leak.date), "leak_source": leak.source },
            }));
        }
    }

    /// Adds the member to a document.
    pub(super) fn put(self, document: &mut Value) {
        if !self.0.is_empty() {
            document["included"] = Value::Array(self.0);
        }
    }

    fn add(&mut self, resource: Value) {
        if !self.0.contains(&resource) {
            self.0.push(resource);
        }
    }
}

fn user_resource(org: &Org, user: &User) -> Value {
    let created_at = time::offset(user.created_at);
    let roles = match user.service_account {
        true => json!([]),
        false => json!([{ "type": "roles", "id": org.role.id }]),
    };
    json!({
        "type": "users",
        "id": user.id,
        "attributes": {
            "name": user.name,
            "handle": user.handle(),
            "created_at": created_at,
            "modified_at": created_at,
            "email": format!("{}@sandbox.invalid", user.id),
            "icon": "https://sandbox.invalid/icon.png",
            "title": null,
            "verified": true,
            "service_account": user.service_account,
            "disabled": false,
            "allowed_login_methods": [],
            "status": "Active",
        },
        "relationships": {
            "roles": { "data": roles },
            "org": { "data": { "type": "orgs", "id": org.id } },
        },
    })
}
