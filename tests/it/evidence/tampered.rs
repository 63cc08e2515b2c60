//! A trail that somebody changed, as an auditor meets it: with the program, the
//! public key, and one checkpoint that was kept elsewhere.

use rusqlite::Connection;

use super::*;

/// A trail that was closed, and a checkpoint from before its last records.
async fn audited() -> (Stage, PathBuf) {
    let mut stage = Stage::new().await;
    for _ in 0..3 {
        stage.call(CREATE).await;
    }
    let newest = async || {
        let (client, token) = (
            stage.served.client(),
            stage.served.token("kim", &["auditor"]),
        );
        let method = "keygate.audit.v1.AuditService/GetCheckpoint";
        let request = client.request(method, "");
        let answer = client.call(method, Some(&token), &request).await.ok();
        let note = answer.get_field_by_name("checkpoint").unwrap();
        note.as_str().unwrap().to_owned()
    };
    let earlier = stage.kept.path().join("earlier.txt");
    fs::write(&earlier, newest().await).unwrap();
    for _ in 0..3 {
        stage.call(CREATE).await;
    }
    stage.end();
    (stage, earlier)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_as_it_was_left_holds_for_both_programs() {
    let (stage, earlier) = audited().await;
    let output = stage.verify(&["--checkpoints", earlier.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
    assert!(all_told(&output).contains("the trail holds"));
    // nothing is left that no checkpoint covers
    assert!(
        !all_told(&output).contains("nothing vouches"),
        "{}",
        all_told(&output)
    );
    let other = stage.verify_independently(&earlier);
    assert!(other.status.success(), "{}", all_told(&other));
    let root = |text: &str| {
        let at = text.split("root ").nth(1).unwrap();
        at.split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(root(&all_told(&output)), root(&all_told(&other)));
    // it is offline: with a configuration that has faults, too, and without a server
    let broken = stage.served.setup.config();
    let text = fs::read_to_string(&broken).unwrap();
    fs::write(&broken, format!("{text}\n[nonsense]\n")).unwrap();
    let key = stage.key();
    let by_config = audit(&[
        "verify",
        "--config",
        broken.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ]);
    assert_eq!(by_config.status.code(), Some(0), "{}", all_told(&by_config));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_changed_is_found_by_both_programs() {
    let (stage, earlier) = audited().await;
    let whole = fs::read(stage.trail()).unwrap();
    let again = "INSERT INTO records SELECT (SELECT max(position) + 1 FROM records), leaf, time,
        call, request_id, kind, subject, resource_id, body FROM records WHERE position = 2";
    let swap = "UPDATE records SET position = -1 WHERE position = 2;
        UPDATE records SET position = 2 WHERE position = 4;
        UPDATE records SET position = 4 WHERE position = -1";
    let changes = [
        (
            "a byte",
            "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'kim', 'tim') AS BLOB) WHERE position = 3",
            Some("from record 3 on"),
        ),
        (
            "deleted",
            "DELETE FROM records WHERE position = 3",
            Some("from record 3 on: this record is missing"),
        ),
        ("swapped", swap, Some("was not signed")),
        ("twice", again, None),
        (
            "cut",
            "DELETE FROM records WHERE position > 3; DELETE FROM checkpoints",
            Some("the end is cut off"),
        ),
        (
            "emptied",
            "DELETE FROM records; DELETE FROM checkpoints",
            Some("the end is cut off"),
        ),
    ];
    for (what, sql, expected) in changes {
        fs::write(stage.trail(), &whole).unwrap();
        Connection::open(stage.trail())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        let output = stage.verify(&["--checkpoints", earlier.to_str().unwrap()]);
        assert_eq!(
            output.status.code(),
            Some(65),
            "{what}: {}",
            all_told(&output)
        );
        if let Some(expected) = expected {
            assert!(
                all_told(&output).contains(expected),
                "{what}: {}",
                all_told(&output)
            );
            let other = stage.verify_independently(&earlier);
            assert!(!other.status.success(), "{what}: {}", all_told(&other));
        } else {
            assert!(
                all_told(&output).contains("twice"),
                "{what}: {}",
                all_told(&output)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_was_begun_anew_is_found() {
    let (mut stage, earlier) = audited().await;
    for suffix in ["", ".lock"] {
        let path = format!("{}{suffix}", stage.trail().display());
        fs::remove_file(path).unwrap();
    }
    // by the same gateway with the same key, and as many records and more
    stage.served.gateway = stage.served.setup.serve().await;
    for _ in 0..8 {
        stage.call(CREATE).await;
    }
    stage.end();
    let alone = stage.verify(&[]);
    assert_eq!(alone.status.code(), Some(0), "{}", all_told(&alone));
    let output = stage.verify(&["--checkpoints", earlier.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65), "{}", all_told(&output));
    assert!(
        all_told(&output).contains("was not signed"),
        "{}",
        all_told(&output)
    );
    // with another key, what is kept beside it is not signed by the one that is known
    let other = stage.verify(&["--key", "keygate+00000000+AAAA"]);
    assert_eq!(other.status.code(), Some(64), "{}", all_told(&other));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_without_its_old_records_proves_as_much() {
    let (stage, earlier) = audited().await;
    let store = format!("sqlite:{}", stage.trail().display());
    let pruned = audit(&["prune", "--store", &store, "--before", "2999-01-01"]);
    assert_eq!(pruned.status.code(), Some(0), "{}", all_told(&pruned));
    let mut evidence = vec!["--checkpoints", earlier.to_str().unwrap()];
    for receipt in &stage.receipts {
        evidence.extend(["--receipt", receipt.to_str().unwrap()]);
    }
    let output = stage.verify(&evidence);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
    assert!(
        all_told(&output).contains("known by their hashes alone"),
        "{}",
        all_told(&output)
    );
    let other = stage.verify_independently(&earlier);
    assert!(other.status.success(), "{}", all_told(&other));
    // what is left of them can't be changed either
    let change = "UPDATE records SET leaf = zeroblob(32) WHERE position = 3";
    let connection = Connection::open(stage.trail()).unwrap();
    assert_eq!(connection.execute(change, []).unwrap(), 1);
    let output = stage.verify(&evidence);
    assert_eq!(output.status.code(), Some(65), "{}", all_told(&output));
}
