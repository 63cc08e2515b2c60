//! Records are listed: by every filter, in pages that stay what they are.

use keygate::{
    audit::{Caller, Kind, Location, Settings, Trail, tree::Hash},
    clock::Clock,
    contract::proto::keygate::audit::v1::{
        ListRecordsRequest, Outcome, RecordFilter, RecordKind, RecordOrder,
    },
    random::Random,
    tasks::Tasks,
};
use prost_types::Timestamp;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::{Auditor, call_on, leave_a_record};
use crate::support::{
    serve::Setup,
    served::{MAIN, SANDBOX_POLICY, Served, target},
};

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
async fn every_filter_finds_what_it_means_and_nothing_else() {
    type Means = Box<dyn Fn(&Json) -> bool>;
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let records = traffic(&served).await;
    let auditor = Auditor::new(&served);
    let (one, other) = (time(&records[3]), time(&records[9]));
    let made = records
        .iter()
        .find(|it| it["rpc"] == CREATE && it["outcome"] == "succeeded");
    let made = made.unwrap().clone();
    let between = (
        text(&records[3], "/time").to_owned(),
        text(&records[9], "/time").to_owned(),
    );
    let id = text(&made, "/resource/id").to_owned();
    let name = text(&made, "/resource/name").to_owned();
    let fingerprint = text(&made, "/fingerprints/0").to_owned();
    let (call, request_id) = (
        text(&made, "/call").to_owned(),
        text(&made, "/request_id").to_owned(),
    );
    let any = RecordFilter::default;
    let issuer = served.setup.issuer.issuer().to_owned();
    let is = |pointer: &'static str, wanted: &str| -> Means {
        let wanted = wanted.to_owned();
        Box::new(move |it| text(it, pointer) == wanted)
    };
    let cases: Vec<(&str, RecordFilter, Means)> = vec![
        ("all", any(), Box::new(|_| true)),
        (
            "time",
            RecordFilter {
                since: Some(one),
                until: Some(other),
                ..any()
            },
            Box::new(move |it| {
                let time = text(it, "/time");
                time >= between.0.as_str() && time < between.1.as_str()
            }),
        ),
        (
            "issuer",
            RecordFilter {
                issuer: issuer.clone(),
                ..any()
            },
            is("/caller/issuer", &issuer),
        ),
        (
            "subject",
            RecordFilter {
                subject: "a-reader".to_owned(),
                ..any()
            },
            is("/caller/subject", "a-reader"),
        ),
        (
            "a pattern of subjects",
            RecordFilter {
                subject: "system:serviceaccount:*:api".to_owned(),
                ..any()
            },
            is("/caller/subject", "system:serviceaccount:payments:api"),
        ),
        (
            "the end of an RPC's name in lower case",
            RecordFilter {
                rpc: "listapikeys".to_owned(),
                ..any()
            },
            Box::new(|it| text(it, "/rpc").ends_with("/ListApiKeys")),
        ),
        (
            "a pattern of RPCs",
            RecordFilter {
                rpc: "Delete*".to_owned(),
                ..any()
            },
            is("/rpc", DELETE),
        ),
        (
            "a part of an upstream",
            RecordFilter {
                upstream: "us1/main".to_owned(),
                ..any()
            },
            is("/upstream", "datadog/us1/main"),
        ),
        (
            "a vendor",
            RecordFilter {
                upstream: "coveo".to_owned(),
                ..any()
            },
            Box::new(|it| text(it, "/upstream").starts_with("coveo/")),
        ),
        (
            "resource type",
            RecordFilter {
                resource_type: "api_key".to_owned(),
                ..any()
            },
            is("/resource/type", "api_key"),
        ),
        (
            "resource id",
            RecordFilter {
                resource_id: id.clone(),
                ..any()
            },
            is("/resource/id", &id),
        ),
        (
            "a pattern of a resource's name",
            RecordFilter {
                resource_name: format!("{}*", &name[..20]),
                ..any()
            },
            Box::new(move |it| text(it, "/resource/name").starts_with(&name[..20])),
        ),
        (
            "decision",
            RecordFilter {
                kinds: vec![RecordKind::Denied.into()],
                ..any()
            },
            is("/kind", "denied"),
        ),
        (
            "two kinds",
            RecordFilter {
                kinds: vec![RecordKind::Refused.into(), RecordKind::Intent.into()],
                ..any()
            },
            Box::new(|it| ["refused", "intent"].contains(&text(it, "/kind"))),
        ),
        (
            "result",
            RecordFilter {
                outcomes: vec![Outcome::Rejected.into(), Outcome::Succeeded.into()],
                ..any()
            },
            Box::new(|it| ["rejected", "succeeded"].contains(&text(it, "/outcome"))),
        ),
        (
            "code",
            RecordFilter {
                code: "UNAUTHENTICATED".to_owned(),
                ..any()
            },
            is("/code", "UNAUTHENTICATED"),
        ),
        (
            "call",
            RecordFilter {
                call: call.clone(),
                ..any()
            },
            is("/call", &call),
        ),
        (
            "request id",
            RecordFilter {
                request_id: request_id.clone(),
                ..any()
            },
            is("/request_id", &request_id),
        ),
        (
            "fingerprint",
            RecordFilter {
                fingerprint: fingerprint.clone(),
                ..any()
            },
            Box::new(move |it| {
                let all = it["fingerprints"].as_array();
                all.is_some_and(|it| it.iter().any(|it| *it == fingerprint.as_str()))
            }),
        ),
        (
            "two at once",
            RecordFilter {
                subject: "a-reader".to_owned(),
                kinds: vec![RecordKind::Denied.into()],
                ..any()
            },
            Box::new(|it| text(it, "/caller/subject") == "a-reader" && it["kind"] == "denied"),
        ),
    ];
    for (what, filter, means) in cases {
        for order in [RecordOrder::NewestFirst, RecordOrder::OldestFirst] {
            let request = ListRecordsRequest {
                filter: Some(filter.clone()),
                order: order.into(),
                page_size: 3,
                page_token: String::new(),
            };
            let (listed, _) = auditor.pages(&request).await;
            // the listing's own calls have left records since
            let listed = listed.iter().map(|it| it.position);
            let mut listed: Vec<_> = listed.filter(|it| *it < records.len() as u64).collect();
            if order == RecordOrder::NewestFirst {
                listed.reverse();
            }
            let expected = records.iter().enumerate().filter(|(_, it)| means(it));
            let expected: Vec<_> = expected.map(|(at, _)| at as u64).collect();
            assert!(!expected.is_empty(), "{what}: nothing to be found");
            assert_eq!(listed, expected, "{what}");
        }
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_of_what_there_was_at_first_while_others_write() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    for _ in 0..100 {
        leave_a_record(&client, &admin).await;
    }
    let (enough, tasks) = (CancellationToken::new(), Tasks::new());
    let writing =
        (0..4).map(|_| tasks.spawn(call_on(client.clone(), admin.clone(), enough.clone())));
    let writing: Vec<_> = writing.collect();
    let auditor = Auditor::new(&served);
    for order in [RecordOrder::OldestFirst, RecordOrder::NewestFirst] {
        let request = ListRecordsRequest {
            order: order.into(),
            page_size: 7,
            ..ListRecordsRequest::default()
        };
        let (listed, count) = auditor.pages(&request).await;
        let mut positions: Vec<_> = listed.iter().map(|it| it.position).collect();
        if order == RecordOrder::NewestFirst {
            positions.reverse();
        }
        let all: Vec<_> = (0..positions.len() as u64).collect();
        assert_eq!(positions, all, "each once, and in order");
        assert_eq!(count, positions.len().div_ceil(7));
    }
    enough.cancel();
    for it in writing {
        it.await.unwrap();
    }
    let (all, _) = auditor.pages(&ListRecordsRequest::default()).await;
    assert!(all.len() > 200, "nobody has written meanwhile");
}

