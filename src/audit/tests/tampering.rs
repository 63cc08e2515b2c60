//! Whoever owns the disk can't change the past unseen.

use std::collections::BTreeSet;

use super::*;
use crate::audit::{
    checkpoint::Signed,
    note::tests::signer,
    verify::{Evidence, Report, verify},
};

const TRAIL: &str = "example.com/trail";

/// A small trail that was closed, and a checkpoint that somebody kept when it was
/// smaller still.
struct Stage {
    folder: Folder,
    settings: Settings,
    earlier: Signed,
    receipts: Vec<Receipt>,
}

impl Stage {
    async fn new() -> Self {
        Self::of(6, 3).await
    }

    /// So many calls before the earlier checkpoint, and so many after it.
    async fn of(before: usize, after: usize) -> Self {
        let folder = Folder::new();
        let settings = Settings {
            origin: TRAIL.to_owned(),
            signer: Some(signer(TRAIL)),
            ..folder.settings()
        };
        let trail = open(&settings);
        let mut receipts = Vec::new();
        for n in 0..before {
            receipts.extend(call(&trail, n).await);
        }
        let earlier = trail.checkpoint().unwrap();
        for n in before..before + after {
            receipts.extend(call(&trail, n).await);
        }
        trail.keep(trail.checkpoint().unwrap()).await;
        trail.close().await.unwrap();
        Self {
            folder,
            settings,
            earlier,
            receipts,
        }
    }

    /// All that somebody with one earlier checkpoint and the key has.
    fn evidence(&self) -> Evidence {
        Evidence {
            keys: vec![self.settings.signer.as_ref().unwrap().verifier().clone()],
            checkpoints: vec![self.earlier.note.clone()],
            receipts: Vec::new(),
        }
    }

    fn verify(&self, evidence: &Evidence) -> Report {
        verify(&self.settings, evidence, &mut |_, _| ()).unwrap()
    }

    fn change(&self, sql: &str) {
        let connection = Connection::open(self.folder.path()).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// That it is found, and told from the right record on.
    #[track_caller]
    fn found(&self, from: Option<u64>, what: &str) {
        let report = self.verify(&self.evidence());
        let told: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        let first = report.findings.first().expect("something was found");
        assert_eq!(first.record, from, "{told:?}");
        assert!(first.what.contains(what), "{told:?}");
    }
}

fn open(settings: &Settings) -> Trail {
    Trail::open(settings, Clock::system(), Random::system()).unwrap()
}

/// A call that makes a key: an intent and an outcome.
async fn call(trail: &Trail, n: usize) -> Vec<Receipt> {
    let id = format!("key-{n}");
    let mut intent = trail.record(Kind::Intent, &format!("call-{n}"));
    intent.effect = Some("create".to_owned());
    intent.upstream = Some("datadog/us1/main".to_owned());
    intent.caller = Some(Caller {
        issuer: owner("alice").issuer,
        subject: "alice".to_owned(),
        ..Caller::default()
    });
    intent.resource = Some(Resource {
        resource_type: Some("api_key".to_owned()),
        id: Some(id.clone()),
        ..Resource::default()
    });
    let mut outcome = trail.next(&intent, Kind::Outcome);
    outcome.outcome = Some(Outcome::Succeeded);
    outcome.fingerprints = vec![trail.fingerprint(&id)];
    trail.append(intent).await.unwrap();
    let entry = Entry {
        record: outcome,
        projections: vec![created(&id, "alice")],
    };
    let appended = trail.append_for_receipts(vec![entry]).await;
    appended.unwrap().receipts
}

#[tokio::test]
async fn a_trail_as_it_was_left_holds() {
    let stage = Stage::new().await;
    let mut evidence = stage.evidence();
    evidence.receipts = stage.receipts.clone();
    let report = stage.verify(&evidence);
    assert!(report.holds(), "{:?}", report.findings);
    let tree = &report.trees[TRAIL];
    assert_eq!((tree.size, tree.covered, tree.pruned), (18, 18, 0));
    // the earlier one, the one that is kept, and those of the receipts
    assert_eq!(tree.checkpoints, 2 + 9);
    // and goes on to
    let trail = open(&stage.settings);
    call(&trail, 9).await;
    trail.close().await.unwrap();
    assert!(stage.verify(&evidence).holds());
}

#[tokio::test]
async fn every_bit_of_every_record_is_found() {
    let stage = Stage::of(1, 1).await;
    let connection = Connection::open(stage.folder.path()).unwrap();
    connection
        .pragma_update(None, "synchronous", "OFF")
        .unwrap();
    let evidence = stage.evidence();
    for position in 0_u64..4 {
        let key = [position.cast_signed()];
        let select = "SELECT body, leaf FROM records WHERE position = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (body, leaf): (Vec<u8>, Vec<u8>) = connection.query_row(select, key, read).unwrap();
        let put = |column: &str, bytes: &[u8]| {
            let sql = format!("UPDATE records SET {column} = ?1 WHERE position = ?2");
            let changed = connection.execute(&sql, rusqlite::params![bytes, key[0]]);
            assert_eq!(changed.unwrap(), 1);
        };
        for (column, whole) in [("body", &body), ("leaf", &leaf)] {
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                put(column, &flipped);
                let report = stage.verify(&evidence);
                let first = report.findings.first().unwrap();
                assert_eq!(
                    first.record,
                    Some(position),
                    "bit {bit} of {column}: {first}"
                );
            }
            put(column, whole);
        }
    }
    assert!(stage.verify(&evidence).holds());
}

