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

use secrecy::SecretString;
use serde_json::value::RawValue;

use crate::{
    gateway::{
        answers::bare,
        operation::{Found, Scopes, Vendor},
        trace::Tracer,
    },
    json::{self, Field as _, Malformed, Members},
};

/// How the effects of all operations are looked for.
pub fn tracers() -> impl Iterator<Item = &'static Tracer> {
    let services = [
        api_keys::TRACERS,
        application_keys::TRACERS,
        application_keys::CURRENT_USER_TRACERS,
        personal_access_tokens::TRACERS,
        service_accounts::TRACERS,
        v1::api_keys::TRACERS,
        v1::application_keys::TRACERS,
    ];
    services.into_iter().flatten()
}

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
    fn keys(body: &[u8]) -> Result<Vec<&RawValue>, Malformed> {
        let data = json::member(bare(body)?, "data");
        let data = data.ok_or(Malformed("the answer has no `data`"))?;
        Ok(json::elements(data).unwrap_or_else(|| vec![data]))
    }

    fn found(key: &RawValue) -> Found {
        let mut found = Found::default();
        for (name, raw) in Members::of(key).into_iter().flatten() {
            match &*name {
                "id" => {
                    found.id.fill(raw);
                }
                "attributes" => {
                    for (name, raw) in Members::of(raw).into_iter().flatten() {
                        match &*name {
                            "name" => found.name = json::text(raw),
                            "scopes" => found.scopes = scopes(raw),
                            "created_at" => {
                                found.created.fill(raw);
                            }
                            _ => {}
                        }
                    }
                }
                "relationships" => found.parent = service_account(raw),
                _ => {}
            }
        }
        found
    }

    fn secret(key: &RawValue) -> Option<SecretString> {
        Self::setting(key, "key")
            .and_then(json::text)
            .map(Into::into)
    }

    fn setting<'k>(key: &'k RawValue, name: &str) -> Option<&'k RawValue> {
        json::member(json::member(key, "attributes")?, name)
    }
}

/// The id of the service account that owns a key or token with these
/// relationships, if it is one.
fn service_account(relationships: &RawValue) -> Option<String> {
    let owner = json::member(json::member(relationships, "owned_by")?, "data")?;
    let (mut kind, mut id) = (None::<String>, None::<String>);
    for (name, raw) in Members::of(owner)? {
        match &*name {
            "type" => kind.fill(raw),
            "id" => id.fill(raw),
            _ => continue,
        };
    }
    id.filter(|_| kind.as_deref() == Some("service_account"))
}

/// The scopes of a key or token; null says that it has all its owner's rights.
fn scopes(raw: &RawValue) -> Scopes {
    let scopes = json::elements(raw);
    let scopes = scopes.and_then(|all| all.into_iter().map(json::text).collect());
    scopes.map_or(Scopes::Unscoped, Scopes::These)
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
