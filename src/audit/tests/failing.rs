//! The first failure is final.

use super::*;

#[tokio::test]
async fn a_full_disk_is_final() {
    let folder = Folder::new();
    let store = Sqlite::open(&folder.path(), ORIGIN).unwrap();
    store.fill();
    let trail = match Trail::start(
        Box::new(store),
        folder.settings(),
        Clock::system(),
        Random::system(),
    ) {
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
    clone.append_detached(vec![clone.record(Kind::Denied, "lost").into()]);
    assert!(clone.failed().is_cancelled());
}

#[tokio::test]
async fn more_than_fits_is_a_failure_and_what_fits_is_written() {
    let folder = Folder::new();
    let trail = folder.open();
    let failed = trail.failed();
    let record = trail.record(Kind::Denied, "c");
    let other = Connection::open(folder.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut sent = 0;
    while !failed.is_cancelled() {
        trail.append_detached(vec![record.clone().into()]);
        sent += 1;
        assert!(sent < 100_000, "nothing bounds the queue");
    }
    other.execute_batch("ROLLBACK").unwrap();
    let cause = trail.failure().unwrap();
    assert!(matches!(*cause, Error::Overrun), "{cause}");
    assert!(trail.append(record).await.is_err());
    assert!(trail.close().await.is_err());
    assert_eq!(folder.all().len(), sent - 1);
}