/// Beyond the first stored subtrees, too, one changed record is told as that one.
#[tokio::test]
async fn in_a_long_trail_the_record_is_told_too() {
    let stage = Stage::new().await;
    let trail = open(&stage.settings);
    let records = (0..1000).map(|it| trail.record(Kind::Refused, &it.to_string()).into());
    trail.append_all(records.collect()).await.unwrap();
    trail.keep(trail.checkpoint().unwrap()).await;
    trail.close().await.unwrap();
    let whole = fs::read(stage.folder.path()).unwrap();
    for (sql, from, what) in [
        (
            "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), '\"v\":1', '\"v\":2') AS BLOB) WHERE position = 700;",
            700,
            "its hash was made of",
        ),
        (
            "UPDATE records SET leaf = zeroblob(32) WHERE position = 700;",
            700,
            "its hash was made of",
        ),
        (
            "UPDATE subtrees SET hash = zeroblob(32) WHERE level = 1 AND idx = 2;",
            512,
            "stored hash",
        ),
        (
            "DELETE FROM subtrees WHERE level = 1 AND idx = 2;",
            512,
            "stored hash",
        ),
    ] {
        fs::write(stage.folder.path(), &whole).unwrap();
        stage.change(sql);
        stage.found(Some(from), what);
        assert_eq!(stage.verify(&stage.evidence()).findings.len(), 1, "{sql}");
    }
}

#[tokio::test]
async fn what_is_cut_out_swapped_or_put_in_is_found() {
    let again = "INSERT INTO records SELECT 18, leaf, time, call, request_id, kind, subject,
                     resource_id, body FROM records WHERE position = 3;";
    let swap = "UPDATE records SET position = -1 WHERE position = 4;
                UPDATE records SET position = 4 WHERE position = 7;
                UPDATE records SET position = 7 WHERE position = -1;";
    let make_room = "UPDATE records SET position = -1 - position WHERE position >= 5;
                     UPDATE records SET position = -position WHERE position < 0;";
    for (sql, from, what) in [
        ("DELETE FROM records WHERE position = 5;", 5, "missing"),
        (
            "DELETE FROM records WHERE position BETWEEN 2 AND 8;",
            2,
            "up to 8 are missing",
        ),
        ("DELETE FROM records WHERE position = 0;", 0, "missing"),
        ("DELETE FROM records WHERE position = 17;", 17, "cut off"),
        (
            "DELETE FROM records WHERE position >= 12; DELETE FROM checkpoints;",
            12,
            "",
        ),
        (
            "DELETE FROM records WHERE position >= 11; DELETE FROM checkpoints;",
            11,
            "cut off",
        ),
        (
            "DELETE FROM records; DELETE FROM checkpoints;",
            0,
            "cut off",
        ),
        (again, 18, "twice"),
        (swap, 0, "otherwise"),
        (
            &format!(
                "{make_room} INSERT INTO records SELECT 5, leaf, time, call, request_id, kind,
                 subject, resource_id, body FROM records WHERE position = 3;"
            ),
            0,
            "otherwise",
        ),
    ] {
        let stage = Stage::new().await;
        stage.change(sql);
        if what.is_empty() {
            // cut down to the very checkpoint: what came after it leaves other traces
            let report = stage.verify(&stage.evidence());
            let told: Vec<_> = report.findings.iter().map(|it| it.what.as_str()).collect();
            assert!(told.iter().any(|it| it.contains("not there")), "{told:?}");
        } else {
            stage.found(Some(from), what);
        }
    }
}

