//! A record as one line for a person.
//!
//! What others chose (names, subjects, ids) can neither control the terminal nor
//! pose as another column.

use std::fmt::Write as _;

use super::{Kind, Record};

/// The record as one line: time, result, who, what, where, on which resource, and
/// why it did not succeed. A column that has nothing to say holds `-`.
#[must_use]
pub fn line(record: &Record) -> String {
    let subject = record.caller.as_ref().map(|it| it.subject.as_str());
    let rpc = record.rpc.as_deref().map(short);
    let mut line = format!(
        "{}  {:<9}  {}  {}  {}  {}",
        time(&record.time),
        record.result(),
        field(subject),
        field(rpc),
        field(record.upstream.as_deref()),
        resource(record),
    );
    let details = [
        ("", record.code.as_deref().filter(|it| *it != "OK")),
        ("", record.reason.as_deref()),
        // Of a denial one wants to know what would have allowed it.
        ("permission=", denial(record, record.permission.as_deref())),
        ("rule=", denial(record, record.rule.as_deref())),
        ("request=", record.request_id.as_deref()),
    ];
    let mut gap = "  ";
    for (name, value) in details {
        if value.is_some() {
            line.push_str(gap);
            line.push_str(name);
            line.push_str(&field(value));
            gap = " ";
        }
    }
    line
}

/// JSON that says the same, without characters that control a terminal or change
/// how others are shown.
#[must_use]
pub fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) {
            // as JSON names characters: by their UTF-16
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string can't fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

fn denial<'a>(record: &Record, value: Option<&'a str>) -> Option<&'a str> {
    value.filter(|_| record.kind == Kind::Denied)
}

/// Down to the millisecond, which is what a person reads.
fn time(text: &str) -> String {
    match text.get(..23) {
        Some(shorter) if text.ends_with('Z') => field(Some(&format!("{shorter}Z"))),
        _ => field(Some(text)),
    }
}

/// `ApiKeyService/ListApiKeys` of the full name.
fn short(rpc: &str) -> &str {
    let service = rpc.split('/').next().unwrap_or(rpc);
    service.rfind('.').map_or(rpc, |dot| &rpc[dot + 1..])
}

/// `api_key/ID "name"`, as far as known.
fn resource(record: &Record) -> String {
    let Some(resource) = &record.resource else {
        return "-".to_owned();
    };
    let mut text = field(resource.resource_type.as_deref());
    if let Some(id) = &resource.id {
        text.push('/');
        text.push_str(&field(Some(id)));
    }
    if let Some(name) = &resource.name {
        text.push(' ');
        text.push_str(&quoted(name));
    }
    text
}

/// A column: as it is if it can't be mistaken for two, in quotes otherwise.
fn field(text: Option<&str>) -> String {
    match text {
        None => "-".to_owned(),
        Some(text) if text.is_empty() || text == "-" || !text.chars().all(is_plain) => quoted(text),
        Some(text) => text.to_owned(),
    }
}

fn is_plain(c: char) -> bool {
    !(c.is_whitespace() || c == '"' || c == '\\' || is_invisible(c))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if is_invisible(c) => {
                // Writing to a string can't fail.
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Characters that control a terminal, or change how others are shown: controls,
/// line separators, and Unicode's format characters (bidirectional, zero-width).
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::*;
    use crate::audit::{Caller, Finding, Outcome, Resource};

    fn record(kind: Kind, subject: &str, name: &str) -> Record {
        Record {
            caller: Some(Caller {
                subject: subject.to_owned(),
                ..Caller::default()
            }),
            rpc: Some("keygate.datadog.v2.ApiKeyService/CreateApiKey".to_owned()),
            upstream: Some("datadog/us1/main".to_owned()),
            resource: Some(Resource {
                resource_type: Some("api_key".to_owned()),
                id: Some("1f".to_owned()),
                name: Some(name.to_owned()),
                ..Resource::default()
            }),
            ..Record::new(kind, "c", "i", SystemTime::UNIX_EPOCH)
        }
    }

    #[test]
    fn a_person_can_read_it() {
        let mut one = record(Kind::Outcome, "alice", "payments");
        one.outcome = Some(Outcome::Succeeded);
        one.code = Some("OK".to_owned());
        assert_eq!(
            line(&one),
            "1970-01-01T00:00:00.000Z  succeeded  alice  ApiKeyService/CreateApiKey  \
             datadog/us1/main  api_key/1f \"payments\""
        );
        let mut one = record(Kind::Denied, "bob", "x");
        one.code = Some("PERMISSION_DENIED".to_owned());
        one.reason = Some("POLICY_DENIED".to_owned());
        one.permission = Some("api_keys_write".to_owned());
        one.rule = Some("default".to_owned());
        assert!(
            line(&one).ends_with(
                "PERMISSION_DENIED POLICY_DENIED permission=api_keys_write rule=default"
            )
        );
        let mut one = record(Kind::Reconciled, "carol", "x");
        one.finding = Some(Finding::NotApplied);
        assert!(line(&one).contains("Z  not_applied  carol  "));
    }

    #[test]
    fn nothing_poses_as_a_column() {
        let one = line(&record(
            Kind::Outcome,
            "a  succeeded",
            "\u{1b}[2J\u{202e}\"\n",
        ));
        assert!(one.contains(r#"  "a  succeeded"  "#), "{one}");
        assert!(one.contains(r#""\u{1b}[2J\u{202e}\"\u{a}""#), "{one}");
    }

    proptest! {
        #[test]
        fn json_without_controls_says_the_same(
            text: String,
            more in "[\u{7f}-\u{9f}\u{202e}\u{e0041}]*",
        ) {
            let json = serde_json::to_string(&(text + &more)).unwrap();
            let plain = plain_json(&json);
            prop_assert!(!plain.chars().any(is_invisible));
            let (one, other): (String, String) =
                (serde_json::from_str(&json).unwrap(), serde_json::from_str(&plain).unwrap());
            prop_assert_eq!(one, other);
        }

        #[test]
        fn it_is_one_line_without_controls(subject: String, name: String) {
            let one = line(&record(Kind::Refused, &subject, &name));
            prop_assert!(!one.chars().any(is_invisible));
        }
    }
}
