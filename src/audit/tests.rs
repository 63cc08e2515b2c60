//! The trail over real files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use rusqlite::Connection;

use super::{
    record::{CUT, MAX_CLAIMS, MAX_TEXT},
    store::Store,
    *,
};
use crate::{clock::Clock, random::Random, tasks::Tasks};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("trail.db")
    }

    fn settings(&self) -> Settings {
        settings(&self.path())
    }

    fn open(&self) -> Trail {
        open(&self.path()).unwrap()
    }

    fn read(&self, query: Query) -> Vec<Stored> {
        let reader = Reader::open(&self.settings()).unwrap();
        reader.records(query).map(Result::unwrap).collect()
    }

    fn all(&self) -> Vec<Stored> {
        self.read(Query {
            order: Order::Oldest,
            ..Query::default()
        })
    }
}

fn settings(path: &Path) -> Settings {
    Settings {
        store: Location::Sqlite(path.to_owned()),
    }
}

fn open(path: &Path) -> Result<Trail, Error> {
    Trail::open(&settings(path), Clock::system(), Random::system())
}

/// An error and all that is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |it| it.source())
        .map(|it| format!("{it}\n"))
        .collect()
}

fn calls(stored: &[Stored]) -> Vec<&str> {
    stored.iter().map(|it| it.record.call.as_str()).collect()
}

fn created(id: &str, subject: &str) -> Projection {
    Projection::Created {
        upstream: "datadog/us1/main".to_owned(),
        resource_type: "api_key".to_owned(),
        id: id.to_owned(),
        owner: owner(subject),
    }
}

fn owner(subject: &str) -> Owner {
    Owner {
        issuer: "https://issuer".to_owned(),
        subject: subject.to_owned(),
    }
}

