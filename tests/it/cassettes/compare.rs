//! Two JSON values, compared as what they mean.
//!
//! Times are instants, numbers are values, and what a `google.protobuf.Value`
//! can't hold (large integers, deep nesting) may stand as its text.

use std::collections::BTreeSet;

use prost_types::Timestamp;
use serde_json::{Value as Json, json};

/// All differences, each with its place.
pub(super) fn differences(recorded: &Json, told: &Json) -> Vec<String> {
    let mut found = Vec::new();
    compare("", recorded, told, &mut found);
    found
}

fn compare(at: &str, recorded: &Json, told: &Json, found: &mut Vec<String>) {
    match (recorded, told) {
        (Json::Object(left), Json::Object(right)) => {
            let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
            for name in names {
                let at = format!("{at}/{name}");
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => compare(&at, left, right, found),
                    (Some(left), None) => found.push(format!("{at}: lost: {left}")),
                    (_, right) => found.push(format!("{at}: made up: {right:?}")),
                }
            }
        }
        (Json::Array(left), Json::Array(right)) if left.len() == right.len() => {
            for (number, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{at}/{number}"), left, right, found);
            }
        }
        _ if same(recorded, told) => {}
        _ => found.push(format!("{at}: {told} instead of {recorded}")),
    }
}

fn same(recorded: &Json, told: &Json) -> bool {
    match (recorded, told) {
        (Json::Number(left), Json::Number(right)) => {
            match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left == right,
                // one of them is a fraction, or was told as a double
                _ => left.as_f64() == right.as_f64(),
            }
        }
        (Json::String(left), Json::String(right)) => {
            left == right || instant(left).is_some() && instant(left) == instant(right)
        }
        (Json::Number(number), Json::String(text)) => {
            const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
            let large = number.as_f64().is_some_and(|it| it.abs() >= EXACT);
            large && number.to_string() == *text
        }
        (Json::Array(_) | Json::Object(_), Json::String(text)) => {
            let inner: Option<Json> = serde_json::from_str(text).ok();
            inner.is_some_and(|it| it == *recorded)
        }
        _ => recorded == told,
    }
}

/// Whole seconds since 1970, and the digits of the fraction.
fn instant(text: &str) -> Option<(i64, String)> {
    const SECONDS: usize = "2026-01-01T00:00:00".len();
    let (moment, rest) = text.split_at_checked(SECONDS)?;
    let digits = rest.strip_prefix('.').unwrap_or_default();
    let end = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, offset) = match digits {
        "" => ("", rest),
        digits => digits.split_at(end),
    };
    if offset.is_empty() || moment.ends_with("60") {
        return None;
    }
    let time: Timestamp = format!("{moment}{offset}").parse().ok()?;
    Some((time.seconds, fraction.trim_end_matches('0').to_owned()))
}

#[test]
fn a_difference_is_a_difference() {
    for (left, right, alike) in [
        (json!({"a": null}), json!({}), false),
        (json!({}), json!({"a": 1}), false),
        (json!([1]), json!([1, 1]), false),
        (json!({"a": [{"b": 1}]}), json!({"a": [{"b": 2}]}), false),
        (json!([]), json!(null), false),
        (json!(""), json!(null), false),
        (json!(1), json!("1"), false),
        (
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_994_u64),
            false,
        ),
        (
            json!(9_007_199_254_740_993_u64),
            json!("9007199254740993"),
            true,
        ),
        (json!(12), json!(12.0), true),
        (
            json!("2026-04-08T16:45:23.100Z"),
            json!("2026-04-08T18:45:23.1+02:00"),
            true,
        ),
        (
            json!("2026-04-08T16:45:23.1Z"),
            json!("2026-04-08T16:45:23.2Z"),
            false,
        ),
        (
            json!("2026-04-08T16:45:23.0000000001Z"),
            json!("2026-04-08T16:45:23Z"),
            false,
        ),
        (
            json!("2026-04-08T16:45:23"),
            json!("2026-04-08T16:45:23Z"),
            false,
        ),
        (json!([[1]]), json!(["[1]"]), true),
        (json!([[1]]), json!(["[2]"]), false),
    ] {
        let found = differences(&left, &right);
        assert_eq!(found.is_empty(), alike, "{left} {right} {found:?}");
    }
}
