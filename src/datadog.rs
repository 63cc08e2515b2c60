//! Datadog's Key Management API: sites, resources, operations.
//!
//! Everything here describes; the path that calls take is the gateway's.

pub mod answers;
pub mod api_keys;
pub mod application_keys;
pub mod jsonapi;
pub mod masters;
pub mod operation;
pub mod personal_access_tokens;
pub mod query;
pub mod resources;
pub mod service_accounts;
pub mod site;
pub mod v1;

use serde_json::value::RawValue;

use crate::{
    gateway::operation::{Found, Scopes, Vendor},
    json::{self, Field as _, Members},
};

/// Datadog, where its operations do not differ.
pub struct Datadog;

impl Vendor for Datadog {
    /// `{"errors": ["…"]}`, or JSON:API error objects.
    fn errors(body: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let errors = Members::parse(text)
            .into_iter()
            .flatten()
            .find(|(name, _)| name == "errors")
            .and_then(|(_, errors)| json::elements(errors));
        let errors = errors.unwrap_or_default();
        errors.into_iter().filter_map(error).collect()
    }

    /// JSON:API resources: `data` is one, or a list of them.
    fn found(body: &[u8]) -> Vec<Found> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let data = Members::parse(text).and_then(|it| member(it, "data"));
        let Some(data) = data else {
            return Vec::new();
        };
        let resources = json::elements(data).unwrap_or_else(|| vec![data]);
        resources.into_iter().map(resource).collect()
    }
}

fn resource(raw: &RawValue) -> Found {
    let mut found = Found::default();
    for (member, raw) in Members::of(raw).into_iter().flatten() {
        match &*member {
            "id" => {
                found.id.fill(raw);
            }
            "attributes" => {
                for (member, raw) in Members::of(raw).into_iter().flatten() {
                    match &*member {
                        "name" => found.name = json::text(raw),
                        "scopes" => found.scopes = scopes(raw),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The scopes of a key or token; null says that it has all its owner's rights.
fn scopes(raw: &RawValue) -> Scopes {
    let scopes = json::elements(raw);
    let scopes = scopes.and_then(|all| all.into_iter().map(json::text).collect());
    scopes.map_or(Scopes::Unscoped, Scopes::These)
}

fn member<'a>(members: Members<'a>, wanted: &str) -> Option<&'a RawValue> {
    let found = members.into_iter().find(|(name, _)| name == wanted);
    found.map(|(_, raw)| raw)
}

fn error(raw: &RawValue) -> Option<String> {
    let mut words: Option<String> = None;
    words.fill(raw);
    if words.is_some() {
        return words;
    }
    let (mut title, mut detail) = (None::<String>, None::<String>);
    for (name, raw) in Members::of(raw)? {
        match &*name {
            "title" => title.fill(raw),
            "detail" => detail.fill(raw),
            _ => continue,
        };
    }
    match (title, detail) {
        (Some(title), Some(detail)) => Some(format!("{title}: {detail}")),
        (title, detail) => detail.or(title),
    }
}
