//! A record as bytes.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::audit::record::{CUT, MAX_CLAIMS, MAX_TEXT, cut};

#[test]
fn members_keep_their_order_and_absent_ones_are_left_out() {
    let mut record = Record::new(Kind::Outcome, "c", "i", SystemTime::UNIX_EPOCH);
    record.items = Some(2);
    record.outcome = Some(Outcome::NotSent);
    record.resource = Some(Resource {
        resource_type: Some("api_key".to_owned()),
        ..Resource::default()
    });
    assert_eq!(
        String::from_utf8(record.encode().unwrap()).unwrap(),
        r#"{"v":1,"id":"i","call":"c","kind":"outcome","time":"1970-01-01T00:00:00.000000000Z","resource":{"type":"api_key"},"outcome":"not_sent","items":2}"#
    );
}

#[test]
fn names_read_as_they_are_written() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
        assert_eq!(
            serde_json::to_value(kind).unwrap(),
            serde_json::Value::from(kind.name())
        );
    }
    for outcome in Outcome::ALL {
        assert_eq!(outcome.name().parse(), Ok(*outcome));
    }
    let error = "maybe".parse::<Outcome>().unwrap_err().to_string();
    assert_eq!(error, "not one of succeeded, rejected, not_sent, unknown");
}

fn any_record() -> impl Strategy<Value = Record> {
    let text = || prop_oneof![any::<String>(), "\\PC{400,700}"];
    let optional = move || proptest::option::of(text());
    let caller = (
        text(),
        text(),
        proptest::collection::vec(text(), 0..90),
        optional(),
    )
        .prop_map(|(issuer, subject, claims, token_id)| Caller {
            issuer,
            subject,
            claims,
            token_id,
        });
    (
        proptest::option::of(caller),
        [optional(), optional(), optional(), optional(), optional()],
        [optional(), optional(), optional(), optional(), optional()],
        proptest::option::of((text(), optional())),
        (any::<Option<u16>>(), any::<Option<u64>>()),
        proptest::sample::select(Kind::ALL),
        proptest::option::of(proptest::sample::select(Outcome::ALL)),
    )
        .prop_map(|(caller, resource, texts, peer, numbers, kind, outcome)| {
            let [resource_type, id, name, parent, copy_of] = resource;
            let [request_id, rpc, rule, upstream, reason] = texts;
            Record {
                caller,
                resource: Some(Resource {
                    resource_type,
                    id,
                    name,
                    parent,
                    copy_of,
                }),
                peer: peer.map(|(address, certificate)| Peer {
                    address,
                    certificate,
                }),
                request_id,
                rpc,
                rule,
                upstream,
                reason,
                outcome,
                upstream_status: numbers.0,
                duration_us: numbers.1,
                ..Record::new(kind, "call", "id", SystemTime::UNIX_EPOCH)
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_record_reads_back_and_encodes_to_the_same_bytes(record in any_record()) {
        let body = record.clone().encode().unwrap();
        let read: Record = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(&read.clone().encode().unwrap(), &body);
        let claims = |it: &Record| it.caller.as_ref().map_or(0, |it| it.claims.len());
        prop_assert_eq!(claims(&read), claims(&record).min(MAX_CLAIMS));
        let short = |it: &Option<String>| it.as_ref().is_none_or(|it| it.len() <= MAX_TEXT);
        prop_assert!(short(&read.rpc) && short(&read.request_id));
        if claims(&record) == 0 && short(&record.rpc) {
            prop_assert_eq!(read.rpc, record.rpc);
        }
    }

    #[test]
    fn a_text_is_cut_once_and_between_characters(text in prop_oneof![any::<String>(), "\\PC{100,800}"]) {
        let mut once = text.clone();
        cut(&mut once);
        prop_assert!(once.len() <= MAX_TEXT);
        if text.len() <= MAX_TEXT {
            prop_assert_eq!(&once, &text);
        } else {
            prop_assert!(text.starts_with(once.strip_suffix(CUT).unwrap()));
            prop_assert!(once.len() > MAX_TEXT - 4);
        }
        let mut twice = once.clone();
        cut(&mut twice);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn times_sort_as_texts(a in 0..4_000_000_000_000_000_000_u64, b in 0..4_000_000_000_000_000_000_u64) {
        let text = |nanos| record::timestamp(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos));
        prop_assert_eq!(text(a).cmp(&text(b)), a.cmp(&b));
        prop_assert_eq!(text(a).len(), 30);
    }
}
