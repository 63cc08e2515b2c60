//! What has to come of a call: the status, and the records.

use std::{collections::HashMap, ops::RangeInclusive};

use serde_json::Value as Json;
use tonic::Status;

use super::{
    condition::Condition,
    method::{Kind, Method},
};
use crate::support::gateway::Answer;

/// The last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Refused,
    Denied,
    /// An outcome.
    Outcome(&'static str),
}

#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) code: &'static str,
    pub(super) reason: &'static str,
    pub(super) end: End,
    /// The status that upstream answered.
    pub(super) upstream: Option<RangeInclusive<u16>>,
}

impl Expected {
    pub(super) fn new(code: &'static str, reason: &'static str, end: End) -> Self {
        Self {
            code,
            reason,
            end,
            upstream: None,
        }
    }

    fn with(mut self, status: u16) -> Self {
        self.upstream = Some(status..=status);
        self
    }
}

fn refused(code: &'static str, reason: &'static str) -> Expected {
    Expected::new(code, reason, End::Refused)
}

fn outcome(outcome: &'static str, code: &'static str, reason: &'static str) -> Expected {
    Expected::new(code, reason, End::Outcome(outcome))
}

/// Upstream's answer does not come: a change may have been made.
fn lost(method: &Method, code: &'static str, reason: &'static str) -> Expected {
    if method.is_mutation() {
        outcome("unknown", "UNKNOWN", "OUTCOME_UNKNOWN")
    } else {
        outcome("unknown", code, reason)
    }
}

fn malformed() -> Expected {
    outcome("unknown", "INTERNAL", "UPSTREAM_MALFORMED").with(200)
}

fn succeeded() -> Expected {
    outcome("succeeded", "OK", "")
}

