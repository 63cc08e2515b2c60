//! Any JSON as a protobuf value, and back. Nothing is lost on the way: what a value
//! can't hold is kept as its text.

use prost_types::{ListValue, NullValue, Struct, Value, value::Kind};
use serde_json::value::RawValue;

use super::{Members, elements};

/// How deep a `Struct` nests. Protobuf's own readers stop at 100 messages, and a
/// level of JSON is up to three: what is deeper is kept as JSON text.
pub(super) const DEPTH: usize = 24;

/// Any JSON as a protobuf value. An integer that a double can't hold, and what
/// nests too deep, is kept as its text.
pub(super) fn value(raw: &RawValue, depth: usize) -> Value {
    let text = raw.get();
    let verbatim = || Kind::StringValue(text.to_owned());
    let kind = match text.as_bytes().first() {
        Some(b'n') => Kind::NullValue(NullValue::NullValue.into()),
        Some(b't') => Kind::BoolValue(true),
        Some(b'f') => Kind::BoolValue(false),
        Some(b'"') => serde_json::from_str(text).map_or_else(|_| verbatim(), Kind::StringValue),
        Some(b'[' | b'{') if depth == 0 => verbatim(),
        Some(b'[') => elements(raw).map_or_else(verbatim, |elements| {
            Kind::ListValue(ListValue {
                values: elements
                    .into_iter()
                    .map(|it| value(it, depth - 1))
                    .collect(),
            })
        }),
        Some(b'{') => Members::of(raw).map_or_else(verbatim, |members| {
            Kind::StructValue(Struct {
                fields: members
                    .into_iter()
                    .map(|(name, it)| (name.into_owned(), value(it, depth - 1)))
                    .collect(),
            })
        }),
        _ => number(text).map_or_else(verbatim, Kind::NumberValue),
    };
    Value { kind: Some(kind) }
}

fn number(text: &str) -> Option<f64> {
    const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;
    let number: f64 = text.parse().ok().filter(|it: &f64| it.is_finite())?;
    let is_integer = !text.contains(['.', 'e', 'E']);
    let is_exact = text
        .parse()
        .is_ok_and(|it: i64| (-EXACT..=EXACT).contains(&it));
    (!is_integer || is_exact).then_some(number)
}

/// A protobuf struct as a JSON object. `None` if there is a number in it that JSON
/// can't write, or a value that is none.
#[must_use]
pub fn object_of(members: &Struct) -> Option<serde_json::Value> {
    let members = members.fields.iter();
    let members = members.map(|(name, it)| Some((name.clone(), value_of(it)?)));
    members
        .collect::<Option<_>>()
        .map(serde_json::Value::Object)
}

fn value_of(value: &Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match value.kind.as_ref()? {
        Kind::NullValue(_) => Json::Null,
        Kind::BoolValue(it) => (*it).into(),
        Kind::StringValue(it) => it.as_str().into(),
        Kind::NumberValue(it) => Json::Number(number_of(*it)?),
        Kind::ListValue(list) => {
            let values = list.values.iter().map(value_of);
            values.collect::<Option<_>>().map(Json::Array)?
        }
        Kind::StructValue(members) => object_of(members)?,
    })
}

/// A whole number is written as one.
fn number_of(number: f64) -> Option<serde_json::Number> {
    let text = format!("{number}");
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => serde_json::Number::from_f64(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Field as _, Fit};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_struct_is_written_as_it_was_read() {
        for text in [
            "{}",
            r#"{"a":[1,-2.5,1e300,true,null,"é\n"],"b":{"c":{}},"d":9007199254740992}"#,
        ] {
            let mut members: Option<Struct> = None;
            assert_eq!(members.fill(&raw(text)), Fit::Whole);
            let written = object_of(&members.unwrap()).unwrap();
            let expected: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(written, expected);
        }
        for kind in [None, Some(Kind::NumberValue(f64::NAN))] {
            let mut members = Struct::default();
            members.fields.insert("a".to_owned(), Value { kind });
            assert_eq!(object_of(&members), None);
        }
    }

    #[test]
    fn deep_nesting_ends_in_text() {
        let deep = format!("{}1{}", "[".repeat(90), "]".repeat(90));
        let mut at = value(&raw(&deep), DEPTH);
        let mut levels = 0;
        while let Some(Kind::ListValue(list)) = at.kind {
            at = list.values.into_iter().next().unwrap();
            levels += 1;
        }
        assert_eq!(levels, DEPTH);
        assert!(matches!(at.kind, Some(Kind::StringValue(text)) if text.starts_with("[[")));
    }
}
