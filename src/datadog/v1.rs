//! Datadog's legacy API v1, where the secret is the id: a key is named by its
//! value, in requests and in paths.
//!
//! Source: Datadog API reference, Key Management, v1.

pub mod answers;
pub mod api_keys;
pub mod application_keys;

use bytes::Bytes;
use http::{Method, StatusCode};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Datadog, operation::Kind, site};
use crate::{
    contract::proto::keygate::datadog::v2::Site,
    gateway::{
        operation::{Found, Inspect, Plan, Scopes, Target, Vendor},
        request::{body, check_id, check_name},
        trace::Look,
    },
    json::{self, Malformed, Members},
    status::{Error, Violation},
    upstream::Request,
};

/// Datadog's API v1.
pub struct Legacy;

impl Vendor for Legacy {
    fn errors(body: &[u8]) -> Vec<String> {
        Datadog::errors(body)
    }

    /// `{"api_key": {…}}` or `{"application_key": {…}}`, or a list of them as
    /// `api_keys` or `application_keys`.
    fn keys(body: &[u8]) -> Result<Vec<&RawValue>, Malformed> {
        const NONE: Malformed = Malformed("the answer holds no keys");
        let text = std::str::from_utf8(body).unwrap_or_default();
        for (name, raw) in Members::parse(text).ok_or(NONE)? {
            match &*name {
                "api_key" | "application_key" => return Ok(vec![raw]),
                "api_keys" | "application_keys" => return json::elements(raw).ok_or(NONE),
                _ => {}
            }
        }
        Err(NONE)
    }

    fn found(key: &RawValue) -> Found {
        let mut found = Found::default();
        for (name, raw) in Members::of(key).into_iter().flatten() {
            match &*name {
                "name" => found.name = json::text(raw),
                "created" => {
                    answers::created(&mut found.created, raw);
                }
                _ => {}
            }
        }
        found
    }

    /// An API key's value, an application key's hash. A masked one is none.
    fn secret(key: &RawValue) -> Option<SecretString> {
        let value = Self::setting(key, "key").or_else(|| Self::setting(key, "hash"));
        let value = value.and_then(json::text);
        value.filter(|it| !it.contains('*')).map(Into::into)
    }

    fn setting<'k>(key: &'k RawValue, name: &str) -> Option<&'k RawValue> {
        json::member(key, name)
    }

    /// Organizations in One-Time Read mode have no application keys in v1. Neither
    /// the status nor the words of that refusal are documented: it is known by
    /// naming the mode, however that is written.
    fn is_switched_off(status: StatusCode, words: &[String]) -> bool {
        let refused = matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND
        );
        let names_the_mode = |words: &String| {
            let letters: String = words
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|it| it.to_ascii_lowercase())
                .collect();
            letters.contains("onetimeread")
        };
        refused && words.iter().any(names_the_mode)
    }
}

/// Refuses a Government site: there is nothing to ask there.
fn check_site(site: i32) -> Result<(), Error> {
    if Site::try_from(site).is_ok_and(site::is_government) {
        let why = "API v1 has no keys on Government sites; use keygate.datadog.v2";
        return Err(Error::EndpointDisabled(why.to_owned()));
    }
    Ok(())
}

/// A kind of key at its path.
#[derive(Clone, Copy, Debug)]
struct Keys {
    /// What they are.
    kind: Kind,
    /// Their path.
    path: &'static str,
    /// The route of one of them.
    item: &'static str,
}

impl Keys {
    fn plan(&self, request: Request, target: Target) -> Plan {
        Plan::new(request, self.kind.name, target)
    }

    /// A request about all of them, or about a new one.
    fn all(&self, method: Method) -> Request {
        Request::new(method, self.path, self.path)
    }

    /// A request about one of them.
    fn one(&self, method: Method, key: &str) -> Request {
        Request {
            secret: Some(key.into()),
            ..Request::new(method, format!("{}/{key}", self.path), self.item)
        }
    }

    fn list(&self) -> Plan {
        self.plan(self.all(Method::GET), Target::Collection)
    }

    fn create(&self, name: String, scopes: Scopes, violations: &mut Vec<Violation>) -> Plan {
        let mut request = self.all(Method::POST);
        request.body = Some(named(&name, violations));
        Plan {
            name: Some(name),
            scopes,
            ..self.plan(request, Target::Collection)
        }
    }

    fn get(&self, key: &str, violations: &mut Vec<Violation>) -> Plan {
        check_id("key", key, violations);
        let target = Target::Secret(SecretString::from(key));
        self.plan(self.one(Method::GET, key), target)
    }

    fn rename(
        &self,
        key: &str,
        name: String,
        scopes: Scopes,
        violations: &mut Vec<Violation>,
    ) -> Plan {
        let Plan {
            request, target, ..
        } = self.get(key, violations);
        let mut change = self.one(Method::PUT, key);
        change.body = Some(named(&name, violations));
        Plan {
            sets: vec![("name".to_owned(), name.clone().into())],
            name: Some(name),
            scopes,
            inspect: Some(Inspect::new(request)),
            ..self.plan(change, target)
        }
    }

    /// Where all of them are: which one is meant is known by its fingerprint alone.
    fn look(&self) -> Look {
        Look::list::<Legacy>(self.all(Method::GET))
    }

    fn delete(&self, key: &str, violations: &mut Vec<Violation>) -> Plan {
        let Plan {
            request, target, ..
        } = self.get(key, violations);
        Plan {
            inspect: Some(Inspect::new(request)),
            ..self.plan(self.one(Method::DELETE, key), target)
        }
    }
}

/// The body of a creation or change: a name is all that can be said of a key.
fn named(name: &str, violations: &mut Vec<Violation>) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        name: &'a str,
    }
    check_name(Some(name), violations);
    body(&Body { name })
}

/// One operation of Datadog's v1: its method, its messages, and its plan.
macro_rules! operation {
    ($($description:tt)*) => {
        $crate::gateway::operation::operation! {
            vendor: $crate::datadog::v1::Legacy,
            address: |it| $crate::datadog::operation::address(it.site, &it.org),
            ambiguous: $crate::datadog::operation::ambiguous(),
            first: |it| $crate::datadog::v1::check_site(it.site),
            $($description)*
        }
    };
}

use operation;
