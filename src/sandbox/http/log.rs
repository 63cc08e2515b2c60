//! The log of requests that a simulator received, without credentials.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use axum::http::{HeaderMap, request::Parts};
use serde_json::{Map, Value, json};

use super::Verdict;
use crate::clock;

/// How many requests are kept; a sandbox may run for days.
const KEPT: usize = 10_000;

#[derive(Default)]
pub(super) struct Log(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    received: u64,
    kept: VecDeque<Entry>,
}

struct Entry {
    number: u64,
    at: SystemTime,
    request: Value,
    fault: Option<&'static str>,
    status: Option<u16>,
}

impl Log {
    /// Writes a request down and returns its number, from 1.
    pub(super) fn received(
        &self,
        at: SystemTime,
        parts: &Parts,
        template: Option<&str>,
        credentials: &[(&'static str, Verdict)],
        body: &[u8],
    ) -> u64 {
        let request = json!({
            "method": parts.method.as_str(),
            "path": parts.uri.path_and_query().map_or("/", |path| path.as_str()),
            "route": template,
            "credentials": verdicts(credentials),
            "headers": headers(&parts.headers, credentials),
            "body": content(body),
        });
        let mut entries = self.lock();
        entries.received += 1;
        let number = entries.received;
        if entries.kept.len() == KEPT {
            entries.kept.pop_front();
        }
        entries.kept.push_back(Entry {
            number,
            at,
            request,
            fault: None,
            status: None,
        });
        number
    }

    /// Adds the fault that hit a request.
    pub(super) fn faulted(&self, number: u64, fault: &'static str) {
        self.change(number, |entry| entry.fault = Some(fault));
    }

    /// Adds the status that a request was answered with.
    pub(super) fn answered(&self, number: u64, status: u16) {
        self.change(number, |entry| entry.status = Some(status));
    }

    /// All entries that are kept, oldest first.
    pub(super) fn entries(&self) -> Value {
        let entries = self.lock();
        entries
            .kept
            .iter()
            .map(|entry| {
                let mut value = entry.request.clone();
                value["number"] = json!(entry.number);
                value["at"] = json!(clock::rfc3339(entry.at));
                value["fault"] = json!(entry.fault);
                value["status"] = json!(entry.status);
                value
            })
            .collect()
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.lock();
        // Numbers rise by one, so the place follows from the first one kept.
        let first = entries.kept.front().map_or(0, |entry| entry.number);
        let at = number.checked_sub(first).map(usize::try_from);
        if let Some(Ok(at)) = at
            && let Some(entry) = entries.kept.get_mut(at)
        {
            change(entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verdicts(credentials: &[(&'static str, Verdict)]) -> Map<String, Value> {
    credentials
        .iter()
        .map(|(name, verdict)| {
            let verdict = match verdict {
                Verdict::Valid => "valid",
                Verdict::Invalid => "invalid",
                Verdict::Missing => "missing",
            };
            ((*name).to_owned(), json!(verdict))
        })
        .collect()
}

fn headers(headers: &HeaderMap, credentials: &[(&'static str, Verdict)]) -> Map<String, Value> {
    headers
        .keys()
        .filter(|name| {
            // Authorization is a credential to some vendor or other.
            name.as_str() != "authorization"
                && !credentials
                    .iter()
                    .any(|(secret, _)| name.as_str() == *secret)
        })
        .map(|name| {
            let values: Vec<_> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            (name.as_str().to_owned(), json!(values.join(", ")))
        })
        .collect()
}

fn content(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body).unwrap_or_else(|_| json!(String::from_utf8_lossy(body)))
}
