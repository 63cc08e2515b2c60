//! The disk fails while a gateway starts: it explains itself, or serves.

use super::{
    super::{
        bench::{Bench, CREATE, explains},
        books::Books,
        callers::Told,
    },
    CHANGES, ERRORS, between, counted, done, each, once, under_way,
};
use crate::support::{
    disk::{Errno, Fault, Operation, Part, Seen},
    serve::until,
};

/// How late upstream tells of a change that is under way when it is killed.
const LATE_MS: u64 = 10_000;

/// A disk on which nothing is yet.
async fn first() -> (Bench, Vec<Told>) {
    (Bench::new().await, Vec::new())
}

/// A disk on which a trail was begun, and killed over a change. What was told by then.
async fn next() -> (Bench, Vec<Told>) {
    let bench = Bench::new().await;
    let mut gateway = bench.serve().await;
    let (callers, client) = (bench.callers(), gateway.client());
    for _ in 0..2 {
        assert!(callers.make(&client, CREATE).await);
    }
    let late = under_way(&bench, &gateway, &callers, &[LATE_MS]).await;
    bench.quiet().await;
    gateway.process.kill();
    late.join_all().await;
    (bench, callers.told())
}

/// Counts what is done to the disk by a start.
async fn count((bench, _): (Bench, Vec<Told>)) -> Seen {
    let before = bench.disk.seen();
    let _gateway = bench.serve().await;
    bench.quiet().await;
    let mut of = CHANGES.to_vec();
    of.push(Operation::Open);
    between(&before, &bench.disk.seen(), &of)
}

/// Starts under a fault; the next start serves. Whether it was come to.
async fn case((bench, told): (Bench, Vec<Told>), fault: &Fault) -> bool {
    bench.disk.arm(fault);
    let mut process = bench.start();
    let code = until("it serves, or ends", || {
        process.ended().or_else(|| {
            let serves = process.logged().contains("\"serving\"") && bench.is_quiet();
            serves.then_some(None)
        })
    })
    .await;
    let failed = bench.disk.failed() > 0;
    if let Some(code) = code {
        let logged = process.logged();
        assert_eq!((code, failed), (74, true), "{logged}");
        explains(&logged);
    }
    drop(process);
    let mut books = Books::default();
    let gateway = bench.recover(&mut books).await;
    books.tell(&done(told));
    let (callers, client) = (bench.callers(), gateway.client());
    assert!(callers.make(&client, CREATE).await);
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_on_a_disk_that_fails_explains_itself() {
    let when = "at the first start";
    let counted = counted(when, async || count(first().await).await).await;
    each(when, &counted, ERRORS, async |fault| {
        case(first().await, fault).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_start_after_a_crash() {
    let when = "at a start after a crash";
    let counted = counted(when, async || count(next().await).await).await;
    each(when, &counted, ERRORS, async |fault| {
        case(next().await, fault).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_synced_lets_nothing_be_served() {
    for bench in [first().await.0, next().await.0] {
        bench.disk.arm(&Fault {
            lasting: true,
            ..once(Operation::Sync, Part::Folder, Errno::Eio)
        });
        let mut process = bench.start();
        let code = until("it ends", || process.ended()).await;
        let logged = process.logged();
        assert_eq!(code, Some(74), "{logged}");
        explains(&logged);
        assert!(logged.contains("synced into its folder"), "{logged}");
    }
}