/// The table. `None` where the condition can't arise.
pub(super) fn of(method: &Method, condition: Condition) -> Option<Expected> {
    use Condition as C;
    if let Some(conditions) = method.local()
        && !conditions.contains(&condition)
    {
        return None;
    }
    let rejected = |code, reason| outcome("rejected", code, reason);
    let unavailable = || lost(method, "UNAVAILABLE", "UPSTREAM_UNAVAILABLE");
    Some(match condition {
        C::Allowed if method.kind == Kind::Local => succeeded(),
        C::Allowed if method.kind == Kind::NotOffered => {
            refused("UNIMPLEMENTED", "NOT_OFFERED_UPSTREAM")
        }
        C::Allowed => Expected {
            upstream: Some(200..=204),
            ..succeeded()
        },
        C::Denied => Expected::new("PERMISSION_DENIED", "POLICY_DENIED", End::Denied),
        C::TokenMissing => refused("UNAUTHENTICATED", "TOKEN_MISSING"),
        C::TokenInvalid => refused("UNAUTHENTICATED", "TOKEN_INVALID"),
        C::TokenExpired => refused("UNAUTHENTICATED", "TOKEN_EXPIRED"),
        C::InvalidRequest | C::Undecodable => refused("INVALID_ARGUMENT", "INVALID_REQUEST"),
        C::TooLarge => refused("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE"),
        C::NotConfigured => refused("FAILED_PRECONDITION", "UPSTREAM_NOT_CONFIGURED"),
        C::Status(status) => match status {
            401 => rejected("FAILED_PRECONDITION", "UPSTREAM_CREDENTIALS_REJECTED"),
            403 => rejected("FAILED_PRECONDITION", "UPSTREAM_FORBIDDEN"),
            404 => rejected("NOT_FOUND", "KEY_NOT_FOUND"),
            409 => rejected("ALREADY_EXISTS", "KEY_EXISTS"),
            500.. => unavailable(),
            _ => rejected("INVALID_ARGUMENT", "UPSTREAM_REJECTED"),
        }
        .with(status),
        C::RateLimited | C::RateLimitedUntil => {
            rejected("RESOURCE_EXHAUSTED", "RATE_LIMITED").with(429)
        }
        // what is read first is not read: there is no intent to change anything
        C::QuotaKnown if method.reads_first_there() => {
            refused("RESOURCE_EXHAUSTED", "RATE_LIMITED")
        }
        // nobody told the gateway which keys there are its own
        C::ConnectionRefused if method.reads_first() || method.changes_by_id() => {
            refused("UNAVAILABLE", "UPSTREAM_UNAVAILABLE")
        }
        C::QuotaKnown => outcome("not_sent", "RESOURCE_EXHAUSTED", "RATE_LIMITED"),
        C::HtmlError => unavailable().with(502),
        // a page is no proof that a key was removed
        C::HtmlAnswer | C::TruncatedDocument => malformed(),
        // an answer that has no body has none to be missing or cut
        C::EmptyAnswer if method.kind == Kind::Silent => succeeded().with(200),
        C::TruncatedAnswer if method.kind == Kind::Silent => succeeded().with(204),
        C::EmptyAnswer => malformed(),
        C::TruncatedAnswer => Expected {
            upstream: Some(200..=201),
            ..malformed()
        },
        C::ConnectionRefused => outcome("not_sent", "UNAVAILABLE", "UPSTREAM_UNAVAILABLE"),
        C::ConnectionReset | C::ConnectionCut => unavailable(),
        C::Timeout => lost(method, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    })
}

impl Expected {
    pub(super) fn problems_of_answer(
        &self,
        method: &Method,
        request_id: &str,
        answer: &Answer,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut want = |right: bool, what: String| {
            if !right {
                problems.push(what);
            }
        };
        let (code, reason) = (answer.code(), answer.reason());
        want(
            (code, reason.as_str()) == (self.code, self.reason),
            format!("answers {code}/{reason}, not {}/{}", self.code, self.reason),
        );
        let told = answer.request_id.as_deref();
        want(told == Some(request_id), format!("request id {told:?}"));
        let count = answer.messages.len();
        let right = count == usize::from(self.code == "OK");
        let is_stream = method.descriptor.is_server_streaming();
        want(right || is_stream, format!("{count} messages"));
        let Some(details) = answer.details() else {
            return problems;
        };
        let Some(info) = details.error_info() else {
            want(false, "no ErrorInfo".to_owned());
            return problems;
        };
        want(info.domain == "keygate", format!("domain {}", info.domain));
        let metadata = &info.metadata;
        let told = |name: &str| metadata.get(name).map(String::as_str);
        want(
            told("request_id") == Some(request_id),
            format!("{metadata:?}: request_id"),
        );
        if let End::Outcome(_) = self.end {
            let upstream = told("upstream");
            let upstreams = method.upstreams().unwrap_or_default();
            let right = upstream.is_some_and(|it| it.starts_with(&upstreams));
            want(right, format!("{metadata:?}: upstream"));
        }
        let status = told("upstream_status").map(|it| it.parse().unwrap());
        want(
            self.is_upstream_status(status),
            format!("{metadata:?}: upstream_status"),
        );
        problems
    }

    /// Exactly one terminal record, and an intent before it if a change got
    /// that far.
    pub(super) fn problems_of_records(&self, method: &Method, records: &[Json]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut want = |right: bool, what: &str| {
            if !right {
                problems.push(format!("{what}: {records:#?}"));
            }
        };
        let intended = method.is_mutation() && matches!(self.end, End::Outcome(_));
        let (kind, outcome) = match self.end {
            End::Refused => ("refused", None),
            End::Denied => ("denied", None),
            End::Outcome(outcome) => ("outcome", Some(outcome)),
        };
        let kinds: Vec<_> = records
            .iter()
            .filter_map(|it| it["kind"].as_str())
            .collect();
        let right = if intended {
            vec!["intent", kind]
        } else {
            vec![kind]
        };
        want(kinds == right, "the records are not as they must be");
        let Some(last) = records.last() else {
            return problems;
        };
        want(last["outcome"].as_str() == outcome, "outcome");
        want(last["code"] == self.code, "code");
        let reason = Some(self.reason).filter(|it| !it.is_empty());
        want(last["reason"].as_str() == reason, "reason");
        let status = last["upstream_status"].as_u64();
        let status = status.map(|it| u16::try_from(it).unwrap());
        want(self.is_upstream_status(status), "upstream_status");
        want(last["duration_us"].is_u64(), "duration");
        let counted = self.code == "OK" && method.is_list();
        want(last["items"].is_u64() || !counted, "items");
        for record in records {
            want(record["rpc"] == method.name.as_str(), "rpc");
            want(record["effect"] == method.effect, "effect");
            want(record["call"] == last["call"], "call");
        }
        // keygate itself may fail before it knows
        let known = !self.reason.starts_with("TOKEN_");
        let right = last["caller"].is_object() == known || self.reason == "INTERNAL";
        want(right, "caller");
        problems
    }

    fn is_upstream_status(&self, status: Option<u16>) -> bool {
        match (&self.upstream, status) {
            (Some(right), Some(status)) => right.contains(&status),
            (None, None) => true,
            _ => false,
        }
    }
}

/// Whatever in a status is nobody's business outside.
pub(super) fn internals(status: &Status) -> Option<String> {
    const WORDS: [&str; 17] = [
        "panic",
        ".rs",
        "::",
        "src/",
        "/tmp",
        "secrets/",
        "keygate.toml",
        "127.0.0.1",
        "<html",
        "Some(",
        "Error(",
        "tokio",
        "hyper",
        "sqlite",
        "serde",
        "os error",
        "RUST",
    ];
    let mut told = status.message().to_owned();
    told += &String::from_utf8_lossy(status.details());
    let word = WORDS.into_iter().find(|it| told.contains(it))?;
    Some(format!("it tells of {word:?}: {told:?}"))
}

/// Records by their request id, each list oldest first.
pub(super) fn records_of(records: Vec<Json>) -> HashMap<String, Vec<Json>> {
    let mut by_id: HashMap<_, Vec<_>> = HashMap::new();
    // what is found out later is no part of the call
    for record in records.into_iter().filter(|it| it["kind"] != "reconciled") {
        let id = record["request_id"].as_str().unwrap().to_owned();
        by_id.entry(id).or_default().push(record);
    }
    by_id
}
