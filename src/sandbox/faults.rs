//! Faults on demand: what a simulator does wrong, on which route, how often.
//!
//! A rule is JSON (`POST /__faults`):
//!
//! ```json
//! { "route": "GET /api/v2/api_keys/{api_key_id}", "count": 2, "apply": false,
//!   "fault": { "status": 503, "body": "busy", "content_type": "text/plain", "headers": { "retry-after": "1" } } }
//! ```
//!
//! `route` is `*` (the default), or a method and either the route's template or
//! one exact path. Without `count` the rule holds until it is cleared. `apply`
//! says whether the operation takes effect before the fault. This module knows
//! no vendor and no HTTP library: [`super::http`] carries the faults out.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a rule is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The fault names none or several of the kinds.
    #[error("a fault has exactly one of `status`, `delay_ms`, `reset`, `truncate` and `hang`")]
    Kind,
    /// `body`, `content_type` and `headers` say what a status is sent with.
    #[error("`body`, `content_type` and `headers` go with `status` only")]
    Stray,
    /// Not a final HTTP status.
    #[error("`status` is 200 to 599")]
    Status,
    /// A flag that only makes sense when it is set.
    #[error("`truncate` and `hang` are true or absent")]
    Flag,
    /// Neither `*` nor a method and a path.
    #[error("`route` is `*`, or a method and a path: `GET /api/v2/api_keys`")]
    Route,
    /// A rule that never holds.
    #[error("`count` is at least 1")]
    Count,
    /// Whether the operation took effect is the whole point of a reset.
    #[error("`reset`: `before_response` needs `apply`")]
    ApplyMissing,
    /// An answer can be cut only after the operation has given one.
    #[error(
        "`truncate` and `reset`: `mid_body` cut the operation's answer; `apply` can't be false"
    )]
    ApplyImpossible,
}

/// One rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `*`, or a method and a path (a template or an exact one).
    #[serde(default = "everywhere")]
    pub route: String,
    /// How many requests it still hits; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What goes wrong.
    pub fault: Fault,
    /// Whether the operation takes effect upstream before the fault. Required
    /// for a reset before the response; implied where an answer is cut;
    /// otherwise false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<bool>,
}

fn everywhere() -> String {
    "*".to_owned()
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Members", into = "Members")]
pub enum Fault {
    /// This answer instead of the operation's.
    Status(Answer),
    /// The answer comes this much later; with `apply` the operation takes
    /// effect before the delay, without it after.
    Delay(Duration),
    /// The connection is reset (RST) after the whole request was received.
    ResetBeforeResponse,
    /// The connection is closed after half of the answer's body. An answer
    /// without a body is not sent at all.
    ResetMidBody,
    /// Half of the answer's body, as a complete HTTP message.
    Truncate,
    /// No answer, ever; the connection stays open.
    Hang,
}

impl Fault {
    /// The kind, as the request log writes it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Delay(_) => "delay",
            Self::ResetBeforeResponse => "reset_before_response",
            Self::ResetMidBody => "reset_mid_body",
            Self::Truncate => "truncate",
            Self::Hang => "hang",
        }
    }
}

/// An answer that is made up.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, sent as it is.
    pub body: String,
    /// The body's type; `application/json` if absent.
    pub content_type: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
}

/// A fault as JSON writes it: the member that is there says the kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// A string is sent as it is, anything else as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<Reset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hang: Option<bool>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reset {
    BeforeResponse,
    MidBody,
}

impl TryFrom<Members> for Fault {
    type Error = Error;

    fn try_from(members: Members) -> Result<Self, Error> {
        let stray =
            members.body.is_some() || members.content_type.is_some() || !members.headers.is_empty();
        if stray && members.status.is_none() {
            return Err(Error::Stray);
        }
        if members.truncate == Some(false) || members.hang == Some(false) {
            return Err(Error::Flag);
        }
        let kinds = [
            members.status.map(|status| {
                Self::Status(Answer {
                    status,
                    body: match members.body {
                        None => String::new(),
                        Some(Value::String(text)) => text,
                        Some(value) => value.to_string(),
                    },
                    content_type: members.content_type,
                    headers: members.headers,
                })
            }),
            members
                .delay_ms
                .map(|millis| Self::Delay(Duration::from_millis(millis))),
            members.reset.map(|reset| match reset {
                Reset::BeforeResponse => Self::ResetBeforeResponse,
                Reset::MidBody => Self::ResetMidBody,
            }),
            members.truncate.map(|_| Self::Truncate),
            members.hang.map(|_| Self::Hang),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(fault), None) => Ok(fault),
            _ => Err(Error::Kind),
        }
    }
}

impl From<Fault> for Members {
    fn from(fault: Fault) -> Self {
        let none = Self::default();
        match fault {
            Fault::Status(answer) => Self {
                status: Some(answer.status),
                body: Some(Value::String(answer.body)),
                content_type: answer.content_type,
                headers: answer.headers,
                ..none
            },
            Fault::Delay(delay) => Self {
                delay_ms: Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
                ..none
            },
            Fault::ResetBeforeResponse => Self {
                reset: Some(Reset::BeforeResponse),
                ..none
            },
            Fault::ResetMidBody => Self {
                reset: Some(Reset::MidBody),
                ..none
            },
            Fault::Truncate => Self {
                truncate: Some(true),
                ..none
            },
            Fault::Hang => Self {
                hang: Some(true),
                ..none
            },
        }
    }
}

impl Rule {
    fn check(&self) -> Result<(), Error> {
        let routed = self.route == "*"
            || matches!(self.route.split_once(' '), Some((_, path)) if path.starts_with('/'));
        if !routed {
            return Err(Error::Route);
        }
        if self.count == Some(0) {
            return Err(Error::Count);
        }
        match &self.fault {
            Fault::Status(answer) if !(200..600).contains(&answer.status) => Err(Error::Status),
            Fault::ResetBeforeResponse if self.apply.is_none() => Err(Error::ApplyMissing),
            Fault::ResetMidBody | Fault::Truncate if self.apply == Some(false) => {
                Err(Error::ApplyImpossible)
            }
            _ => Ok(()),
        }
    }

    fn matches(&self, method: &str, path: &str, template: Option<&str>) -> bool {
        self.route == "*"
            || self.route.split_once(' ').is_some_and(|(verb, wanted)| {
                verb.eq_ignore_ascii_case(method) && (wanted == path || Some(wanted) == template)
            })
    }
}

/// The rules that hold now. The oldest that matches is the one that hits.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Rule>>);

impl Faults {
    /// Adds a rule.
    ///
    /// # Errors
    /// [`Error`] if it makes no sense.
    pub fn inject(&self, rule: Rule) -> Result<(), Error> {
        rule.check()?;
        self.rules().push(rule);
        Ok(())
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// The rules that still hold.
    #[must_use]
    pub fn list(&self) -> Vec<Rule> {
        self.rules().clone()
    }

    /// The fault that hits this request, if any, and whether the operation
    /// takes effect first. Counts the rule down.
    pub(super) fn take(
        &self,
        method: &str,
        path: &str,
        template: Option<&str>,
    ) -> Option<(Fault, bool)> {
        let mut rules = self.rules();
        let at = rules
            .iter()
            .position(|rule| rule.matches(method, path, template))?;
        let rule = rules.get_mut(at)?;
        let hit = (rule.fault.clone(), rule.apply.unwrap_or(false));
        if let Some(count) = &mut rule.count {
            *count -= 1;
            if *count == 0 {
                rules.remove(at);
            }
        }
        Some(hit)
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
