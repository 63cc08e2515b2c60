//! JSON objects in which no member is named twice, at any depth.
//!
//! Which of two equal members counts is up to each parser, so a token with both
//! could mean one thing here and another to whoever issued or logged it.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::Reason;

/// A JSON value. Its texts are parts of what was read, where they stand there as
/// they are: most tokens are read once, and all of them before they are trusted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json<'a> {
    /// Null, true or false: nothing in a token or key means anything by it.
    Other,
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Object<'a>),
}

/// An object's members, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The member of that name.
    pub(super) fn get(&self, wanted: &str) -> Option<&Json<'a>> {
        let found = self.0.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value)
    }

    /// Whether there is a member of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl<'a> Json<'a> {
    /// The text, if it is one.
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub(super) fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// Reads one object. Anything else, and anything behind it, is a fault.
pub(super) fn object(text: &[u8]) -> Result<Object<'_>, Reason> {
    match serde_json::from_slice(text) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(_) => Err(Reason::Malformed),
        // The visitor below has only one complaint of its own.
        Err(error) if error.is_data() => Err(Reason::DuplicateMember),
        Err(_) => Err(Reason::Malformed),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

/// A member's name.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor).map(Self)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, it: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(it))
    }

    fn visit_str<E>(self, it: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(it.to_owned()))
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, it: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(it.into()))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(it.into()))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(it).map_or(Json::Other, Json::Number))
    }

    fn visit_borrowed_str<E>(self, it: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(it)))
    }

    fn visit_str<E>(self, it: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(it.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        const TYPICAL: usize = 16;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::with_capacity(TYPICAL);
        // of many members, as somebody hostile may send, none is looked for one by one
        let mut many = HashSet::new();
        while let Some((Name(name), value)) = access.next_entry()? {
            if members.len() == 2 * TYPICAL {
                many.extend(members.iter().map(|(name, _)| name.clone()));
            }
            let is_there = match members.len() < 2 * TYPICAL {
                true => members.iter().any(|(it, _)| *it == name),
                false => !many.insert(name.clone()),
            };
            if is_there {
                return Err(A::Error::custom("a member is named twice"));
            }
            members.push((name, value));
        }
        Ok(Json::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_is() {
        let text = br#"{"a": [1, -2, 2.5, "x\u0079", null, true], "b": {"a": {}}}"#;
        let number = |it: f64| match it.fract() == 0.0 {
            true => Json::Number((it as i64).into()),
            false => Json::Number(Number::from_f64(it).unwrap()),
        };
        let read = object(text).unwrap();
        let text = Json::String("xy".into());
        let items = vec![
            Json::Number(1_u64.into()),
            number(-2.0),
            number(2.5),
            text,
            Json::Other,
            Json::Other,
        ];
        assert_eq!(read.get("a"), Some(&Json::Array(items)));
        let inner = read.get("b").and_then(Json::as_object).unwrap();
        assert_eq!(inner.get("a"), Some(&Json::Object(Object::default())));
        assert!(read.has("b") && !read.has("c"));
    }

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
        ] {
            assert_eq!(object(text.as_bytes()), Err(Reason::DuplicateMember));
        }
        for many in [1, 31, 32, 33, 34, 5_000] {
            let members = |last: usize| {
                let all = (0..many).chain([last]).map(|it| format!("\"m{it}\": {it}"));
                format!("{{{}}}", all.collect::<Vec<_>>().join(","))
            };
            for twice in [0, many / 2, many - 1] {
                let read = object(members(twice).as_bytes()).map(|_| ());
                assert_eq!(read, Err(Reason::DuplicateMember), "{many}");
            }
            assert!(object(members(many).as_bytes()).is_ok(), "{many}");
        }
    }

    #[test]
    fn only_one_whole_object_will_do() {
        let deep = "{\"a\":".repeat(10_000);
        for text in ["", "[]", "1", "{} {}", "{\"a\":}", "{\"a\":1e999}", &deep] {
            assert_eq!(object(text.as_bytes()), Err(Reason::Malformed), "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(Reason::Malformed));
    }
}