#[tokio::test]
async fn ten_thousand_appends_of_64_tasks_are_there_once_each_in_order() {
    let folder = Folder::new();
    let trail = folder.open();
    let tasks = Tasks::new();
    let appending: Vec<_> = (0..64)
        .map(|task| {
            let trail = trail.clone();
            tasks.spawn(async move {
                let mut positions = Vec::new();
                for n in (task..10_000).step_by(64) {
                    let record = trail.record(Kind::Outcome, &n.to_string());
                    positions.push((trail.append(record).await.unwrap(), n.to_string()));
                }
                assert!(positions.is_sorted(), "commit order is append order");
                positions
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for task in appending {
        acknowledged.extend(task.await.unwrap());
    }
    acknowledged.sort();
    let stored: Vec<_> = folder
        .all()
        .into_iter()
        .map(|it| (it.position, it.record.call))
        .collect();
    assert_eq!(stored, acknowledged);
    let positions: Vec<_> = stored.iter().map(|it| it.0.0).collect();
    assert_eq!(positions, (0..10_000).collect::<Vec<_>>());
    trail.close().await.unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = Folder::new();
    let trail = folder.open();
    for n in 0..100 {
        let record = trail.record(Kind::Refused, &n.to_string());
        trail.append(record).await.unwrap();
    }
    // What a killed process leaves: its files as they are, with nothing closed.
    // By another process, since SQLite's locks end with any handle of this one.
    let copy = Folder::new();
    for suffix in ["", "-wal"] {
        let copied = Command::new("cp")
            .arg(files::with_suffix(&folder.path(), suffix))
            .arg(files::with_suffix(&copy.path(), suffix))
            .status();
        assert!(copied.unwrap().success());
    }
    let reopened = copy.open();
    assert_eq!(copy.all(), folder.all());
    assert_eq!(copy.all().len(), 100);
    assert_eq!(reopened.fingerprint("s"), trail.fingerprint("s"));
    let next = reopened
        .append(reopened.record(Kind::Refused, "next"))
        .await;
    assert_eq!(next.unwrap(), Position(100));
}

#[tokio::test]
async fn an_orderly_close_leaves_one_file() {
    let folder = Folder::new();
    let trail = folder.open();
    let clone = trail.clone();
    trail
        .append(trail.record(Kind::Refused, "a"))
        .await
        .unwrap();
    trail.append_detached(trail.record(Kind::Denied, "b"));
    trail.close().await.unwrap();
    let late = clone.append(clone.record(Kind::Refused, "c")).await;
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    let alone = Folder::new();
    fs::copy(folder.path(), alone.path()).unwrap();
    assert_eq!(calls(&alone.all()), ["a", "b"]);
    assert_eq!(calls(&folder.all()), ["a", "b"]);
}

#[tokio::test]
async fn dropping_the_last_handle_writes_what_is_queued() {
    let folder = Folder::new();
    let trail = folder.open();
    for n in 0..500 {
        trail.append_detached(trail.record(Kind::Outcome, &n.to_string()));
    }
    drop(trail);
    // The thread ends by itself, and only then lets the trail be opened again.
    let reopened = loop {
        match open(&folder.path()) {
            Ok(trail) => break trail,
            Err(Error::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(folder.all().len(), 500);
    reopened.close().await.unwrap();
}

#[tokio::test]
async fn a_waiter_that_left_holds_up_nobody() {
    let folder = Folder::new();
    let trail = folder.open();
    let tasks = Tasks::new();
    let appending: Vec<_> = (0..200)
        .map(|n| {
            let trail = trail.clone();
            tasks.spawn(async move {
                let append = trail.append(trail.record(Kind::Outcome, &n.to_string()));
                if n % 2 == 0 {
                    // Polled once, so that it is queued, and then dropped.
                    let _ = tokio::time::timeout(Duration::ZERO, append).await;
                    true
                } else {
                    append.await.is_ok()
                }
            })
        })
        .collect();
    for task in appending {
        assert!(task.await.unwrap());
    }
    trail.close().await.unwrap();
    assert_eq!(folder.all().len(), 200);
}

#[tokio::test]
async fn a_full_disk_is_final() {
    let folder = Folder::new();
    let store = Store::open(&folder.path()).unwrap();
    store.fill();
    let trail = match Trail::start(store, Clock::system(), Random::system()) {
        Ok(trail) => trail,
        Err(error) => panic!("{}", chain(&error)),
    };
    let failed = trail.failed();
    let mut accepted = 0;
    let error = loop {
        let mut record = trail.record(Kind::Refused, "c");
        record.rule = Some("x".repeat(500));
        match trail.append(record).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the hook does not limit the file");
    };
    assert!(matches!(error, Error::Failed(_)));
    let told = chain(&error);
    assert!(told.contains("the disk is full; free some space"), "{told}");
    assert!(told.contains("trail.db"), "{told}");
    assert!(failed.is_cancelled());
    assert!(trail.failure().is_some());
    // Final: also for a record that would fit.
    let later = trail.append(trail.record(Kind::Refused, "later")).await;
    assert!(matches!(later, Err(Error::Failed(_))), "{later:?}");
    assert!(matches!(trail.close().await, Err(Error::Failed(_))));
    // What was acknowledged is there, and nothing else.
    assert_eq!(folder.all().len(), accepted);
}

#[tokio::test]
async fn a_deleted_file_is_final() {
    for suffix in ["", "-wal", ".lock"] {
        let folder = Folder::new();
        let trail = folder.open();
        trail
            .append(trail.record(Kind::Refused, "a"))
            .await
            .unwrap();
        fs::remove_file(files::with_suffix(&folder.path(), suffix)).unwrap();
        let error = trail.append(trail.record(Kind::Refused, "b")).await;
        let told = chain(&error.unwrap_err());
        assert!(told.contains("was deleted, moved or replaced"), "{told}");
        assert!(trail.failed().is_cancelled());
    }
}

#[tokio::test]
async fn a_replaced_file_is_final_and_the_log_is_kept() {
    let folder = Folder::new();
    let trail = folder.open();
    trail
        .append(trail.record(Kind::Refused, "a"))
        .await
        .unwrap();
    let moved = folder.0.path().join("moved.db");
    fs::rename(folder.path(), &moved).unwrap();
    fs::write(folder.path(), "").unwrap();
    assert!(
        trail
            .append(trail.record(Kind::Refused, "b"))
            .await
            .is_err()
    );
    assert!(trail.close().await.is_err());
    // Put back, it has what was acknowledged.
    fs::rename(&moved, folder.path()).unwrap();
    assert_eq!(calls(&folder.all())[0], "a");
}

#[tokio::test]
async fn a_detached_record_that_is_lost_makes_the_trail_fail() {
    let folder = Folder::new();
    let trail = folder.open();
    let clone = trail.clone();
    trail.close().await.unwrap();
    assert!(!clone.failed().is_cancelled());
    clone.append_detached(clone.record(Kind::Denied, "lost"));
    assert!(clone.failed().is_cancelled());
}

#[tokio::test]
async fn there_is_one_writer() {
    let folder = Folder::new();
    let trail = folder.open();
    let error = open(&folder.path()).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }));
    assert!(error.to_string().contains("another keygate"), "{error}");
    #[cfg(unix)]
    {
        let link = folder.0.path().join("link.db");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(matches!(open(&link), Err(Error::InUse { .. })));
    }
    trail.close().await.unwrap();
    folder.open().close().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let trail = folder.open();
    trail
        .append(trail.record(Kind::Refused, "a"))
        .await
        .unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let file = fs::metadata(files::with_suffix(&folder.path(), suffix)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{suffix}");
    }
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = Folder::new();
    fs::write(
        folder.path(),
        "not a database, and longer than its header is",
    )
    .unwrap();
    assert!(matches!(open(&folder.path()), Err(Error::NotATrail { .. })));
    fs::remove_file(folder.path()).unwrap();
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(other);
    let before = fs::read(folder.path()).unwrap();
    for error in [
        open(&folder.path()).err(),
        Reader::open(&folder.settings()).err(),
    ] {
        let told = error.unwrap().to_string();
        assert!(told.contains("not an audit trail"), "{told}");
    }
    assert_eq!(fs::read(folder.path()).unwrap(), before);
}

#[tokio::test]
async fn a_newer_trail_is_refused() {
    let folder = Folder::new();
    folder.open().close().await.unwrap();
    let newer = Connection::open(folder.path()).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    drop(newer);
    for error in [
        open(&folder.path()).err(),
        Reader::open(&folder.settings()).err(),
    ] {
        let told = error.unwrap().to_string();
        assert!(told.contains("schema version 9"), "{told}");
        assert!(told.contains("newer keygate"), "{told}");
    }
}

#[test]
fn a_missing_trail_is_not_made_by_a_reader() {
    let folder = Folder::new();
    let error = Reader::open(&folder.settings()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(!folder.path().exists());
    let nowhere = open(&folder.0.path().join("no/such/trail.db")).unwrap_err();
    assert!(nowhere.to_string().contains("no/such"), "{nowhere}");
}

#[tokio::test]
async fn intents_without_an_outcome_are_unknown_after_a_restart() {
    let folder = Folder::new();
    let trail = folder.open();
    let mut intent = trail.record(Kind::Intent, "lost");
    intent.rpc = Some("keygate.datadog.v2.ApiKeyService/CreateApiKey".to_owned());
    intent.caller = Some(Caller {
        issuer: "https://issuer".to_owned(),
        subject: "alice".to_owned(),
        ..Caller::default()
    });
    let done = trail.record(Kind::Intent, "done");
    trail.append(intent.clone()).await.unwrap();
    trail.append(done.clone()).await.unwrap();
    trail
        .append(trail.next(&done, Kind::Outcome))
        .await
        .unwrap();
    trail.close().await.unwrap();

    for _ in 0..2 {
        folder.open().close().await.unwrap();
        let stored = folder.all();
        assert_eq!(calls(&stored), ["lost", "done", "done", "lost"]);
        let outcome = &stored[3].record;
        assert_eq!(outcome.outcome, Some(Outcome::Unknown));
        assert_eq!(outcome.code.as_deref(), Some("UNKNOWN"));
        assert_eq!(outcome.reason.as_deref(), Some("OUTCOME_UNKNOWN"));
        assert_eq!(outcome.kind, Kind::Outcome);
        assert_eq!(
            (&outcome.rpc, &outcome.caller),
            (&intent.rpc, &intent.caller)
        );
        assert_ne!(outcome.id, intent.id);
    }
}

#[tokio::test]
async fn the_trail_knows_who_made_a_key() {
    let folder = Folder::new();
    let trail = folder.open();
    let append = async |projection| {
        let record = trail.record(Kind::Outcome, "c");
        let projection = Some(projection);
        trail.append(Entry { record, projection }).await.unwrap();
    };
    let find = async |id| {
        trail
            .owner("datadog/us1/main", "api_key", id)
            .await
            .unwrap()
    };
    append(created("1", "alice")).await;
    assert_eq!(find("1").await, Some(owner("alice")));
    append(created("1", "mallory")).await;
    assert_eq!(find("1").await, Some(owner("alice")), "it was taken over");
    let removed = Projection::Removed {
        upstream: "datadog/us1/main".to_owned(),
        resource_type: "api_key".to_owned(),
        id: "1".to_owned(),
    };
    append(removed).await;
    assert_eq!(find("1").await, Some(owner("alice")), "it was forgotten");
    append(created("1", "bob")).await;
    append(created("2", "carol")).await;
    let ids = ["1", "2", "3"].map(str::to_owned);
    let owners = trail.owners("datadog/us1/main", "api_key", &ids).await;
    let known = [("1", "bob"), ("2", "carol")];
    let known = known.map(|(id, subject)| (id.to_owned(), owner(subject)));
    assert_eq!(owners.unwrap(), known.into());
    for (upstream, resource_type) in [("datadog/eu/main", "api_key"), ("datadog/us1/main", "x")] {
        let found = trail.owner(upstream, resource_type, "1").await.unwrap();
        assert_eq!(found, None);
    }
}

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
        trail.append_detached(record);
    }
    let mut denied = trail.record(Kind::Denied, "denied");
    denied.code = Some("PERMISSION_DENIED".to_owned());
    trail.append(denied).await.unwrap();

    let reader = Reader::open(&folder.settings()).unwrap();
    let find = |filter: Filter, order, limit| {
        let records = reader.records(Query {
            filter,
            order,
            after: None,
            limit,
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
                kind: Some(Kind::Denied),
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
                outcome: Some(Outcome::Unknown),
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
async fn no_secret_gets_into_the_file() {
    let folder = Folder::new();
    let trail = folder.open();
    let mut record = trail.record(Kind::Outcome, "c");
    record.fingerprints = vec![trail.fingerprint("correct horse battery staple")];
    trail.append(record).await.unwrap();
    trail.close().await.unwrap();
    let file = fs::read(folder.path()).unwrap();
    assert!(!file.windows(7).any(|it| it == b"battery"));
}

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
        [optional(), optional(), optional()],
        [optional(), optional(), optional(), optional(), optional()],
        proptest::option::of((text(), optional())),
        (any::<Option<u16>>(), any::<Option<u64>>()),
        proptest::sample::select(Kind::ALL),
        proptest::option::of(proptest::sample::select(Outcome::ALL)),
    )
        .prop_map(|(caller, resource, texts, peer, numbers, kind, outcome)| {
            let [resource_type, id, name] = resource;
            let [request_id, rpc, rule, upstream, reason] = texts;
            Record {
                caller,
                resource: Some(Resource {
                    resource_type,
                    id,
                    name,
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
        record::cut(&mut once);
        prop_assert!(once.len() <= MAX_TEXT);
        if text.len() <= MAX_TEXT {
            prop_assert_eq!(&once, &text);
        } else {
            prop_assert!(text.starts_with(once.strip_suffix(CUT).unwrap()));
            prop_assert!(once.len() > MAX_TEXT - 4);
        }
        let mut twice = once.clone();
        record::cut(&mut twice);
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn times_sort_as_texts(a in 0..4_000_000_000_000_000_000_u64, b in 0..4_000_000_000_000_000_000_u64) {
        let text = |nanos| record::timestamp(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos));
        prop_assert_eq!(text(a).cmp(&text(b)), a.cmp(&b));
        prop_assert_eq!(text(a).len(), 30);
    }
}
