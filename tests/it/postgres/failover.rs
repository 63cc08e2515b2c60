//! A standby that follows asynchronously takes over, and lacks records that were
//! acknowledged: nobody goes on as if nothing had happened.

use std::{fs, path::Path};

use keygate::audit::checkpoint;
use tokio_postgres::error::SqlState;

use super::{killed::becomes, proxy::Proxy, *};
use crate::support::serve::until;

/// How many records of an origin a server has.
async fn size(postgres: &Postgres, origin: &str) -> i64 {
    let client = postgres.client(DATABASE).await;
    let size = "SELECT size FROM keygate.origins WHERE origin = $1";
    match client.query_opt(size, &[&origin]).await {
        Ok(row) => row.map_or(0, |it| it.get(0)),
        // the tables have yet to come
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => 0,
        Err(error) => panic!("{error}"),
    }
}

/// Waits until a server has so many records of an origin.
async fn has(postgres: &Postgres, origin: &str, records: i64) {
    let begun = keygate::clock::Clock::system().instant();
    while size(postgres, origin).await < records {
        assert!(begun.elapsed() < crate::support::gateway::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// How many records the newest of the checkpoints in a file covers.
fn covered(kept: &Path) -> usize {
    let notes = checkpoint::notes(&fs::read_to_string(kept).unwrap_or_default());
    let newest = notes.last().and_then(|it| it.lines().nth(1)?.parse().ok());
    newest.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_lacks_acknowledged_records_is_found_out() {
    let mut stage = Stage::start().await;
    let replicating = Proxy::start(stage.postgres.socket());
    let standby = stage.postgres.standby(replicating.socket()).await;

    // both replicas reach whichever server it is at the same address
    let way = Proxy::start(stage.postgres.socket());
    let url = stage.postgres.url(DATABASE, DATABASE);
    let url = way.url(&url, stage.postgres.socket());
    let replica = |origin: &str| {
        let config = stage.replica_at(origin, &url, ", reconnect = \"60s\"");
        let text = fs::read_to_string(&config).unwrap();
        let kept = format!("checkpoints = {{ stdout = false, file = \"kept-{origin}.txt\" }}");
        let text = text.replace("checkpoints = { stdout = false }", &kept);
        stage.setup.write(&format!("{origin}.toml"), &text)
    };
    let (one, two) = (replica("one"), replica("two"));
    let kept = |origin: &str| {
        let name = format!("kept-{origin}.txt");
        stage.setup.folder.path().join(name)
    };
    let mut first = Gateway::start(&one).await;
    let mut second = Gateway::start(&two).await;
    let token = stage.token();
    make(&first.client(), &token, "made-early").await.ok();
    make(&second.client(), &token, "made-beside").await.ok();
    has(&standby, "one", 2).await;
    has(&standby, "two", 2).await;

    // the standby falls behind, and nobody waits for it
    replicating.close();
    for name in ["made-late", "made-later", "made-last"] {
        make(&first.client(), &token, name).await.ok();
    }
    let acknowledged = records(&one, &[]);
    assert_eq!(acknowledged.len(), 10);
    until("a checkpoint covers them", || {
        (covered(&kept("one")) == 8 && covered(&kept("two")) == 2).then_some(())
    })
    .await;
    stage.verified(&["one", "two"]);

    // the server is lost, and for as long as the standby follows it is waited for
    tokio::task::block_in_place(|| stage.postgres.kill());
    way.lead_to(standby.socket());
    for gateway in [&first, &second] {
        becomes(gateway, false).await;
    }
    assert_eq!(first.process.ended(), None);
    assert_eq!(size(&standby, "one").await, 2);
    let promoted = standby.client(SUPERUSER).await;
    let promoted = promoted.query_one("SELECT pg_promote()", &[]).await;
    assert!(promoted.unwrap().get::<_, bool>(0));
    stage.postgres = standby;

    let exit = until("whose records are lost ends", || first.process.ended()).await;
    let told = first.process.logged();
    assert_eq!(exit, Some(74), "{told}");
    let lost = "the database holds 2 records of `one`, where 8 were acknowledged";
    assert!(told.contains(lost), "{told}");
    assert!(told.contains("restored from an older copy"), "{told}");
    // who has lost none goes on
    let begun = keygate::clock::Clock::system().instant();
    while make(&second.client(), &token, "made-after")
        .await
        .result
        .is_err()
    {
        assert_eq!(second.process.ended(), None, "{}", second.process.logged());
        assert!(begun.elapsed() < crate::support::gateway::PATIENCE);
    }

    // what is there fits together: only what was kept elsewhere tells what is not
    let found = records(&one, &[]);
    assert!(acknowledged.len() > found.iter().filter(|it| acknowledged.contains(it)).count());
    stage.verified(&["one", "two"]);
    for (origin, holds) in [("one", false), ("two", true)] {
        let file = kept(origin);
        let more = ["--checkpoints", file.to_str().unwrap()];
        let output = stage.verify(&["one", "two"], &more);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        let expected = if holds { 0 } else { 65 };
        assert_eq!(output.status.code(), Some(expected), "{told}");
        if !holds {
            assert!(told.contains("one: from record 2 on"), "{told}");
        }
    }

    // and whoever has found out starts it again: it goes on with what is there
    let again = Gateway::start(&one).await;
    make(&again.client(), &token, "made-again").await.ok();
    assert_eq!(size(&stage.postgres, "one").await, 4);
    stage.verified(&["one", "two"]);
}
