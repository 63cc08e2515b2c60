//! What is appended is there, and says who made which key.

use std::{process::Command, time::Duration};

use super::*;
use crate::tasks::Tasks;

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
    trail.append_detached(vec![trail.record(Kind::Denied, "b").into()]);
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
        trail.append_detached(vec![trail.record(Kind::Outcome, &n.to_string()).into()]);
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
        let entry = Entry {
            record,
            projections: vec![projection],
        };
        trail.append(entry).await.unwrap();
    };
    let owner_at = async |upstream, resource_type, id: &str| {
        let ids = [id.to_owned()];
        let owners = trail.owners(upstream, resource_type, &ids).await;
        owners.unwrap().remove(id)
    };
    let find = async |id| owner_at("datadog/us1/main", "api_key", id).await;
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
        assert_eq!(owner_at(upstream, resource_type, "1").await, None);
    }
}

#[tokio::test]
async fn several_intents_of_a_call_end_with_its_outcome() {
    let folder = Folder::new();
    let trail = folder.open();
    let append = async |trail: &Trail, kind, call: &str| {
        let entries = (0..3).map(|_| trail.record(kind, call).into()).collect();
        trail.append_all(entries).await.unwrap()
    };
    assert_eq!(append(&trail, Kind::Intent, "done").await, Position(0));
    append(&trail, Kind::Outcome, "done").await;
    assert_eq!(append(&trail, Kind::Intent, "lost").await, Position(6));
    trail.close().await.unwrap();
    folder.open().close().await.unwrap();
    let all = folder.all();
    let outcomes = all.iter().filter(|it| it.record.kind == Kind::Outcome);
    let lost = outcomes.filter(|it| it.record.call == "lost");
    let unknown = lost.filter(|it| it.record.outcome == Some(Outcome::Unknown));
    assert_eq!((unknown.count(), all.len()), (3, 12));
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
