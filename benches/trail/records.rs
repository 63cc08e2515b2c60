//! Records as a busy gateway writes them: about 800 bytes each.

use std::time::{Duration, SystemTime};

use keygate::{
    audit::{Caller, Entry, Kind, Outcome, Owner, Peer, Projection, Record, Resource, Trail},
    random::Random,
};

/// A key that has leaked: a few records are about it.
pub(crate) const LEAKED: &str = "dd0123456789abcdef0123456789abcd";
/// Of the ninety days that a trail is about, the beginning of the last one.
pub(crate) const LATE: &str = "2026-03-31T00:00:00Z";

/// 2026-01-01, in seconds since 1970.
const BEGIN: u64 = 1_767_225_600;
const DAYS: u64 = 90;
const ISSUER: &str = "https://login.example.com/realms/platform";
const UPSTREAMS: [&str; 3] = ["datadog/us1/main", "datadog/us5/main", "datadog/eu/main"];

/// Makes the records of a trail that is to be so long.
pub(crate) struct Maker<'a> {
    trail: &'a Trail,
    random: Random,
    records: u64,
    /// What all its calls' ids begin with: there may be more trees in the store.
    calls: String,
}

/// The id of one of the keys. They come in no order.
pub(crate) fn resource(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (high, low) = (mixed >> 32, mixed & 0xffff_ffff);
    format!("{high:08x}-55a1-4ef0-9a7b-{low:012x}")
}

/// The request id that the caller of a record's call brought.
pub(crate) fn request(call: u64) -> String {
    let mixed = call.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(17);
    format!("{mixed:016x}-{call:08x}")
}

impl<'a> Maker<'a> {
    pub(crate) fn new(trail: &'a Trail, records: u64) -> Self {
        let random = Random::system();
        let [a, b] = [(); 2].map(|()| u16::from_be_bytes(random.bytes()));
        Self {
            trail,
            random,
            records,
            calls: format!("019b7600-{a:04x}-7{:03x}-8000", b & 0xfff),
        }
    }

    /// The record at a place: of ten, five are of keys that are shown, two are lists,
    /// two are a creation, one is a denial.
    pub(crate) fn entry(&self, number: u64) -> Entry {
        let step = DAYS * 86_400_000_000 / self.records;
        let at = Duration::from_secs(BEGIN) + Duration::from_micros(step * number);
        let at = SystemTime::UNIX_EPOCH + at;
        let place = number % 10;
        let (rpc, effect, permission, kind) = match place {
            0..=4 => ("GetApiKey", "reveal", "api_keys_read", Kind::Outcome),
            5 | 6 => ("ListApiKeys", "read", "api_keys_read", Kind::Outcome),
            7 => ("CreateApiKey", "create", "api_keys_write", Kind::Intent),
            8 => ("CreateApiKey", "create", "api_keys_write", Kind::Outcome),
            _ => ("DeleteApiKey", "delete", "api_keys_delete", Kind::Denied),
        };
        // a creation's two records are of one call
        let first = if place == 8 { number - 1 } else { number };
        let call = match place {
            7 | 8 => format!("{}-{first:012x}", self.calls),
            _ => self.random.uuid_at(at).to_string(),
        };
        let id = self.random.uuid_at(at).to_string();
        let mut record = Record::new(kind, call, id, at);
        // some callers bring one, others are given the call's
        record.request_id = Some(match place {
            0 | 2 => request(number),
            _ => record.call.clone(),
        });
        let team = first.wrapping_mul(0x9e37_79b9) % 997;
        let subject = format!("system:serviceaccount:team-{team}:api");
        record.caller = Some(Caller {
            issuer: ISSUER.to_owned(),
            subject: subject.clone(),
            claims: vec!["key-admin".to_owned(), "offline_access".to_owned()],
            token_id: Some(self.random.uuid_at(at).to_string()),
        });
        record.peer = Some(Peer {
            address: format!("10.42.{}.{}:51372", team % 256, first % 256),
            certificate: None,
        });
        record.rpc = Some(format!("keygate.datadog.v2.ApiKeyService/{rpc}"));
        record.effect = Some(effect.to_owned());
        record.permission = Some(permission.to_owned());
        record.rule = Some("grants[12]: role key-admin, claim key-admin".to_owned());
        record.policy_version = Some("sha256:5f1c0d3f9a7b2e44".to_owned());
        let upstream = UPSTREAMS[usize::try_from(team % 3).unwrap()];
        record.upstream = Some(upstream.to_owned());
        let keys = (self.records / 20).max(1);
        let key = first.wrapping_mul(0x2545_f491) % keys;
        let id = resource(if place == 8 { keys + first } else { key });
        record.resource = Some(Resource {
            resource_type: Some("api_key".to_owned()),
            id: (!matches!(place, 5..=7)).then(|| id.clone()),
            name: (!matches!(place, 5 | 6)).then(|| format!("payments-{team}-{}", key % 100)),
            ..Resource::default()
        });
        match kind {
            Kind::Outcome => {
                record.outcome = Some(Outcome::Succeeded);
                record.code = Some("OK".to_owned());
                record.upstream_status = Some(200);
                record.upstream_request_id = Some(format!("{number:032x}"));
                record.duration_us = Some(20_000 + number % 5000);
            }
            Kind::Denied => {
                record.code = Some("PERMISSION_DENIED".to_owned());
                record.reason = Some("POLICY_DENIED".to_owned());
            }
            _ => {}
        }
        if matches!(place, 0..=4 | 8) {
            let is_leaked = number % (self.records / 5).max(10) == 3;
            let secret = if is_leaked { LEAKED } else { &id };
            record.fingerprints = vec![self.trail.fingerprint(secret)];
        }
        let created = (place == 8).then(|| Projection::Created {
            upstream: upstream.to_owned(),
            resource_type: "api_key".to_owned(),
            id,
            owner: Owner {
                issuer: ISSUER.to_owned(),
                subject,
            },
        });
        Entry {
            record,
            projections: created.into_iter().collect(),
        }
    }
}
