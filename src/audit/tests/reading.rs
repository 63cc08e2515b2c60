//! Records are found.

use std::time::{Duration, SystemTime};

use super::*;

#[tokio::test]
async fn records_are_found_while_the_trail_is_open() {
    let folder = Folder::new();
    let trail = folder.open();
    let leaked = "0123456789abcdef";
    for n in 0..1500_u64 {
        let call = n.to_string();
        let mut record = trail.record(Kind::Outcome, &call);
        record.time = record::timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(n));
        record.rpc = Some("keygate.datadog.v2.ApiKeyService/GetApiKey".to_owned());
        record.upstream = Some("datadog/us1/main".to_owned());
        record.request_id = Some(format!("r{n}"));
        record.outcome = Some(Outcome::Succeeded);
        record.caller = Some(Caller {
            subject: if n == 700 {
                "s".repeat(900)
            } else {
                "bob".to_owned()
            },
            ..Caller::default()
        });
        record.resource = Some(Resource {
            id: Some(format!("k{}", n % 750)),
            ..Resource::default()
        });
        if n == 3 || n == 1200 {
            record.fingerprints = vec![trail.fingerprint("other"), trail.fingerprint(leaked)];
        }
        trail.append_detached(vec![record.into()]);
    }
    let mut denied = trail.record(Kind::Denied, "denied");
    denied.code = Some("PERMISSION_DENIED".to_owned());
    trail.append(denied).await.unwrap();

    let reader = Reader::open(&folder.settings()).unwrap();
    let find = |filter: Filter, order, limit| {
        let records = reader.records(Query {
            filter,
            order,
            limit,
            ..Query::default()
        });
        records
            .map(|it| it.unwrap().record.call)
            .collect::<Vec<_>>()
    };
    let any = Filter::default;
    let text = |it: &str| Some(it.to_owned());
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(find(any(), Order::Newest, None).len(), 1501);
    assert_eq!(find(any(), Order::Newest, Some(2)), ["denied", "1499"]);
    assert_eq!(find(any(), Order::Oldest, Some(2)), ["0", "1"]);
    assert_eq!(find(any(), Order::Oldest, Some(1100))[1099], "1099");
    let cases = [
        (
            Filter {
                since: at(40),
                until: at(42),
                ..any()
            },
            vec!["40", "41"],
        ),
        (
            Filter {
                subject: Some("s".repeat(900)),
                ..any()
            },
            vec!["700"],
        ),
        (
            Filter {
                kinds: vec![Kind::Denied],
                ..any()
            },
            vec!["denied"],
        ),
        (
            Filter {
                code: text("PERMISSION_DENIED"),
                ..any()
            },
            vec!["denied"],
        ),
        (
            Filter {
                resource_id: text("k5"),
                ..any()
            },
            vec!["5", "755"],
        ),
        (
            Filter {
                call: text("77"),
                ..any()
            },
            vec!["77"],
        ),
        (
            Filter {
                request_id: text("r78"),
                ..any()
            },
            vec!["78"],
        ),
        (
            Filter {
                outcomes: vec![Outcome::Unknown],
                ..any()
            },
            vec![],
        ),
        (
            Filter {
                rpc: text("ListApiKeys"),
                ..any()
            },
            vec![],
        ),
        (
            Filter {
                upstream: text("datadog/eu"),
                ..any()
            },
            vec![],
        ),
        (
            Filter {
                fingerprints: Some(reader.fingerprints(leaked)),
                ..any()
            },
            vec!["3", "1200"],
        ),
        (
            Filter {
                fingerprints: Some(reader.fingerprints("x")),
                ..any()
            },
            vec![],
        ),
        (
            Filter {
                fingerprints: Some(vec![]),
                ..any()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        let told = format!("{filter:?}");
        assert_eq!(find(filter, Order::Oldest, None), expected, "{told}");
    }
    let after = reader.records(Query {
        order: Order::Oldest,
        after: Some(Position(1498)),
        ..Query::default()
    });
    let after: Vec<_> = after.map(|it| it.unwrap().position.0).collect();
    assert_eq!(after, [1499, 1500]);
    // The very connection sees what comes later.
    trail
        .append(trail.record(Kind::Refused, "new"))
        .await
        .unwrap();
    assert_eq!(find(any(), Order::Newest, Some(1)), ["new"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_does_not_hide_the_others() {
    let folder = Folder::new();
    let trail = folder.open();
    for call in ["a", "b", "c"] {
        trail
            .append(trail.record(Kind::Refused, call))
            .await
            .unwrap();
    }
    trail.close().await.unwrap();
    let hand = Connection::open(folder.path()).unwrap();
    hand.execute("UPDATE records SET body = x'7b' WHERE position = 1", [])
        .unwrap();
    let reader = Reader::open(&folder.settings()).unwrap();
    let records: Vec<_> = reader.records(Query::default()).collect();
    assert_eq!(records.len(), 3);
    let told = records[1].as_ref().unwrap_err().to_string();
    assert!(told.contains("record 1 of the audit trail"), "{told}");
}

#[tokio::test]
async fn records_of_a_time_are_found_in_whatever_order_they_were_written() {
    let folder = Folder::new();
    let trail = folder.open();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // calls at once: whoever is recorded first need not have begun first
    for seconds in [1000, 1002, 1001, 9002, 9001, 9002] {
        let mut record = trail.record(Kind::Denied, &seconds.to_string());
        record.time = record::timestamp(at(seconds));
        trail.append(record).await.unwrap();
    }
    let reader = Reader::open(&folder.settings()).unwrap();
    let find = |since, until| {
        let filter = Filter {
            since: Some(at(since)),
            until: Some(at(until)),
            ..Filter::default()
        };
        let records = reader.records(Query {
            filter,
            order: Order::Oldest,
            ..Query::default()
        });
        let calls = records.map(|it| it.unwrap().record.call);
        calls.collect::<Vec<_>>()
    };
    assert_eq!(find(0, 5000), ["1000", "1002", "1001"]);
    assert_eq!(find(1001, 5000), ["1002", "1001"]);
    assert_eq!(find(5000, 10_000), ["9002", "9001", "9002"]);
    assert_eq!(find(9001, 9002), ["9001"]);
    let pruning = reader.pruning(at(10_000), None).unwrap();
    assert_eq!(pruning.pruned.unwrap().records, 6);
    trail.close().await.unwrap();
}
