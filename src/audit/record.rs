//! The record: what is written down about one step of one call.
//!
//! A record is one JSON object, its members always in the order of the fields
//! below; a member that has nothing to say is left out. No field can take a
//! secret's type, and every text is cut to a bound before it is written, so that
//! a caller can't bloat the trail.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Finding, Fingerprint, Kind, Outcome};

/// The version of the record's format.
const VERSION: u32 = 1;

/// The longest text that is written, in bytes, the mark of a cut included.
pub(super) const MAX_TEXT: usize = 512;

/// Most records are shorter than this, in bytes.
const USUAL: usize = 1 << 10;

/// The most roles of a caller that are written.
pub(super) const MAX_CLAIMS: usize = 64;

/// Stands where the end of a text was cut off.
pub(super) const CUT: &str = "…[cut]";

/// One step of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format: 1.
    pub v: u32,
    /// The record's own id, a UUID that sorts by time.
    pub id: String,
    /// The call's id: the same in an intent and in its outcome.
    pub call: String,
    /// The request id that the caller sent or was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Which step this is.
    pub kind: Kind,
    /// When, as RFC 3339 in UTC with nine digits of a second.
    pub time: String,
    /// Who called; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// The method: `keygate.datadog.v2.ApiKeyService/ListApiKeys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<String>,
    /// What the method does: `read`, `reveal`, `create`, `update`, `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The permission that was used, or that is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The rule of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The version of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<String>,
    /// The upstream: `datadog/us1/main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// On what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    /// Fingerprints of the secrets that the request or the answer held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<Fingerprint>,
    /// The settings that a change gives to a key that exists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// How it ended; in outcomes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What upstream shows; in reconciled records only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// The id of the outcome that this record settles; in reconciled records only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles: Option<String>,
    /// The gRPC code's name: `PERMISSION_DENIED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason of the error's `ErrorInfo`: `POLICY_DENIED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The HTTP status that the upstream answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_status: Option<u16>,
    /// The request id that the upstream gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// How long the call took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// How many resources a list held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// What was removed; in pruned records only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Pruned>,
    /// The version of the key that fingerprints are made with from here on; in
    /// rotated records only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint_key: Option<u32>,
}

/// A caller whose token was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject.
    pub subject: String,
    /// The values of the claim that holds roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// The token's id (`jti`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

/// The other end of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its address and port.
    pub address: String,
    /// The name in its client certificate, if it showed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// What a call is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The type: `api_key`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// The id upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name that people gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The id of the service account that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The id of the key that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
}

/// A setting that a call changes: what it is to be, and what it was. Values are
/// told by their fingerprints alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Upstream's name of the setting.
    pub setting: String,
    /// What it is to be.
    pub to: Fingerprint,
    /// What it was, where that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Fingerprint>,
}

/// What was removed from the trail. Hashes stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Everything before this time was, but for calls of which it is not known how
    /// they ended: RFC 3339, as the record's own time.
    pub before: String,
    /// The position of the first record that was removed.
    pub from: u64,
    /// The position behind the last one.
    pub to: u64,
    /// How many were removed.
    pub records: u64,
}

impl Record {
    /// A record that says nothing yet beyond whose step it is.
    #[must_use]
    pub fn new(kind: Kind, call: impl Into<String>, id: impl Into<String>, at: SystemTime) -> Self {
        Self {
            v: VERSION,
            id: id.into(),
            call: call.into(),
            request_id: None,
            kind,
            time: timestamp(at),
            caller: None,
            peer: None,
            rpc: None,
            effect: None,
            permission: None,
            rule: None,
            policy_version: None,
            upstream: None,
            resource: None,
            fingerprints: Vec::new(),
            changes: Vec::new(),
            outcome: None,
            finding: None,
            settles: None,
            code: None,
            reason: None,
            upstream_status: None,
            upstream_request_id: None,
            duration_us: None,
            items: None,
            pruned: None,
            fingerprint_key: None,
        }
    }