#[tokio::test]
async fn a_trail_that_was_written_anew_is_found() {
    // by somebody without the key, and by somebody with it
    for key in ["another", TRAIL] {
        let stage = Stage::new().await;
        let mut settings = stage.settings.clone();
        if key == "another" {
            settings.signer = None;
        }
        fs::remove_file(stage.folder.path()).unwrap();
        let trail = open(&settings);
        for n in 0..9 {
            call(&trail, n).await;
        }
        if let Some(signed) = trail.checkpoint() {
            trail.keep(signed).await;
        }
        trail.close().await.unwrap();
        stage.found(Some(0), "was not signed");
    }
}

#[tokio::test]
async fn what_is_kept_beside_the_records_is_looked_at_too() {
    let changes = [
        "UPDATE keys SET subject = 'mallory' WHERE id = 'key-3';",
        "UPDATE keys SET id = 'another' WHERE id = 'key-3';",
        "DELETE FROM keys WHERE id = 'key-3';",
        "INSERT INTO keys VALUES ('datadog/us1/main', 'api_key', 'x', 'https://issuer', 'alice', 5, NULL);",
        "INSERT INTO keys VALUES ('datadog/us1/main', 'api_key', 'x', 'https://issuer', 'alice', 99, NULL);",
        "UPDATE records SET subject = 'bob' WHERE position = 3;",
        "UPDATE records SET resource_id = NULL WHERE position = 3;",
        "UPDATE records SET time = time + 1 WHERE position = 3;",
        "UPDATE records SET call = 'x' WHERE position = 3;",
        "UPDATE records SET request_id = 'x' WHERE position = 3;",
        "UPDATE spans SET latest = earliest;",
        "UPDATE spans SET earliest = earliest - 1;",
        "INSERT INTO spans VALUES (1, 0, 0);",
        "DELETE FROM spans;",
        "UPDATE records SET kind = 'denied' WHERE position = 3;",
        "DELETE FROM terms WHERE position = 3 AND term LIKE 'f%';",
        "DELETE FROM terms WHERE position = 3 AND term = 'ccall-1';",
        "UPDATE terms SET position = 5 WHERE position = 3 AND term LIKE 'k%';",
        "UPDATE terms SET run = 1 WHERE position = 3;",
        "INSERT INTO terms VALUES (0, 'sbob', 3);",
        "DELETE FROM runs WHERE number = 0;",
        "INSERT INTO runs VALUES (2);",
        "INSERT INTO open_intents VALUES ('call-3', 6);",
        "INSERT INTO unresolved VALUES ('x', 6);",
        // what is no text
        "UPDATE records SET call = CAST(x'ff' AS TEXT) WHERE position = 3;",
        "UPDATE records SET request_id = CAST(x'ff' AS TEXT) WHERE position = 3;",
        "UPDATE keys SET subject = CAST(x'ff' AS TEXT) WHERE id = 'key-3';",
        "UPDATE terms SET term = CAST(x'ff' AS TEXT) WHERE position = 3 AND term LIKE 'k%';",
        "INSERT INTO open_intents VALUES (CAST(x'ff' AS TEXT), 6);",
        "UPDATE checkpoints SET note = CAST(x'ff' AS TEXT);",
    ];
    for sql in changes {
        let stage = Stage::new().await;
        stage.change(sql);
        let report = stage.verify(&stage.evidence());
        assert!(!report.holds(), "{sql}");
    }
}

#[tokio::test]
async fn evidence_of_another_trail_is_told_apart() {
    let stage = Stage::new().await;
    let other = signer("example.com/other");
    let mut evidence = stage.evidence();
    evidence.keys.push(other.verifier().clone());
    let root = stage.earlier.checkpoint.root;
    evidence.checkpoints = vec![
        other.sign(&format!("example.com/other\n3\n{root}\n")),
        other.sign(&format!("{TRAIL}\n3\n{root}\n")),
        "no note".to_owned(),
    ];
    let report = stage.verify(&evidence);
    let told: BTreeSet<_> = report.findings.iter().map(|it| it.what.clone()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    // with no key nothing that is kept beside the records is believed, or found
    let none = stage.verify(&Evidence::default());
    assert!(none.holds());
    assert_eq!(none.trees[TRAIL].checkpoints, 0);
}
