//! Which records a reader asks for.

use std::time::SystemTime;

use super::{Fingerprint, Kind, Outcome, Record, record};

/// What a record must say to be read. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Written at this time or later.
    pub since: Option<SystemTime>,
    /// Written before this time.
    pub until: Option<SystemTime>,
    /// The caller's subject.
    pub subject: Option<String>,
    /// The method, in full or by its end: `ApiKeyService/ListApiKeys`, `ListApiKeys`.
    pub rpc: Option<String>,
    /// The upstream, in full or by its beginning: `datadog/us1`, `datadog`.
    pub upstream: Option<String>,
    /// The step.
    pub kind: Option<Kind>,
    /// How the call ended.
    pub outcome: Option<Outcome>,
    /// The gRPC code's name.
    pub code: Option<String>,
    /// The resource's id upstream.
    pub resource_id: Option<String>,
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
        [
            &mut filter.subject,
            &mut filter.resource_id,
            &mut filter.call,
            &mut filter.request_id,
        ]
        .into_iter()
        .flatten()
        .for_each(record::cut);
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
        let filter = &self.filter;
        let resource = record.resource.as_ref();
        self.since.as_ref().is_none_or(|it| record.time >= *it)
            && self.until.as_ref().is_none_or(|it| record.time < *it)
            && is(
                &filter.subject,
                record.caller.as_ref().map(|it| &it.subject),
            )
            && is(&filter.code, record.code.as_ref())
            && is(&filter.request_id, record.request_id.as_ref())
            && is(&filter.resource_id, resource.and_then(|it| it.id.as_ref()))
            && filter.outcome.is_none_or(|it| record.outcome == Some(it))
            && ends_with(filter.rpc.as_deref(), record.rpc.as_deref())
            && begins_with(filter.upstream.as_deref(), record.upstream.as_deref())
    }
}

/// Whether `found` is `wanted`, or ends with it after a `/` or a `.`.
fn ends_with(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        found
            .and_then(|it| it.strip_suffix(wanted))
            .is_some_and(|before| before.is_empty() || before.ends_with(['/', '.']))
    })
}

/// Whether `found` is `wanted`, or begins with it before a `/`.
fn begins_with(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        found
            .and_then(|it| it.strip_prefix(wanted))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_by_its_end() {
        let rpc = Some("keygate.datadog.v2.ApiKeyService/ListApiKeys");
        for wanted in [
            "ListApiKeys",
            "ApiKeyService/ListApiKeys",
            "keygate.datadog.v2.ApiKeyService/ListApiKeys",
        ] {
            assert!(ends_with(Some(wanted), rpc), "{wanted}");
        }
        assert!(ends_with(None, None));
        assert!(!ends_with(Some("Keys"), rpc));
        assert!(!ends_with(Some("ListApiKeys"), None));
    }

    #[test]
    fn an_upstream_is_found_by_its_beginning() {
        let upstream = Some("datadog/us1/main");
        for wanted in ["datadog", "datadog/us1", "datadog/us1/main"] {
            assert!(begins_with(Some(wanted), upstream), "{wanted}");
        }
        assert!(!begins_with(Some("datadog/us"), upstream));
    }
}
