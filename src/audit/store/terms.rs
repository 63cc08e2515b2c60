//! What stores find records by: their terms, each of a kind.

use super::{Columns, Row};

/// The call's id.
pub(in crate::audit) const CALL: char = 'c';
/// The request's id, where it is not the call's.
pub(in crate::audit) const REQUEST_ID: char = 'r';
/// The caller's subject.
pub(in crate::audit) const SUBJECT: char = 's';
/// The id of a key or another resource.
pub(in crate::audit) const RESOURCE_ID: char = 'k';
/// A secret's fingerprint.
pub(in crate::audit) const FINGERPRINT: char = 'f';

/// Which terms a store keeps apart from the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Indexed {
    /// The fingerprints of all records; the others are columns with an index.
    Fingerprints,
    /// All terms, of the records before this position.
    Before(u64),
}

impl<'a> Columns<'a> {
    /// The terms with their kinds, but for fingerprints, which are in no column.
    pub(in crate::audit) fn terms(self) -> impl Iterator<Item = (char, &'a str)> {
        let all = [
            (CALL, Some(self.call)),
            (REQUEST_ID, self.request_id),
            (SUBJECT, self.subject),
            (RESOURCE_ID, self.resource_id),
        ];
        all.into_iter().filter_map(|(kind, it)| Some((kind, it?)))
    }
}

impl Row {
    /// What is kept beside it.
    pub(in crate::audit) fn columns(&self) -> Columns<'_> {
        let record = &self.record;
        let request_id = record.request_id.as_deref();
        let resource = record.resource.as_ref();
        Columns {
            time: self.time,
            call: &record.call,
            request_id: request_id.filter(|it| *it != record.call),
            kind: record.kind.name(),
            subject: record.caller.as_ref().map(|it| it.subject.as_str()),
            resource_id: resource.and_then(|it| it.id.as_deref()),
        }
    }
}
