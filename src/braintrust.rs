//! Braintrust's API keys and service tokens: resources, operations.
//!
//! Everything here describes; the path that calls take is the gateway's.
//! Source: Braintrust API reference, ApiKeys and ServiceTokens.

mod answers;
pub mod api_keys;
pub mod masters;
mod operation;
pub mod service_tokens;

use serde_json::value::RawValue;

use crate::{
    gateway::{
        answers::bare,
        operation::{Found, Vendor},
        trace::Tracer,
    },
    json::{self, Field as _, Malformed, Members},
};

/// The platform's base URL (Braintrust API reference), where no data plane of
/// one's own is configured.
pub const BASE_URL: &str = "https://api.braintrust.dev";

/// How many keys are looked for that may be one key.
const SOUGHT: usize = 100;

/// How the effects of all operations are looked for.
pub fn tracers() -> impl Iterator<Item = &'static Tracer> {
    let services = [api_keys::TRACERS, service_tokens::TRACERS];
    services.into_iter().flatten()
}

/// Braintrust, where its operations do not differ.
#[derive(Debug)]
pub struct Braintrust;

impl Vendor for Braintrust {
    /// Plain text, or any JSON: a text, or whatever else that says something. HTML
    /// comes from somebody between us and upstream.
    fn errors(body: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let words = match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => json::text(raw).unwrap_or_else(|| raw.get().to_owned()),
            Err(_) if text.starts_with('<') => String::new(),
            Err(_) => text.to_owned(),
        };
        match words.trim() {
            "" | "null" | "{}" | "[]" => Vec::new(),
            words => vec![words.to_owned()],
        }
    }

    /// `{"objects": […]}`, or one object.
    fn keys(body: &[u8]) -> Result<Vec<&RawValue>, Malformed> {
        let one = bare(body)?;
        Members::of(one).ok_or(Malformed("the answer is not an object"))?;
        let Some(objects) = json::member(one, "objects") else {
            return Ok(vec![one]);
        };
        let objects = json::elements(objects).ok_or(Malformed("`objects` is not a list"))?;
        if objects.len() >= SOUGHT {
            return Err(Malformed("there may be more keys than were looked for"));
        }
        Ok(objects)
    }

    fn found(key: &RawValue) -> Found {
        let mut found = Found::default();
        for (name, raw) in Members::of(key).into_iter().flatten() {
            match &*name {
                "id" => found.id.fill(raw),
                "name" => found.name.fill(raw),
                "created" => found.created.fill(raw),
                "service_account_id" => found.parent.fill(raw),
                _ => continue,
            };
        }
        found
    }

    fn setting<'k>(key: &'k RawValue, name: &str) -> Option<&'k RawValue> {
        json::member(key, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::operation::found;

    #[test]
    fn errors_are_plain_text_or_any_json() {
        for (body, words) in [
            (
                "No valid API key provided",
                Some("No valid API key provided"),
            ),
            (" spaced \n", Some("spaced")),
            (r#""in quotes""#, Some("in quotes")),
            (r#"{"error": "why"}"#, Some(r#"{"error": "why"}"#)),
            (r#"[{"path": ["name"]}]"#, Some(r#"[{"path": ["name"]}]"#)),
            ("42", Some("42")),
            ("false", Some("false")),
            ("null", None),
            ("", None),
            (" ", None),
            ("{}", None),
            ("[]", None),
            (r#"" ""#, None),
            ("<!DOCTYPE html><p>Bad gateway", None),
            ("\u{feff}<html>", Some("\u{feff}<html>")),
        ] {
            let words: Vec<_> = words.into_iter().collect();
            assert_eq!(Braintrust::errors(body.as_bytes()), words, "{body}");
        }
        assert!(Braintrust::errors(&[0xff, 0xfe]).is_empty());
    }

    #[test]
    fn what_can_not_be_told_apart_is_nobodys() {
        let unknown = [Found::default()];
        let full = format!(r#"{{"objects": [{}1]}}"#, "1,".repeat(SOUGHT - 1));
        for body in ["", "[]", "null", "<html>", r#"{"objects": null}"#, &full] {
            assert_eq!(found::<Braintrust>(body.as_bytes()), unknown, "{body}");
        }
        assert_eq!(found::<Braintrust>(br#"{"objects": []}"#), []);
        let named = |id: &str, name: &str| Found {
            id: Some(id.to_owned()),
            name: Some(name.to_owned()),
            ..Found::default()
        };
        let one = br#"{"name": "a", "key": null, "id": "1"}"#;
        assert_eq!(found::<Braintrust>(one), [named("1", "a")]);
        let list = br#"{"objects": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, 3]}"#;
        let expected = [named("1", "a"), named("2", "b"), Found::default()];
        assert_eq!(found::<Braintrust>(list), expected);
    }
}
