//! Records are listed: by every filter, in pages that stay what they are.

mod filters;
mod pages;

use keygate::{
    audit::tree::Hash,
    contract::proto::keygate::audit::v1::{
        ListRecordsRequest, Outcome, RecordFilter, RecordKind, RecordOrder,
    },
};
use prost_types::Timestamp;
use serde_json::Value as Json;

use super::{Auditor, leave_a_record};
use crate::support::served::{MAIN, SANDBOX_POLICY, Served, target};

const LIST: &str = "keygate.datadog.v2.ApiKeyService/ListApiKeys";
const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
const DELETE: &str = "keygate.datadog.v2.ApiKeyService/DeleteApiKey";
const COVEO: &str = "keygate.coveo.v1.ApiKeyService/ListApiKeys";

/// Calls of all sorts, and what the trail has of them, oldest first.
async fn traffic(served: &Served) -> Vec<Json> {
    let client = served.client();
    let admin = served.token("system:serviceaccount:payments:api", &["admin"]);
    let reader = served.token("a-reader", &["reader"]);
    let key = target(&client, DELETE, &admin, MAIN).await;
    for token in [Some(admin.as_str()), Some(&reader), None] {
        for method in [LIST, CREATE, COVEO, DELETE] {
            let request = client.request_at(method, &key, MAIN);
            client.call(method, token, &request).await;
        }
    }
    let request = client.request_at(CREATE, "", "not-configured");
    client.call(CREATE, Some(&admin), &request).await;
    served.records()
}

fn text<'a>(record: &'a Json, pointer: &str) -> &'a str {
    record.pointer(pointer).and_then(Json::as_str).unwrap_or("")
}

fn time(record: &Json) -> Timestamp {
    text(record, "/time").parse().unwrap()
}

