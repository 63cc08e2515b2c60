//! Reads vendors' JSON into messages and loses nothing.
//!
//! A member goes into its typed field; what has no field, or does not fit it,
//! goes into a `google.protobuf.Struct` beside it. Values are read from slices
//! of the answer's text: no tree is built of what has a field.
//! This module knows no vendor.

pub mod object;
mod value;

use std::{borrow::Cow, collections::BTreeMap, fmt};

use prost_types::{NullValue, Struct, Timestamp, Value, value::Kind};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

pub use object::Object;
pub(crate) use object::object;
pub use value::object_of;

use value::{DEPTH, value};

/// An answer that makes no sense: what was expected, and where. Never holds
/// anything of the answer itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The members of a JSON object, each with its value's text.
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads an object; `None` if the value is not one.
    #[must_use]
    pub fn of(raw: &'a RawValue) -> Option<Self> {
        Self::parse(raw.get())
    }

    /// Reads an object from text; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a RawValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(12));
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// The elements of a JSON array; `None` if the value is not one.
#[must_use]
pub fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// A member of a JSON object; `None` if the value is not one, or lacks it.
#[must_use]
pub fn member<'a>(raw: &'a RawValue, wanted: &str) -> Option<&'a RawValue> {
    let mut members = Members::of(raw)?.into_iter();
    members.find(|(name, _)| name == wanted).map(|(_, it)| it)
}

/// The text of a JSON string; `None` if the value is not one.
#[must_use]
pub fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether a value is `null`.
#[must_use]
pub fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// How a value went into its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Nothing of it is left.
    Whole,
    /// The field holds what it can; the value has more.
    Partly,
    /// The value is null, and the field has no way to say so.
    Null,
    /// It does not fit.
    Not,
}

/// A field that a JSON value can go into.
pub trait Field {
    /// Takes the value in, and says how it went. A field that does not take it
    /// stays as it was.
    fn fill(&mut self, raw: &RawValue) -> Fit;
}

fn scalar<'a, T: Deserialize<'a>>(field: &mut Option<T>, raw: &'a RawValue) -> Fit {
    match serde_json::from_str(raw.get()) {
        _ if is_null(raw) => Fit::Null,
        Ok(value) => {
            *field = Some(value);
            Fit::Whole
        }
        Err(_) => Fit::Not,
    }
}

impl Field for Option<String> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        scalar(self, raw)
    }
}

impl Field for String {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let mut text = None;
        let fit = scalar(&mut text, raw);
        *self = text.unwrap_or_default();
        fit
    }
}

impl Field for Option<bool> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        scalar(self, raw)
    }
}

impl Field for Option<i64> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        scalar(self, raw)
    }
}

impl Field for Option<Timestamp> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let mut text: Option<Cow<'_, str>> = None;
        match scalar(&mut text, raw) {
            Fit::Whole => {}
            other => return other,
        }
        let Some((time, exact)) = text.as_deref().and_then(timestamp) else {
            return Fit::Not;
        };
        *self = Some(time);
        if exact { Fit::Whole } else { Fit::Partly }
    }
}

impl Field for Option<Struct> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        match value(raw, DEPTH).kind {
            Some(Kind::StructValue(members)) => {
                *self = Some(members);
                Fit::Whole
            }
            Some(Kind::NullValue(_)) => Fit::Null,
            _ => Fit::Not,
        }
    }
}

/// Reads a time, and says whether the `Timestamp` is all that the text tells: it
/// is not for a text without an offset (taken as UTC), a leap second, or more
/// than nine digits of a second. `None` if it is no time.
#[must_use]
pub fn timestamp(text: &str) -> Option<(Timestamp, bool)> {
    const SECONDS: usize = "2026-01-01T00:00:00".len();
    let (moment, rest) = text.split_at_checked(SECONDS)?;
    let fraction = rest.strip_prefix('.').map_or(0, |rest| {
        rest.bytes().take_while(u8::is_ascii_digit).count()
    });
    let has_offset = rest.ends_with(['Z', 'z']) || rest.contains(['+', '-']);
    let exact = fraction <= 9 && has_offset && !moment.ends_with("60");
    Some((text.parse().ok()?, exact))
}

