//! The disk fails while a gateway ends in order, with calls under way.

use std::collections::BTreeSet;

use super::{
    super::{
        bench::{Begun, Bench, explains},
        callers::Callers,
    },
    CHANGES, ERRORS, are_fair, between, counted, done, each, once, under_way,
};
use crate::support::{
    disk::{Errno, Fault, Operation, Part, Seen},
    serve::{Gateway, until},
};

/// What is done to the disk at an end, and nothing else.
const OPERATIONS: [(Operation, Part); 6] = [
    (Operation::Write, Part::Main),
    (Operation::Write, Part::Wal),
    (Operation::Sync, Part::Main),
    (Operation::Sync, Part::Wal),
    (Operation::Truncate, Part::Main),
    (Operation::Truncate, Part::Wal),
];

/// So many pages are in the log before.
const PAGES: u64 = 40;

/// How much later upstream tells of the changes that are under way: longer than it
/// takes until there is nothing else to write, and of one so much later that a checkpoint
/// of the other comes between.
const LATE_MS: [u64; 2] = [900, 1600];

/// Asks a gateway to end that has changes under way, and waits. Its exit code.
async fn end(
    bench: &Bench,
    gateway: &mut Gateway,
    callers: &std::sync::Arc<Callers>,
    before: impl FnOnce(),
) -> Option<i32> {
    let late = under_way(bench, gateway, callers, &LATE_MS).await;
    bench.quiet().await;
    before();
    gateway.process.ask_to_end();
    let code = until("it ends", || gateway.process.ended()).await;
    late.join_all().await;
    code
}

async fn count(begun: &Begun) -> Seen {
    let bench = Bench::on(begun).await;
    let mut gateway = bench.serve().await;
    let callers = bench.callers();
    let mut before = Seen::new();
    let note = || before = bench.disk.seen();
    let code = end(&bench, &mut gateway, &callers, note).await;
    assert_eq!(code, Some(0));
    between(&before, &bench.disk.seen(), &CHANGES)
}

/// Ends under a fault; then compares. Whether it was come to.
async fn case(begun: &Begun, fault: &Fault) -> bool {
    let bench = Bench::on(begun).await;
    let mut gateway = bench.serve().await;
    let callers = bench.callers();
    let arm = || bench.disk.arm(fault);
    let code = end(&bench, &mut gateway, &callers, arm).await;
    if bench.disk.failed() == 0 {
        return false;
    }
    let logged = gateway.process.logged();
    if fault.operations == [Operation::Close] {
        // what is closed was synced before
        assert_eq!(code, Some(0), "{logged}");
    } else {
        assert_eq!(code, Some(74), "{logged}");
        explains(&logged);
    }
    let answers = callers.told();
    are_fair(&bench, &answers, &logged);
    // whoever had a call under way was told what became of it
    assert_eq!(answers.len(), LATE_MS.len(), "{answers:?}: {logged}");
    let mut books = begun.books.clone();
    let _gateway = bench.recover(&mut books).await;
    books.tell(&done(answers));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_disk_at_an_end_loses_what_anyone_was_told() {
    let begun = &Begun::with_log(PAGES).await;
    let counted = counted("at an end", async || count(begun).await).await;
    let which: BTreeSet<_> = counted.keys().copied().collect();
    assert_eq!(which, OPERATIONS.into());
    each("at an end", &counted, ERRORS, async |fault| {
        case(begun, fault).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_no_file_can_be_closed() {
    let begun = Begun::with_log(PAGES).await;
    // in which order they are closed, and which by the process's end, is not told
    let fault = Fault {
        parts: Part::ALL.into(),
        lasting: true,
        ..once(Operation::Close, Part::Main, Errno::Eio)
    };
    assert!(case(&begun, &fault).await);
}
