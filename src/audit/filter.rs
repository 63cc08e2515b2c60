//! Which records a reader asks for.

use std::time::SystemTime;

use super::{Fingerprint, Kind, Outcome, Record, record};
use crate::glob;

/// What a record must say to be read. What is empty, or `None`, does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Written at this time or later.
    pub since: Option<SystemTime>,
    /// Written before this time.
    pub until: Option<SystemTime>,
    /// The issuer of the caller's token.
    pub issuer: Option<String>,
    /// A pattern of the caller's subject.
    pub subject: Option<String>,
    /// The method, in full or by its end: `ApiKeyService/ListApiKeys`, `ListApiKeys`.
    /// In any case of letters; `*` stands for any run of them.
    pub rpc: Option<String>,
    /// The upstream, in full or by some of its parts: `datadog/us1`, `us1`.
    pub upstream: Option<String>,
    /// The step: one of these.
    pub kinds: Vec<Kind>,
    /// How the call ended: one of these.
    pub outcomes: Vec<Outcome>,
    /// The gRPC code's name.
    pub code: Option<String>,
    /// The resource's type.
    pub resource_type: Option<String>,
    /// The resource's id upstream.
    pub resource_id: Option<String>,
    /// A pattern of the resource's name.
    pub resource_name: Option<String>,
    /// The call's id.
    pub call: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
    /// One of these fingerprints; see [`Reader::fingerprints`](super::Reader::fingerprints).
    pub fingerprints: Option<Vec<Fingerprint>>,
}

/// A filter in the form in which records can be held against it.
#[derive(Debug)]
pub(super) struct Matcher {
    pub(super) filter: Filter,
    since: Option<String>,
    until: Option<String>,
}

impl Matcher {
    pub(super) fn new(mut filter: Filter) -> Self {
        // Records hold long texts cut, so look for them cut.
        let patterns = [&mut filter.subject, &mut filter.resource_name];
        let exact = patterns
            .into_iter()
            .filter(|it| it.as_ref().is_some_and(|it| !it.contains('*')));
        [
            &mut filter.issuer,
            &mut filter.resource_type,
            &mut filter.resource_id,
            &mut filter.call,
            &mut filter.request_id,
        ]
        .into_iter()
        .chain(exact)
        .flatten()
        .for_each(record::cut);
        for it in [&mut filter.rpc, &mut filter.upstream] {
            *it = it.as_ref().map(|it| it.to_ascii_lowercase());
        }
        Self {
            since: filter.since.map(record::timestamp),
            until: filter.until.map(record::timestamp),
            filter,
        }
    }

    pub(super) fn matches(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|it| Some(it) == found)
        };
        let fits = |pattern: &Option<String>, found: Option<&String>| {
            let fit = |it: &String| found.is_some_and(|found| glob::matches(it, found));
            pattern.as_ref().is_none_or(fit)
        };
        let filter = &self.filter;
        let caller = record.caller.as_ref();
        let resource = record.resource.as_ref();
        let outcome = |it: &Outcome| record.outcome == Some(*it);
        self.since.as_ref().is_none_or(|it| record.time >= *it)
            && self.until.as_ref().is_none_or(|it| record.time < *it)
            && is(&filter.issuer, caller.map(|it| &it.issuer))
            && fits(&filter.subject, caller.map(|it| &it.subject))
            && is(&filter.code, record.code.as_ref())
            && is(&filter.request_id, record.request_id.as_ref())
            && is(&filter.call, Some(&record.call))
            && is(
                &filter.resource_type,
                resource.and_then(|it| it.resource_type.as_ref()),
            )
            && is(&filter.resource_id, resource.and_then(|it| it.id.as_ref()))
            && fits(
                &filter.resource_name,
                resource.and_then(|it| it.name.as_ref()),
            )
            && (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
            && (filter.outcomes.is_empty() || filter.outcomes.iter().any(outcome))
            && ends_with(filter.rpc.as_deref(), record.rpc.as_deref())
            && has_parts(filter.upstream.as_deref(), record.upstream.as_deref())
            && filter.fingerprints.as_ref().is_none_or(|wanted| {
                let mut found = record.fingerprints.iter();
                found.any(|it| wanted.contains(it))
            })
    }
}

/// Whether `found` fits `wanted`, or its end does behind a `/` or a `.`, whatever
/// the case of its letters.
fn ends_with(wanted: Option<&str>, found: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let found = found.unwrap_or_default().to_ascii_lowercase();
    let ends = found.match_indices(['/', '.']).map(|(at, _)| at + 1);
    !found.is_empty()
        && std::iter::once(0)
            .chain(ends)
            .any(|at| glob::matches(wanted, &found[at..]))
}

/// Whether the parts of `wanted` are parts of `found`, one behind the other.
fn has_parts(wanted: Option<&str>, found: Option<&str>) -> bool {
    let Some(wanted) = wanted else { return true };
    let found = found.unwrap_or_default().to_ascii_lowercase();
    let wanted: Vec<_> = wanted.split('/').collect();
    let found: Vec<_> = found.split('/').collect();
    found.windows(wanted.len()).any(|it| it == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_by_its_end() {
        let rpc = Some("keygate.datadog.v2.ApiKeyService/ListApiKeys");
        for wanted in [
            "listapikeys",
            "apikeyservice/listapikeys",
            "keygate.datadog.v2.apikeyservice/listapikeys",
            "list*",
            "datadog.*",
        ] {
            assert!(ends_with(Some(wanted), rpc), "{wanted}");
        }
        assert!(ends_with(None, None));
        assert!(!ends_with(Some("keys"), rpc));
        assert!(!ends_with(Some("delete*"), rpc));
        assert!(!ends_with(Some("listapikeys"), None));
        assert!(!ends_with(Some("*"), None));
    }

    #[test]
    fn an_upstream_is_found_by_its_parts() {
        let upstream = Some("datadog/us1/main");
        for wanted in ["datadog", "datadog/us1", "us1", "us1/main", "main"] {
            assert!(has_parts(Some(wanted), upstream), "{wanted}");
        }
        for wanted in ["datadog/us", "us", "datadog/main", "/us1", "", "a/b/c/d"] {
            assert!(!has_parts(Some(wanted), upstream), "{wanted}");
        }
        assert!(has_parts(None, None) && !has_parts(Some("us1"), None));
    }
}
