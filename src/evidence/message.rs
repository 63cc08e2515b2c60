//! Records as messages of the contract.

use std::str::FromStr;

use prost_types::{Duration, Timestamp};

use crate::{
    audit::{self, Finding, Kind, Outcome, Stored},
    contract::{Effect, proto::keygate::audit::v1 as contract},
};

/// A record as it is stored.
pub(super) fn record(stored: Stored) -> contract::Record {
    let Stored {
        position,
        origin,
        index,
        leaf,
        record,
        body,
    } = stored;
    // Every field is named, so that a new one can't be forgotten.
    let audit::Record {
        v: _,
        id,
        call,
        request_id,
        kind,
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
        fingerprints,
        changes,
        outcome,
        finding,
        settles,
        code,
        reason,
        upstream_status,
        upstream_request_id,
        duration_us,
        items,
        pruned,
        fingerprint_key,
    } = record;
    contract::Record {
        position: position.0,
        origin,
        leaf_index: index,
        leaf_hash: leaf.0.to_vec(),
        body,
        id,
        call,
        request_id,
        kind: kind_of(kind).into(),
        time: timestamp(&time),
        caller: caller.map(|it| contract::Caller {
            issuer: it.issuer,
            subject: it.subject,
            claims: it.claims,
            token_id: it.token_id,
        }),
        peer: peer.map(|it| contract::Peer {
            address: it.address,
            certificate: it.certificate,
        }),
        rpc,
        effect: effect
            .as_deref()
            .map_or(Effect::Unspecified, effect_of)
            .into(),
        permission,
        rule,
        policy_version,
        upstream,
        resource: resource.map(|it| contract::Resource {
            r#type: it.resource_type,
            id: it.id,
            name: it.name,
            parent: it.parent,
            copy_of: it.copy_of,
        }),
        fingerprints: fingerprints.iter().map(ToString::to_string).collect(),
        outcome: outcome
            .map_or(contract::Outcome::Unspecified, outcome_of)
            .into(),
        code,
        reason,
        upstream_status: upstream_status.map(i32::from),
        upstream_request_id,
        duration: duration_us.map(duration),
        items,
        finding: finding
            .map_or(contract::Finding::Unspecified, finding_of)
            .into(),
        settles,
        pruned: pruned.map(|it| contract::Pruned {
            before: timestamp(&it.before),
            from_position: it.from,
            to_position: it.to,
            records: it.records,
        }),
        fingerprint_key,
        changes: changes.into_iter().map(change).collect(),
    }
}

fn change(change: audit::Change) -> contract::Change {
    contract::Change {
        setting: change.setting,
        new_fingerprint: change.to.to_string(),
        old_fingerprint: change.from.map(|it| it.to_string()),
    }
}

fn timestamp(text: &str) -> Option<Timestamp> {
    Timestamp::from_str(text).ok()
}

fn duration(micros: u64) -> Duration {
    Duration {
        seconds: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
        // below a second
        nanos: i32::try_from(micros % 1_000_000 * 1000).unwrap_or_default(),
    }
}

fn effect_of(name: &str) -> Effect {
    let all = [
        Effect::Read,
        Effect::Reveal,
        Effect::Create,
        Effect::Update,
        Effect::Delete,
    ];
    let found = all.into_iter().find(|it| it.name() == name);
    found.unwrap_or(Effect::Unspecified)
}

fn kind_of(kind: Kind) -> contract::RecordKind {
    match kind {
        Kind::Intent => contract::RecordKind::Intent,
        Kind::Refused => contract::RecordKind::Refused,
        Kind::Denied => contract::RecordKind::Denied,
        Kind::Outcome => contract::RecordKind::Outcome,
        Kind::Reconciled => contract::RecordKind::Reconciled,
        Kind::Pruned => contract::RecordKind::Pruned,
        Kind::Rotated => contract::RecordKind::Rotated,
    }
}

fn outcome_of(outcome: Outcome) -> contract::Outcome {
    match outcome {
        Outcome::Succeeded => contract::Outcome::Succeeded,
        Outcome::Rejected => contract::Outcome::Rejected,
        Outcome::NotSent => contract::Outcome::NotSent,
        Outcome::Unknown => contract::Outcome::Unknown,
    }
}

fn finding_of(finding: Finding) -> contract::Finding {
    match finding {
        Finding::Applied => contract::Finding::Applied,
        Finding::NotApplied => contract::Finding::NotApplied,
        Finding::Ambiguous => contract::Finding::Ambiguous,
    }
}
