//! The disk fails while calls are served.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use super::{
    super::{
        bench::{Begun, Bench, CREATE, SERVICE, ended, explains},
        probe::Probe,
    },
    CHANGES, ERRORS, are_fair, between, done, each, under_way,
};
use crate::support::{
    disk::{Errno, Fault, Operation, Part, Seen},
    gateway::Client,
};

/// What is done to the disk while it serves, and nothing else.
const OPERATIONS: [(Operation, Part); 7] = [
    (Operation::Write, Part::Main),
    (Operation::Write, Part::Wal),
    (Operation::Sync, Part::Main),
    (Operation::Sync, Part::Wal),
    (Operation::Sync, Part::Folder),
    (Operation::Truncate, Part::Main),
    (Operation::Allocate, Part::Wal),
];

/// So many pages are in the log before: in a few calls it is moved into the file, and
/// needs more room before that. What the store says of when (`LOG`) decides about this
/// number.
const PAGES: u64 = 950;

/// How much later upstream tells of a change that is under way.
const LATE_MS: u64 = 400;

/// Rounds of calls after which something that was to happen will not.
const ROUNDS: usize = 60;

/// Counts what is done to the disk from the first of a few calls on until the log has
/// been moved, and a little further.
async fn count(begun: &Begun) -> Seen {
    let bench = Bench::on(begun).await;
    let gateway = bench.serve().await;
    bench.quiet().await;
    let (callers, client) = (bench.callers(), Client::new(gateway.grpc));
    let before = bench.disk.seen();
    let late = under_way(&bench, &gateway, &callers, &[LATE_MS]).await;
    let seen = || between(&before, &bench.disk.seen(), &CHANGES);
    for _ in 0..ROUNDS {
        assert!(callers.round(&client, SERVICE).await);
        if seen().contains_key(&(Operation::Sync, Part::Main)) {
            break;
        }
    }
    // the log begins anew
    assert!(callers.make(&client, CREATE).await);
    late.join_all().await;
    seen()
}

/// Serves until the fault is come to; then compares. Whether it was, and how soon
/// everyone knew who asks.
async fn case(begun: &Begun, fault: &Fault) -> Option<Duration> {
    let bench = Bench::on(begun).await;
    let mut gateway = bench.serve().await;
    bench.quiet().await;
    let (callers, client) = (bench.callers(), Client::new(gateway.grpc));
    let probe = Probe::start(&gateway, &bench.stalls).await;
    bench.disk.arm(fault);
    let late = under_way(&bench, &gateway, &callers, &[LATE_MS]).await;
    for _ in 0..ROUNDS {
        if bench.disk.failed() > 0 || !callers.round(&client, SERVICE).await {
            break;
        }
    }
    late.join_all().await;
    if bench.disk.failed() == 0 {
        return None;
    }
    let fell_at = bench.disk.failed_at();
    let took = if is_borne(fault) {
        bench.disk.heal();
        let answers = probe.finish().await;
        assert!(answers.serves(), "{answers:?}");
        assert!(callers.round(&client, SERVICE).await);
        assert_eq!(gateway.process.terminate(), Some(0));
        Duration::ZERO
    } else {
        explains(&ended(&mut gateway).await);
        probe.finish().await.turn_soon_after(fell_at)
    };
    if fault.error == Errno::Moved && !is_borne(fault) {
        bench.disk.put_back(fault.parts[0]);
    }
    let answers = callers.told();
    are_fair(&bench, &answers, &gateway.process.logged());
    let mut books = begun.books.clone();
    let _gateway = bench.recover(&mut books).await;
    books.tell(&done(answers));
    Some(took)
}

/// A disk that is too full to move the log still takes what goes into the log, and one
/// that has no room to spare may have what is needed. But what was written and can't
/// be synced is lost, whatever the reason. The folder was synced before by keygate itself.
fn is_borne(fault: &Fault) -> bool {
    if fault.parts == [Part::Folder] {
        return true;
    }
    let is_moved = fault.parts == [Part::Main] && fault.operations == [Operation::Write];
    let is_spared = fault.operations == [Operation::Allocate] && !fault.lasting;
    fault.error == Errno::Enospc && (is_moved || is_spared)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_disk_lets_anything_be_done_unrecorded() {
    let begun = &Begun::with_log(PAGES).await;
    // whatever it comes to: others go on until they have come to as much
    let counted = count(begun).await;
    let which: BTreeSet<_> = counted.keys().copied().collect();
    assert_eq!(which, OPERATIONS.into());
    let errors = [ERRORS, &[Errno::Moved]].concat();
    let latest = &Mutex::new(Duration::ZERO);
    each("while it serves", &counted, &errors, async |fault| {
        let took = case(begun, fault).await;
        if let Some(took) = took {
            let mut latest = latest.lock().unwrap();
            *latest = took.max(*latest);
        }
        took.is_some()
    })
    .await;
    println!(
        "it was said to serve for {:?} after a fault at most",
        latest.lock().unwrap()
    );
}
