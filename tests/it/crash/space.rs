//! The disk is full: nothing new is accepted, and what was begun is recorded to its
//! end.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::{
    bench::{Bench, CREATE, ended, explains},
    books::Books,
    callers::{Callers, Told},
};
use crate::support::{
    disk::{Errno, Fault, Operation, Part},
    serve::{Gateway, until},
    upstreams::{inject, requests},
};

/// Changes under way when it happens.
const UNDER_WAY: usize = 64;

/// How long upstream takes for each: longer than it takes to begin them all.
const DELAY_MS: u64 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_recorded_on_a_full_disk() {
    full(&Bench::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_nothing_can_be_allocated() {
    let bench = Bench::new().await;
    bench.disk.arm(&Fault {
        operations: vec![Operation::Allocate],
        parts: vec![Part::Wal, Part::Shm],
        at: 1,
        error: Errno::Eopnotsupp,
        lasting: true,
    });
    full(&bench).await;
    assert!(bench.disk.failed() > 0);
}

async fn full(bench: &Bench) {
    let mut gateway = bench.serve().await;
    let site = bench.upstreams.at("datadog/us1/main");
    let route = "POST /api/v2/api_keys";
    let late = json!({ "route": route, "count": UNDER_WAY, "fault": { "delay_ms": DELAY_MS } });
    inject(site, late);
    let callers = Callers::new(bench.setup.token_of("sandbox-admin", &["admin"]));
    let later = Callers::named("later", bench.setup.token_of("sandbox-admin", &["admin"]));
    let begun = create(&callers, &gateway, UNDER_WAY);
    until("all are under way", || {
        (requests(site).len() == UNDER_WAY).then_some(())
    })
    .await;
    bench.disk.leave(0);

    // what there is room for goes on; then nothing is begun any more
    let (mut told, mut accepted) = (Vec::new(), 0);
    let refused = loop {
        create(&later, &gateway, 1).join_all().await;
        // no answer: it was found to be full before anyone asked
        let Some(one) = later.told().pop() else {
            break "AUDIT_UNAVAILABLE".to_owned();
        };
        if one.code != "OK" {
            break one.reason;
        }
        accepted += 1;
        told.push(one);
        assert!(accepted < 2000, "the disk has no end");
    };
    assert!(bench.disk.refused() > 0);
    assert_eq!(refused, "AUDIT_UNAVAILABLE");
    assert_eq!(requests(site).len(), UNDER_WAY + accepted);
    begun.join_all().await;
    let late = callers.told();
    // each of them has its key, and its record
    assert_eq!(late.len(), UNDER_WAY, "{}", gateway.process.logged());
    let fine = |it: &Told| it.code == "OK" && it.id.is_some();
    assert!(late.iter().all(fine), "{late:#?}");
    told.extend(late);
    let logged = ended(&mut gateway).await;
    explains(&logged);
    assert!(
        logged.contains("the disk is full; free some space"),
        "{logged}"
    );

    // without a start in between: nothing is `unknown`
    let trail = bench.setup.folder.path().join("trail.db");
    let mut books = Books::default();
    books.read(&trail);
    books.tell(&told);
    books.compare(&bench.upstreams);
    assert_eq!(books.outcomes.get("unknown"), None);
    assert_eq!(books.outcomes["succeeded"], UNDER_WAY + accepted);
    println!("{accepted} more were accepted before the disk was full");

    // and with some space it serves again
    let gateway = bench.recover(&mut books).await;
    create(&callers, &gateway, 1).join_all().await;
    assert_eq!(callers.told()[0].code, "OK");
}

/// Begins to make keys, each over a connection of its own.
fn create(callers: &Arc<Callers>, gateway: &Gateway, keys: usize) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for _ in 0..keys {
        let (callers, client) = (callers.clone(), gateway.client());
        all.spawn(async move {
            callers.make(&client, CREATE).await;
        });
    }
    all
}
