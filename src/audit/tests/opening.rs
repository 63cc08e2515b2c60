//! What is opened, and what is refused.

use std::time::SystemTime;

use super::*;

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

#[tokio::test]
async fn an_older_trail_is_brought_up_to_date() {
    let folder = Folder::new();
    let trail = folder.open();
    let intent = trail.record(Kind::Intent, "lost");
    trail.append(intent).await.unwrap();
    trail.close().await.unwrap();
    let older = Connection::open(folder.path()).unwrap();
    // as version 1 had them
    let tables = "
        CREATE TABLE newer AS SELECT position, call, kind, body FROM records;
        DROP TABLE records; DROP TABLE meta; DROP TABLE subtrees; DROP TABLE checkpoints;
        DROP TABLE unresolved; DROP TABLE open_intents; DROP TABLE spans;
        DROP TABLE runs; DROP TABLE terms;
        CREATE TABLE fingerprints (fingerprint TEXT, position INTEGER);
        CREATE TABLE records (position INTEGER PRIMARY KEY, call TEXT NOT NULL,
            kind TEXT NOT NULL, body BLOB NOT NULL) STRICT;
        INSERT INTO records SELECT * FROM newer;
        DROP TABLE newer;
        CREATE TABLE open_intents (call TEXT PRIMARY KEY, position INTEGER NOT NULL)
            STRICT, WITHOUT ROWID;
        INSERT INTO open_intents VALUES ('lost', 0);
        PRAGMA user_version = 1;";
    older.execute_batch(tables).unwrap();
    drop(older);
    folder.open().close().await.unwrap();
    let all = folder.all();
    assert_eq!(calls(&all), ["lost", "lost"]);
    assert_eq!(all[1].record.outcome, Some(Outcome::Unknown));
}

#[tokio::test]
async fn the_trail_of_the_version_before_is_found_in_as_ever() {
    let folder = Folder::new();
    let trail = folder.open();
    // more than a run has
    for n in 0..20 {
        trail
            .append(trail.record(Kind::Refused, &format!("other-{n}")))
            .await
            .unwrap();
    }
    for (call, request_id) in [("one", "one"), ("two", "given")] {
        let mut record = trail.record(Kind::Refused, call);
        record.request_id = Some(request_id.to_owned());
        trail.append(record).await.unwrap();
    }
    trail.close().await.unwrap();
    let older = Connection::open(folder.path()).unwrap();
    let tables = "
        UPDATE records SET request_id = call WHERE request_id IS NULL;
        CREATE INDEX records_time ON records (time);
        CREATE INDEX records_call ON records (call);
        CREATE INDEX records_request_id ON records (request_id);
        CREATE INDEX records_subject ON records (subject);
        CREATE INDEX records_resource_id ON records (resource_id);
        CREATE TABLE fingerprints (fingerprint TEXT, position INTEGER);
        DROP TABLE spans; DROP TABLE runs; DROP TABLE terms;
        DELETE FROM meta WHERE name = 'run';
        PRAGMA user_version = 3;";
    older.execute_batch(tables).unwrap();
    drop(older);
    folder.open().close().await.unwrap();
    let found = |filter| {
        folder.read(Query {
            filter,
            ..Query::default()
        })
    };
    for (request_id, call) in [("one", "one"), ("given", "two")] {
        let filter = Filter {
            request_id: Some(request_id.to_owned()),
            ..Filter::default()
        };
        assert_eq!(calls(&found(filter)), [call]);
    }
    let since = Filter {
        since: Some(SystemTime::UNIX_EPOCH),
        ..Filter::default()
    };
    assert_eq!(calls(&found(since))[..2], ["two", "one"]);
    let evidence = verify::Evidence::default();
    let report = verify::verify(&folder.settings(), &evidence, &mut |_, _| ()).unwrap();
    assert!(report.holds(), "{:?}", report.findings);
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

#[test]
fn every_commit_is_synced() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.path(), ORIGIN).unwrap();
    assert_eq!(store.pragma("synchronous"), "2");
    assert_eq!(store.pragma("journal_mode"), "wal");
}
