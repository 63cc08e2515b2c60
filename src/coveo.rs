//! Coveo's API keys: regions, resources, operations.
//!
//! Everything here describes; the path that calls take is the gateway's.
//!
//! Source: Coveo docs, "Manage API keys"; the vendor's description of its
//! Authorization Server API ("Api Keys"); its own TypeScript client,
//! `@coveo/platform-client`.

mod answers;
pub mod api_keys;
pub mod masters;
mod operation;
mod privileges;
pub mod region;
mod settings;

use serde_json::value::RawValue;

use crate::{
    contract::proto::keygate::coveo::v1::ApiKey,
    gateway::{
        answers::bare,
        operation::{Found, Vendor},
        trace::Tracer,
    },
    json::{self, Malformed, Members},
};

/// How the effects of all operations are looked for.
pub fn tracers() -> impl Iterator<Item = &'static Tracer> {
    api_keys::TRACERS.iter()
}

/// Coveo, where its operations do not differ.
pub struct Coveo;

impl Vendor for Coveo {
    /// `{"message","errorCode","requestID"}`, or a problem of RFC 9457.
    fn errors(body: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        Members::parse(text).and_then(words).into_iter().collect()
    }

    /// A key, or a list of them.
    fn keys(body: &[u8]) -> Result<Vec<&RawValue>, Malformed> {
        let raw = bare(body)?;
        Ok(json::elements(raw).unwrap_or_else(|| vec![raw]))
    }

    fn found(key: &RawValue) -> Found {
        let Ok(key) = json::object::read::<ApiKey>(key) else {
            return Found::default();
        };
        let scopes = privileges::of(&key);
        Found {
            id: Some(key.id).filter(|it| !it.is_empty()),
            name: key.display_name,
            scopes,
            parent: None,
            created: key.created_date,
        }
    }

    fn setting<'k>(key: &'k RawValue, name: &str) -> Option<&'k RawValue> {
        json::member(key, name)
    }
}

/// What an error says: what it is, and then more of it.
fn words(members: Members<'_>) -> Option<String> {
    let (mut title, mut code, mut detail, mut message) = (None, None, None, None);
    for (name, raw) in members {
        match &*name {
            "title" => title = json::text(raw),
            "errorCode" => code = json::text(raw),
            "detail" => detail = json::text(raw),
            "message" => message = json::text(raw),
            _ => {}
        }
    }
    match (title.or(code), detail.or(message)) {
        (Some(what), Some(more)) => Some(format!("{what}: {more}")),
        (what, more) => more.or(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::operation::Scopes;

    #[test]
    fn errors_are_told_in_upstream_s_words() {
        for (body, words) in [
            (
                r#"{"message":"no","errorCode":"ACCESS_DENIED","requestID":"1"}"#,
                &["ACCESS_DENIED: no"][..],
            ),
            (
                r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"taken"}"#,
                &["Conflict: taken"],
            ),
            (r#"{"title":"Conflict"}"#, &["Conflict"]),
            (r#"{"message":"no","errorCode":7}"#, &["no"]),
            (r#"{"error":"no"}"#, &[]),
            (r#"["no"]"#, &[]),
            ("<html><body>no</body></html>", &[]),
            ("", &[]),
        ] {
            assert_eq!(Coveo::errors(body.as_bytes()), words, "{body}");
        }
    }

    #[test]
    fn keys_are_found_in_either_form() {
        let key = |id: &str, name: Option<&str>| Found {
            id: Some(id.to_owned()),
            name: name.map(str::to_owned),
            scopes: Scopes::Unscoped,
            ..Found::default()
        };
        let viewer = Found {
            scopes: Scopes::These(vec!["A:B:*:*".to_owned()]),
            ..key("e", None)
        };
        for (body, found) in [
            (r#"{"id":"a","displayName":"b"}"#, vec![key("a", Some("b"))]),
            (
                r#"[{"id":"a","displayName":null},{"displayName":"d","id":"c"}]"#,
                vec![key("a", None), key("c", Some("d"))],
            ),
            (
                r#"{"id":"e","privileges":[{"owner":"A","targetDomain":"B"}]}"#,
                vec![viewer],
            ),
            ("[]", vec![]),
            ("7", vec![Found::default()]),
            ("", vec![Found::default()]),
        ] {
            assert_eq!(
                crate::gateway::operation::found::<Coveo>(body.as_bytes()),
                found,
                "{body}"
            );
        }
    }
}
