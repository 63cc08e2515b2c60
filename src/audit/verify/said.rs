//! What a record says, as far as a verifier needs it: read without copying.

use std::borrow::Cow;

use serde::Deserialize;

use crate::audit::{Finding, Kind, Outcome, record, store::Columns, store::Step};

type Text<'a> = Cow<'a, str>;

/// A record's members.
#[derive(Debug, Deserialize)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) call: Text<'a>,
    #[serde(borrow, default)]
    pub(super) request_id: Option<Text<'a>>,
    pub(super) kind: Kind,
    #[serde(borrow)]
    pub(super) time: Text<'a>,
    #[serde(borrow, default)]
    pub(super) caller: Option<Caller<'a>>,
    #[serde(borrow, default)]
    pub(super) effect: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) upstream: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) resource: Option<Resource<'a>>,
    #[serde(borrow, default)]
    pub(super) fingerprints: Vec<Text<'a>>,
    #[serde(default)]
    pub(super) outcome: Option<Outcome>,
    #[serde(default)]
    pub(super) finding: Option<Finding>,
    #[serde(borrow, default)]
    pub(super) settles: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Caller<'a> {
    #[serde(borrow)]
    pub(super) issuer: Text<'a>,
    #[serde(borrow)]
    pub(super) subject: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Resource<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) resource_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
}

impl<'a> Said<'a> {
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        // looked at once, and not text by text
        serde_json::from_str(str::from_utf8(body).ok()?).ok()
    }

    pub(super) fn step(&self) -> Step {
        Step::of(self.kind, self.effect.as_deref(), self.outcome)
    }

    pub(super) fn nanoseconds(&self) -> i64 {
        record::nanoseconds(&self.time)
    }

    /// Whether what is kept beside the record is what it says.
    pub(super) fn fits(&self, columns: &Columns<'_>) -> bool {
        let resource = self.resource.as_ref();
        columns.call == self.call
            && columns.kind == self.kind.name()
            && columns.time == self.nanoseconds()
            // one that is the call's id need not be kept twice
            && columns.request_id.unwrap_or(columns.call)
                == self.request_id.as_deref().unwrap_or(&self.call)
            && columns.subject == self.caller.as_ref().map(|it| &*it.subject)
            && columns.resource_id == resource.and_then(|it| it.id.as_deref())
    }

    /// Whether it says that this caller made a key that is known by this.
    pub(super) fn made(&self, issuer: &str, subject: &str, id: &str) -> bool {
        let by = |it: &Caller<'_>| it.issuer == issuer && it.subject == subject;
        let resource = self.resource.as_ref();
        self.makes()
            && self.caller.as_ref().is_some_and(by)
            && (resource.and_then(|it| it.id.as_deref()) == Some(id)
                || self.fingerprints.iter().any(|it| it == id))
    }
    /// The key that it says was made: its upstream, its type and its id.
    pub(super) fn made_key(&self) -> Option<(&str, &str, &str)> {
        let resource = self.resource.as_ref().filter(|_| self.makes())?;
        let resource_type = resource.resource_type.as_deref()?;
        Some((
            self.upstream.as_deref()?,
            resource_type,
            resource.id.as_deref()?,
        ))
    }

    fn makes(&self) -> bool {
        let made =
            self.outcome == Some(Outcome::Succeeded) || self.finding == Some(Finding::Applied);
        made && self.effect.as_deref() == Some("create")
    }
}
