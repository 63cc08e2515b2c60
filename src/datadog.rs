//! Datadog's Key Management API: sites, resources, operations.
//!
//! Everything here describes; the path that calls take is the gateway's.

pub mod answers;
pub mod api_keys;
pub mod application_keys;
pub mod jsonapi;
pub mod operation;
pub mod personal_access_tokens;
pub mod query;
pub mod resources;
pub mod site;

use serde_json::value::RawValue;

use crate::{
    gateway::operation::Vendor,
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

    fn name(body: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(body).ok()?;
        let data = member(Members::parse(text)?, "data")?;
        let attributes = member(Members::of(data)?, "attributes")?;
        let mut name: Option<String> = None;
        name.fill(member(Members::of(attributes)?, "name")?);
        name
    }
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
