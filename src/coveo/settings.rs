//! What callers can say of a key, and how it gets into a body.

use std::borrow::Cow;

use bytes::Bytes;
use prost_types::Struct;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use crate::{
    contract::proto::keygate::coveo::v1::{
        IpRanges, Privilege, Privileges, ResourceReference, ResourceReferences,
    },
    gateway::{answers::bare, request::body},
    json::{self, Malformed, Members},
    status::Violation,
};

/// What a request says of a key, by the names of upstream's members. What is not
/// set is not there.
#[derive(Debug, Default)]
pub(super) struct Settings(Vec<(&'static str, Value)>);

/// A value that stands in a request.
trait Given {
    fn json(self) -> Value;
}

impl Given for String {
    fn json(self) -> Value {
        self.into()
    }
}

impl Given for IpRanges {
    fn json(self) -> Value {
        self.values.into()
    }
}

impl Given for Privileges {
    fn json(self) -> Value {
        let one = |it: Privilege| {
            Settings::default()
                .put("owner", it.owner)
                .put("targetDomain", it.target_domain)
                .put("targetId", it.target_id)
                .put("type", it.r#type)
                .put("level", it.level)
                .json()
        };
        self.values.into_iter().map(one).collect()
    }
}

impl Given for ResourceReferences {
    fn json(self) -> Value {
        let one = |it: ResourceReference| {
            Settings::default()
                .put("id", it.id)
                .put("displayName", it.display_name)
                .json()
        };
        self.values.into_iter().map(one).collect()
    }
}

impl Given for Settings {
    fn json(self) -> Value {
        let members = self.0.into_iter();
        members.map(|(name, it)| (name.to_owned(), it)).collect()
    }
}

impl Settings {
    #[must_use]
    fn put(mut self, name: &'static str, value: Option<impl Given>) -> Self {
        self.0.extend(value.map(|it| (name, it.json())));
        self
    }

    /// `displayName` and `description`
    #[must_use]
    pub(super) fn words(self, display_name: Option<String>, description: Option<String>) -> Self {
        self.put("displayName", display_name)
            .put("description", description)
    }

    /// `allowedIps` and `deniedIps`
    #[must_use]
    pub(super) fn ips(self, allowed: Option<IpRanges>, denied: Option<IpRanges>) -> Self {
        self.put("allowedIps", allowed).put("deniedIps", denied)
    }

    /// `privileges`
    #[must_use]
    pub(super) fn privileges(self, privileges: Option<Privileges>) -> Self {
        self.put("privileges", privileges)
    }

    /// `groupsThatCanEdit` and `apiKeysThatCanEdit`
    #[must_use]
    pub(super) fn editors(
        self,
        groups: Option<ResourceReferences>,
        api_keys: Option<ResourceReferences>,
    ) -> Self {
        self.put("groupsThatCanEdit", groups)
            .put("apiKeysThatCanEdit", api_keys)
    }

    /// `lifetimeDuration`
    #[must_use]
    pub(super) fn lifetime(self, duration: Option<String>) -> Self {
        self.put("lifetimeDuration", duration)
    }

    /// `additionalConfiguration`
    #[must_use]
    pub(super) fn additional(
        mut self,
        configuration: Option<&Struct>,
        violations: &mut Vec<Violation>,
    ) -> Self {
        match configuration.map(json::object_of) {
            Some(Some(object)) => self.0.push(("additionalConfiguration", object)),
            Some(None) => {
                let fault = "holds a value that JSON can't write";
                violations.push(Violation::new("additional_configuration", fault));
            }
            None => {}
        }
        self
    }

    /// These, by the names of upstream's members.
    pub(super) fn sets(&self) -> Vec<(String, Value)> {
        let members = self.0.iter();
        members
            .map(|(name, it)| ((*name).to_owned(), it.clone()))
            .collect()
    }

    /// A body of these alone.
    #[must_use]
    pub(super) fn body(self) -> Bytes {
        body(&self.json())
    }

    /// A key as upstream has it, with these instead of what was there. All else
    /// stays as it is, to the letter.
    ///
    /// # Errors
    /// [`Malformed`] if upstream's answer is no object.
    pub(super) fn merged(self, read: &[u8]) -> Result<Bytes, Malformed> {
        let members = Members::of(bare(read)?).ok_or(Malformed("a key is not an object"))?;
        let is_set = |name: &str| self.0.iter().any(|(it, _)| *it == name);
        let kept = members.into_iter().filter(|(name, _)| !is_set(name));
        let kept = kept.map(|(name, raw)| Ok((name, Cow::Borrowed(raw))));
        let set = self.0.iter().map(|(name, value)| {
            let raw = to_raw_value(value).map_err(|_| Malformed("a setting is not JSON"))?;
            Ok((Cow::Borrowed(*name), Cow::Owned(raw)))
        });
        let members = kept.chain(set).collect::<Result<_, Malformed>>()?;
        Ok(body(&Merged(members)))
    }
}

/// Members of an object, in order.
struct Merged<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_update_gives_back_what_it_does_not_change() {
        let read = r#"{"id":"a","displayName":"old","big":12345678901234567890.123,
            "new":{"a":[ 1e2,null]},"allowedIps":null,"z\u00e9":"\u0000"}"#;
        let ips = IpRanges {
            values: vec!["10.0.0.0/8".to_owned()],
        };
        let settings = Settings::default()
            .words(Some("new \"one\"".to_owned()), None)
            .ips(Some(ips), Some(IpRanges::default()));
        let merged = settings.merged(read.as_bytes()).unwrap();
        assert_eq!(
            std::str::from_utf8(&merged).unwrap(),
            "{\"id\":\"a\",\"big\":12345678901234567890.123,\"new\":{\"a\":[ 1e2,null]},\
             \"zé\":\"\\u0000\",\"displayName\":\"new \\\"one\\\"\",\
             \"allowedIps\":[\"10.0.0.0/8\"],\"deniedIps\":[]}"
        );
        for read in ["", "[]", "null", "{", "<html>"] {
            assert!(
                Settings::default().merged(read.as_bytes()).is_err(),
                "{read}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_upstream_has_goes_back(
            members in prop::collection::btree_map("[a-z\"\\\\é]{0,8}", ".{0,8}", 0..8),
            name in ".{0,8}",
        ) {
            let read = serde_json::to_vec(&members).unwrap();
            let settings = Settings::default().words(Some(name.clone()), None);
            let merged: Value = serde_json::from_slice(&settings.merged(&read).unwrap()).unwrap();
            let mut expected = serde_json::to_value(&members).unwrap();
            expected["displayName"] = name.into();
            prop_assert_eq!(merged, expected);
        }
    }
}