#[tokio::test]
async fn a_record_is_told_whole_with_the_bytes_that_are_in_the_tree() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let records = traffic(&served).await;
    let request = ListRecordsRequest {
        order: RecordOrder::OldestFirst.into(),
        ..ListRecordsRequest::default()
    };
    let (listed, _) = Auditor::new(&served).pages(&request).await;
    for (at, (listed, record)) in listed.iter().zip(&records).enumerate() {
        let body: Json = serde_json::from_slice(&listed.body).unwrap();
        assert_eq!(body, *record);
        assert_eq!(listed.leaf_hash, Hash::leaf(&listed.body).0);
        assert_eq!((listed.position, listed.leaf_index), (at as u64, at as u64));
        assert_eq!(listed.origin, "keygate");
        assert_eq!(listed.time, Some(time(record)));
        // names of enums are those of the record
        let lower = |name: &str, prefix: &str| {
            let name = name.strip_prefix(prefix).unwrap();
            name.to_ascii_lowercase()
        };
        let kind = lower(listed.kind().as_str_name(), "RECORD_KIND_");
        assert_eq!(kind, text(record, "/kind"));
        let outcome = lower(listed.outcome().as_str_name(), "OUTCOME_");
        assert_eq!(outcome, record["outcome"].as_str().unwrap_or("unspecified"));
        let effect = lower(listed.effect().as_str_name(), "EFFECT_");
        assert_eq!(effect, text(record, "/effect"));
        let optional = [
            (&listed.request_id, "/request_id"),
            (&listed.rpc, "/rpc"),
            (&listed.permission, "/permission"),
            (&listed.rule, "/rule"),
            (&listed.policy_version, "/policy_version"),
            (&listed.upstream, "/upstream"),
            (&listed.code, "/code"),
            (&listed.reason, "/reason"),
        ];
        for (told, pointer) in optional {
            let said = record.pointer(pointer).and_then(Json::as_str);
            assert_eq!(told.as_deref(), said, "{pointer}: {record}");
        }
        let caller = listed.caller.as_ref();
        assert_eq!(caller.is_some(), record["caller"].is_object());
        let subject = caller.map_or("", |it| &it.subject);
        assert_eq!(subject, text(record, "/caller/subject"));
        assert_eq!(
            listed.peer.as_ref().unwrap().address,
            text(record, "/peer/address")
        );
        let micros = listed
            .duration
            .map(|it| it.seconds * 1_000_000 + i64::from(it.nanos) / 1000);
        assert_eq!(micros, record["duration_us"].as_i64());
        let status = listed.upstream_status.map(i64::from);
        assert_eq!(status, record["upstream_status"].as_i64());
        assert_eq!(listed.items, record["items"].as_u64());
        let resource = listed.resource.as_ref();
        let id = resource.and_then(|it| it.id.as_deref()).unwrap_or_default();
        assert_eq!(id, text(record, "/resource/id"));
    }
    assert!(listed.len() >= records.len() && records.len() > 12);
    // a denial says what was missing, and which rule decided
    let denied = listed.iter().filter(|it| it.kind() == RecordKind::Denied);
    for it in denied {
        assert!(it.permission.is_some() && it.rule.is_some(), "{it:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_by_its_field() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    for _ in 0..3 {
        leave_a_record(&client, &admin).await;
    }
    let any = ListRecordsRequest::default;
    let one = ListRecordsRequest {
        page_size: 1,
        ..any()
    };
    let token = auditor.page(&one).await.next_page_token;
    assert!(!token.is_empty());
    let with = |filter: RecordFilter| ListRecordsRequest {
        filter: Some(filter),
        ..any()
    };
    let filter = RecordFilter::default;
    for (field, request) in [
        (
            "page_size",
            ListRecordsRequest {
                page_size: -1,
                ..any()
            },
        ),
        (
            "page_size",
            ListRecordsRequest {
                page_size: 1001,
                ..any()
            },
        ),
        ("order", ListRecordsRequest { order: 77, ..any() }),
        (
            "page_token",
            ListRecordsRequest {
                page_token: "x".to_owned(),
                ..any()
            },
        ),
        // of another listing
        (
            "page_token",
            ListRecordsRequest {
                page_token: token.clone(),
                order: RecordOrder::OldestFirst.into(),
                ..any()
            },
        ),
        (
            "page_token",
            ListRecordsRequest {
                page_token: token.clone(),
                ..with(RecordFilter {
                    rpc: "WhoAmI".to_owned(),
                    ..filter()
                })
            },
        ),
        (
            "filter.kinds",
            with(RecordFilter {
                kinds: vec![99],
                ..filter()
            }),
        ),
        (
            "filter.outcomes",
            with(RecordFilter {
                outcomes: vec![-1],
                ..filter()
            }),
        ),
        (
            "filter.fingerprint",
            with(RecordFilter {
                fingerprint: "v1:00".to_owned(),
                ..filter()
            }),
        ),
        (
            "filter.subject",
            with(RecordFilter {
                subject: "*".repeat(1025),
                ..filter()
            }),
        ),
        (
            "filter.since",
            with(RecordFilter {
                since: Some(Timestamp {
                    seconds: i64::MAX,
                    nanos: 0,
                }),
                ..filter()
            }),
        ),
    ] {
        let answer = auditor.call("ListRecords", &request).await;
        assert_eq!(answer.reason(), "INVALID_REQUEST", "{field}");
        let details = answer.details().unwrap();
        let violations = &details.bad_request().unwrap().field_violations;
        let fields: Vec<_> = violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, [field]);
    }
    let right = ListRecordsRequest {
        page_token: token,
        ..any()
    };
    assert!(!auditor.page(&right).await.records.is_empty());
    // every call of these has left exactly one record, with what it has listed
    let records = served.records();
    let own = records
        .iter()
        .filter(|it| text(it, "/caller/subject") == "the-auditor");
    let own: Vec<_> = own.collect();
    assert_eq!(own.len(), 13);
    assert_eq!(own[0]["items"], 1);
    assert_eq!(own[0]["permission"], "keygate_audit_read");
    assert_eq!(own[1]["kind"], "refused");
}