/// A trail that was there before the gateway, with one record in a thousand of a
/// subject that no index can find.
async fn filled(setup: &Setup, records: usize) {
    let store = Location::parse("sqlite:trail.db", setup.folder.path());
    let settings = Settings::at(store.unwrap());
    let trail = Trail::open(&settings, Clock::system(), Random::system()).unwrap();
    let record = |at: usize| {
        let mut record = trail.record(Kind::Outcome, &format!("call-{at}"));
        let subject = match at % 1000 {
            7 => format!("needle-{at}"),
            _ => "hay".to_owned(),
        };
        record.caller = Some(Caller {
            subject,
            ..Caller::default()
        });
        record.into()
    };
    for piece in (0..records).collect::<Vec<_>>().chunks(2000) {
        let entries = piece.iter().map(|it| record(*it)).collect();
        trail.append_all(entries).await.unwrap();
    }
    trail.close().await.unwrap();
}

#[tokio::test]
async fn a_page_ends_when_much_was_looked_at_and_nothing_is_missed() {
    let setup = Setup::new("", "").await;
    setup.write("policy.toml", SANDBOX_POLICY);
    filled(&setup, 45_000).await;
    let gateway = setup.serve().await;
    let auditor = Auditor {
        client: gateway.client(),
        token: setup.token_of("the-auditor", &["auditor"]),
    };
    let request = ListRecordsRequest {
        filter: Some(RecordFilter {
            subject: "needle-*".to_owned(),
            ..RecordFilter::default()
        }),
        order: RecordOrder::OldestFirst.into(),
        page_size: 1000,
        page_token: String::new(),
    };
    let (found, pages) = auditor.pages(&request).await;
    let found: Vec<_> = found.iter().map(|it| it.position).collect();
    let expected: Vec<_> = (0..45).map(|it| it * 1000 + 7).collect();
    assert_eq!(found, expected);
    assert_eq!(pages, 3);
    let first = auditor.page(&request).await;
    assert_eq!(first.records.len(), 20);
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