/// What has no field: the members that were null, and those that the contract
/// does not name.
#[derive(Debug, Default)]
pub struct Rest {
    nulls: Vec<String>,
    members: BTreeMap<String, Value>,
}

impl Rest {
    /// Puts a member into its field, or keeps what does not fit.
    pub fn take(&mut self, place: Place, name: &str, raw: &RawValue, field: &mut impl Field) {
        let fit = field.fill(raw);
        self.settle(place, name, raw, fit);
    }

    /// Keeps what is left of a member that a field has been filled with.
    pub fn settle(&mut self, place: Place, name: &str, raw: &RawValue, fit: Fit) {
        match fit {
            Fit::Whole => {}
            Fit::Null => self.nulls.push(name.to_owned()),
            Fit::Partly | Fit::Not => self.keep(place, name, raw),
        }
    }

    /// Keeps a member that has no field.
    pub fn keep(&mut self, place: Place, name: &str, raw: &RawValue) {
        let value = value(raw, DEPTH);
        let Place::In(group) = place else {
            self.members.insert(name.to_owned(), value);
            return;
        };
        let entry = self.members.entry(group.to_owned());
        let group = entry.or_insert_with(|| Value {
            kind: Some(Kind::StructValue(Struct::default())),
        });
        if let Some(Kind::StructValue(group)) = &mut group.kind {
            group.fields.insert(name.to_owned(), value);
        }
    }

    /// The names of the members that were null, and the rest if there is any.
    #[must_use]
    pub fn into_parts(self) -> (Vec<String>, Option<Struct>) {
        let members = (!self.members.is_empty()).then_some(Struct {
            fields: self.members,
        });
        (self.nulls, members)
    }

    /// The rest if there is any, with nulls as members, for messages that do not
    /// list them apart.
    #[must_use]
    pub fn into_struct(mut self) -> Option<Struct> {
        for name in std::mem::take(&mut self.nulls) {
            let null = Kind::NullValue(NullValue::NullValue.into());
            self.members.insert(name, Value { kind: Some(null) });
        }
        self.into_parts().1
    }
}

/// Where in the resource a member stands.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In the resource itself.
    Top,
    /// In a member of it, for example `attributes`.
    In(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_member_fits_is_null_or_is_kept() {
        let mut rest = Rest::default();
        let (mut name, mut flag, mut time) = (None::<String>, None::<bool>, None::<Timestamp>);
        rest.take(Place::Top, "name", &raw(r#""a\u00e9\n""#), &mut name);
        rest.take(Place::In("attributes"), "flag", &raw("null"), &mut flag);
        rest.take(Place::In("attributes"), "time", &raw("12"), &mut time);
        rest.keep(Place::Top, "big", &raw("9007199254740993"));
        rest.keep(Place::Top, "small", &raw("-12"));
        assert_eq!(name.as_deref(), Some("aé\n"));
        let (nulls, members) = rest.into_parts();
        assert_eq!(nulls, ["flag"]);
        let members = members.unwrap().fields;
        let text = Kind::StringValue("9007199254740993".to_owned());
        assert_eq!(members["big"].kind, Some(text));
        assert_eq!(members["small"].kind, Some(Kind::NumberValue(-12.0)));
        assert!(members.contains_key("attributes"));
    }

    #[test]
    fn times_keep_their_precision() {
        for (text, time, exact) in [
            ("2026-04-08T16:45:23Z", "2026-04-08T16:45:23Z", true),
            (
                "2026-04-08T16:45:23.302611856Z",
                "2026-04-08T16:45:23.302611856Z",
                true,
            ),
            (
                "2022-05-12T11:52:00.698721+02:00",
                "2022-05-12T09:52:00.698721Z",
                true,
            ),
            (
                "2026-04-08T16:45:23.3026118561Z",
                "2026-04-08T16:45:23.302611856Z",
                false,
            ),
            ("2026-04-08T16:45:23", "2026-04-08T16:45:23Z", false),
            ("2026-06-30T23:59:60Z", "2026-06-30T23:59:59Z", false),
        ] {
            let read = timestamp(text).unwrap();
            assert_eq!((read.0.to_string().as_str(), read.1), (time, exact));
        }
        assert!(timestamp("2026-04-08").is_none());
        assert!(timestamp("yesterday").is_none());
    }
}