    /// The next record of the same call: it says the same about who, where and
    /// what, and nothing yet about the result.
    #[must_use]
    pub fn next(&self, kind: Kind, id: impl Into<String>, at: SystemTime) -> Self {
        Self {
            v: VERSION,
            id: id.into(),
            kind,
            time: timestamp(at),
            outcome: None,
            finding: None,
            settles: None,
            code: None,
            reason: None,
            upstream_status: None,
            upstream_request_id: None,
            duration_us: None,
            items: None,
            pruned: None,
            fingerprint_key: None,
            ..self.clone()
        }
    }

    /// The result in one word: the outcome's name or the finding's, or the kind's
    /// where there is neither.
    #[must_use]
    pub fn result(&self) -> &'static str {
        let finding = self.finding.map(Finding::name);
        let outcome = self.outcome.map(Outcome::name);
        finding.or(outcome).unwrap_or(self.kind.name())
    }

    /// The exact bytes to store. Every text is cut to its bound before.
    pub(super) fn encode(&mut self) -> Result<Vec<u8>, serde_json::Error> {
        self.bound();
        let mut bytes = Vec::with_capacity(USUAL);
        serde_json::to_writer(&mut bytes, self)?;
        Ok(bytes)
    }

    fn bound(&mut self) {
        // Every field is named, so that a new one can't be forgotten.
        let Self {
            v: _,
            id,
            call,
            request_id,
            kind: _,
            time,
            caller,
            peer,
            rpc,
            effect,
            permission,
            rule,
            policy_version,
            upstream,
            resource,
            changes,
            fingerprints: _, // of a fixed size, and as many as upstream answered
            outcome: _,
            finding: _,
            settles,
            code,
            reason,
            upstream_status: _,
            upstream_request_id,
            duration_us: _,
            items: _,
            pruned,
            fingerprint_key: _,
        } = self;
        let before = pruned.as_mut().map(|it| &mut it.before);
        [id, call, time].into_iter().chain(before).for_each(cut);
        changes.iter_mut().for_each(|it| cut(&mut it.setting));
        [
            request_id,
            rpc,
            effect,
            permission,
            rule,
            policy_version,
            upstream,
            settles,
            code,
            reason,
            upstream_request_id,
        ]
        .into_iter()
        .flatten()
        .for_each(cut);
        if let Some(Caller {
            issuer,
            subject,
            claims,
            token_id,
        }) = caller
        {
            [issuer, subject].into_iter().chain(token_id).for_each(cut);
            if claims.len() > MAX_CLAIMS {
                claims.truncate(MAX_CLAIMS - 1);
                claims.push(CUT.to_owned());
            }
            claims.iter_mut().for_each(cut);
        }
        if let Some(Peer {
            address,
            certificate,
        }) = peer
        {
            cut(address);
            certificate.iter_mut().for_each(cut);
        }
        if let Some(Resource {
            resource_type,
            id,
            name,
            parent,
            copy_of,
        }) = resource
        {
            [resource_type, id, name, parent, copy_of]
                .into_iter()
                .flatten()
                .for_each(cut);
        }
    }
}

/// Cuts a text to its bound, between two characters.
pub(crate) fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        let mut end = MAX_TEXT - CUT.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT);
    }
}

/// Whether the end of a text was cut off.
pub(crate) fn is_cut(text: &str) -> bool {
    text.ends_with(CUT)
}

/// A time as records write it. All are equally long, so that their order as
/// texts is their order in time.
pub(super) fn timestamp(time: SystemTime) -> String {
    let mut time = prost_types::Timestamp::from(time);
    let nanos = std::mem::take(&mut time.nanos);
    let seconds = time.to_string();
    format!("{}.{nanos:09}Z", seconds.trim_end_matches('Z'))
}

/// A record's time in nanoseconds since 1970; 0 if it is none.
pub(super) fn nanoseconds(text: &str) -> i64 {
    whole(text.parse().unwrap_or_default())
}

/// A time in nanoseconds since 1970.
pub(super) fn nanoseconds_of(time: SystemTime) -> i64 {
    whole(time.into())
}

fn whole(time: prost_types::Timestamp) -> i64 {
    let seconds = time.seconds.saturating_mul(1_000_000_000);
    seconds.saturating_add(i64::from(time.nanos))
}
