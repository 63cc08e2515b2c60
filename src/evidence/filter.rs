//! Filters of the contract, checked.

use std::time::SystemTime;

use prost_types::Timestamp;

use crate::{
    audit::{Filter, Fingerprint, Kind, Outcome},
    contract::proto::keygate::audit::v1 as contract,
    gateway::request::rfc3339,
    status::Violation,
};

/// The longest text that is looked for, in bytes. Patterns take time.
const LONGEST: usize = 1024;

/// Reads a filter. What is wrong with it goes into `violations`.
pub(super) fn read(
    filter: Option<contract::RecordFilter>,
    violations: &mut Vec<Violation>,
) -> Filter {
    let Some(filter) = filter else {
        return Filter::default();
    };
    // Every field is named, so that a new one can't be forgotten.
    let contract::RecordFilter {
        since,
        until,
        issuer,
        subject,
        rpc,
        upstream,
        resource_type,
        resource_id,
        resource_name,
        kinds,
        outcomes,
        code,
        call,
        request_id,
        fingerprint,
    } = filter;
    let since = time("filter.since", since, violations);
    let until = time("filter.until", until, violations);
    let kinds = all("filter.kinds", &kinds, kind, violations);
    let outcomes = all("filter.outcomes", &outcomes, outcome, violations);
    let fingerprints = fingerprints(&fingerprint, violations);
    let mut text = |field: &'static str, text: String| {
        if text.len() > LONGEST {
            violations.push(Violation::new(field, "is longer than 1024 bytes"));
        }
        Some(text).filter(|it| !it.is_empty())
    };
    Filter {
        since,
        until,
        issuer: text("filter.issuer", issuer),
        subject: text("filter.subject", subject),
        rpc: text("filter.rpc", rpc),
        upstream: text("filter.upstream", upstream),
        kinds,
        outcomes,
        code: text("filter.code", code),
        resource_type: text("filter.resource_type", resource_type),
        resource_id: text("filter.resource_id", resource_id),
        resource_name: text("filter.resource_name", resource_name),
        call: text("filter.call", call),
        request_id: text("filter.request_id", request_id),
        fingerprints,
    }
}

fn time(
    field: &'static str,
    time: Option<Timestamp>,
    violations: &mut Vec<Violation>,
) -> Option<SystemTime> {
    let time = time?;
    // that far back nothing was recorded, and times of day go no further
    let read = rfc3339(time).and_then(|_| SystemTime::try_from(time).ok());
    if read.is_none() {
        violations.push(Violation::new(field, "is not a time from year 1 to 9999"));
    }
    read
}

fn fingerprints(text: &str, violations: &mut Vec<Violation>) -> Option<Vec<Fingerprint>> {
    if text.is_empty() {
        return None;
    }
    match text.parse() {
        Ok(it) => Some(vec![it]),
        Err(_) => {
            let fault = "is no fingerprint, as records have them";
            violations.push(Violation::new("filter.fingerprint", fault));
            None
        }
    }
}

/// All of a list of enums, but for those that say nothing.
fn all<T>(
    field: &'static str,
    numbers: &[i32],
    read: fn(i32) -> Option<Option<T>>,
    violations: &mut Vec<Violation>,
) -> Vec<T> {
    if numbers.len() > 100 {
        violations.push(Violation::new(field, "has more than 100 values"));
    }
    let mut found = Vec::new();
    for number in numbers {
        match read(*number) {
            Some(it) => found.extend(it),
            None => violations.push(Violation::new(field, "has a value that is not known")),
        }
    }
    found
}

/// `None` is a number that is not known, `Some(None)` one that says nothing.
fn kind(number: i32) -> Option<Option<Kind>> {
    use contract::RecordKind as Named;
    Some(match Named::try_from(number).ok()? {
        Named::Unspecified => None,
        Named::Intent => Some(Kind::Intent),
        Named::Refused => Some(Kind::Refused),
        Named::Denied => Some(Kind::Denied),
        Named::Outcome => Some(Kind::Outcome),
        Named::Reconciled => Some(Kind::Reconciled),
        Named::Pruned => Some(Kind::Pruned),
        Named::Rotated => Some(Kind::Rotated),
    })
}

fn outcome(number: i32) -> Option<Option<Outcome>> {
    use contract::Outcome as Named;
    Some(match Named::try_from(number).ok()? {
        Named::Unspecified => None,
        Named::Succeeded => Some(Outcome::Succeeded),
        Named::Rejected => Some(Outcome::Rejected),
        Named::NotSent => Some(Outcome::NotSent),
        Named::Unknown => Some(Outcome::Unknown),
    })
}
