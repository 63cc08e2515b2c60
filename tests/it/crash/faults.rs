//! The disk fails at any of its operations, or the trail's files are taken away:
//! nothing is done that is not written down, and everyone is told.

use std::{fs, sync::Arc};

use keygate::random::Random;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    below,
    bench::{Bench, ended, ends, explains},
    books::Books,
    callers::Callers,
    seeded, setting,
};
use crate::support::{
    disk::{Errno, Fault, Operation, Part},
    gateway::Process,
    serve::{Gateway, until},
};

const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";

/// How many operations are made to fail as long as anyone waits for; `.ci/run` asks
/// for more.
const CASES: u64 = 48;

/// Gateways at once.
const AT_ONCE: usize = 4;

const ERRORS: [Errno; 3] = [Errno::Eio, Errno::Enospc, Errno::Erofs];

/// What fails while it serves, and what is counted beforehand.
const SERVING: [(Operation, Part); 5] = [
    (Operation::Allocate, Part::Wal),
    (Operation::Write, Part::Wal),
    (Operation::Write, Part::Main),
    (Operation::Sync, Part::Wal),
    (Operation::Sync, Part::Main),
];

/// What fails at a start.
const STARTING: [Operation; 6] = [
    Operation::Open,
    Operation::Write,
    Operation::Sync,
    Operation::Truncate,
    Operation::Allocate,
    Operation::Unlink,
];

fn fault(operations: &[Operation], parts: &[Part], at: u64, error: Errno) -> Fault {
    Fault {
        operations: operations.to_vec(),
        parts: parts.to_vec(),
        at,
        error,
        lasting: false,
    }
}

/// Callers that make keys, until there are so many or nobody answers.
async fn make(callers: &Arc<Callers>, gateway: &Gateway, keys: usize) {
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let (callers, client) = (callers.clone(), gateway.client());
        all.spawn(
            async move { while callers.count() < keys && callers.make(&client, CREATE).await {} },
        );
    }
    all.join_all().await;
}

/// Enough for the log to be moved into the file once.
const ENOUGH: usize = 150;

/// Operations that a few calls come to.
const EARLY: u64 = 40;

/// Serves until something fails; then compares.
async fn serving(bench: &Bench, fault: &Fault) {
    let mut gateway = bench.serve().await;
    let callers = Callers::new(bench.setup.token_of("sandbox-admin", &["admin"]));
    bench.disk.arm(fault);
    let is_early = fault.at <= EARLY && fault.parts != [Part::Main];
    make(&callers, &gateway, if is_early { 24 } else { ENOUGH }).await;
    let answers = callers.told();
    for one in &answers {
        let may_be = ["", "AUDIT_UNAVAILABLE", "OUTCOME_UNKNOWN"];
        assert!(may_be.contains(&one.reason.as_str()), "{fault:?}: {one:?}");
        // the callers give 20 seconds
        assert!(one.took.as_secs() < 5, "{fault:?}: {one:?}");
    }
    // what is still to come would come at the end
    bench.disk.heal();
    let failed = bench.disk.failed() > 0;
    // a disk that is too full to move the log still takes what goes into the log, and
    // one that has no room to spare may have what is needed; but what was written and
    // can't be synced is lost, whatever the reason
    let is_moved = fault.parts == [Part::Main] && fault.operations != [Operation::Sync];
    let is_spared = is_moved || fault.operations == [Operation::Allocate];
    let is_borne = fault.error == Errno::Enospc && is_spared;
    if failed && !is_borne {
        let logged = ended(&mut gateway).await;
        explains(&logged);
    } else {
        // it was not come by
        assert_eq!(gateway.process.terminate(), Some(0), "{fault:?}");
    }
    let mut books = Books::default();
    let _gateway = bench.recover(&mut books).await;
    let told: Vec<_> = answers
        .into_iter()
        .filter(|it| it.reason.is_empty())
        .collect();
    books.tell(&told);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_disk_lets_anything_be_done_unrecorded() {
    let counted = Bench::new().await;
    let gateway = counted.serve().await;
    let callers = Callers::new(counted.setup.token_of("sandbox-admin", &["admin"]));
    let mut all = Vec::new();
    for (operation, part) in SERVING {
        counted
            .disk
            .arm(&fault(&[operation], &[part], 0, Errno::Eio));
        make(&callers, &gateway, ENOUGH).await;
        assert_eq!(callers.told().len() / ENOUGH, 1);
        let there_are = counted.disk.counted();
        println!("{operation:?} of {part:?}: {there_are}");
        // the first ones each, and of what repeats itself some
        let many = (1..=there_are).filter(|at| *at <= EARLY || at % 64 == 0);
        all.extend(many.flat_map(|at| ERRORS.map(|error| fault(&[operation], &[part], at, error))));
    }
    drop(gateway);
    run("while it serves", all, async |bench, fault| {
        serving(&bench, &fault).await
    })
    .await;
}

/// Starts under a fault: it explains itself, or serves; and the next one serves.
async fn starting(bench: &Bench, fault: &Fault, again: bool) {
    let mut books = Books::default();
    let callers = Callers::new(bench.setup.token_of("sandbox-admin", &["admin"]));
    if again {
        let mut gateway = bench.serve().await;
        make(&callers, &gateway, 16).await;
        gateway.process.kill();
    }
    bench.disk.arm(fault);
    let config = bench.setup.config();
    let arguments = ["serve", "--config", config.to_str().unwrap()];
    let mut process = Process::start_in(&arguments, bench.disk.environment());
    let outcome = until("it serves or ends", || {
        if let Some(code) = process.ended() {
            return Some(code);
        }
        process.logged().contains("\"serving\"").then_some(None)
    })
    .await;
    if let Some(code) = outcome {
        let told = process.logged();
        assert_eq!(code, 74, "{fault:?}: {told}");
        assert!(bench.disk.failed() > 0, "{fault:?}: {told}");
        explains(&told);
    }
    drop(process);
    let gateway = bench.recover(&mut books).await;
    books.tell(&callers.told());
    make(&callers, &gateway, 1).await;
    assert_eq!(callers.told()[0].code, "OK", "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_disk_that_fails_explains_itself() {
    let parts = Part::ALL;
    let mut all = Vec::new();
    for again in [false, true] {
        let bench = Bench::new().await;
        if again {
            let mut gateway = bench.serve().await;
            gateway.process.kill();
        }
        for operation in STARTING {
            bench.disk.arm(&fault(&[operation], &parts, 0, Errno::Eio));
            drop(bench.serve().await);
            let there_are = bench.disk.counted();
            println!("{operation:?} at a start ({again}): {there_are}");
            let faults = (1..=there_are)
                .flat_map(|at| ERRORS.map(|error| (fault(&[operation], &parts, at, error), again)));
            all.extend(faults);
            if !again {
                // the next is to be the first again
                for part in [Part::Main, Part::Wal, Part::Shm, Part::Lock] {
                    let _ = fs::remove_file(trail(&bench, part));
                }
            }
        }
    }
    run("at a start", all, async |bench, (fault, again)| {
        starting(&bench, &fault, again).await;
    })
    .await;
}

fn trail(bench: &Bench, part: Part) -> std::path::PathBuf {
    let name = format!("trail.db{}", part.suffix());
    bench.setup.folder.path().join(name)
}

/// Runs cases, some at a time: all of them if there are few or the environment says
/// so, else some by chance.
async fn run<T: Send + 'static>(
    when: &str,
    mut cases: Vec<T>,
    case: impl AsyncFn(Bench, T) + Copy + 'static,
) {
    let (wanted, all) = (setting("KEYGATE_FAULTS").unwrap_or(CASES), cases.len());
    let seed = setting("KEYGATE_CRASH_SEED").unwrap_or_else(|| below(&Random::system(), 1000));
    let random = seeded(seed);
    while cases.len() as u64 > wanted {
        let one = usize::try_from(below(&random, cases.len() as u64)).unwrap();
        cases.swap_remove(one);
    }
    println!(
        "{} of {all} faults {when}, seed {seed}: KEYGATE_FAULTS and KEYGATE_CRASH_SEED set them",
        cases.len()
    );
    let places = Semaphore::new(AT_ONCE);
    let cases = cases.into_iter().map(|it| async {
        let _place = places.acquire().await.unwrap();
        case(Bench::new().await, it).await;
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_taken_away_are_missed_at_once() {
    for part in [Part::Main, Part::Wal, Part::Shm, Part::Lock] {
        for replaced in [false, true] {
            let bench = Bench::new().await;
            let mut gateway = bench.serve().await;
            let file = trail(&bench, part);
            let other = bench.setup.write("other", "another file");
            // nobody calls: it is noticed all the same
            let logged = ends(&mut gateway, async || {
                if replaced {
                    fs::rename(&other, &file).unwrap();
                } else {
                    fs::remove_file(&file).unwrap();
                }
            })
            .await;
            explains(&logged);
            assert!(
                logged.contains(file.file_name().unwrap().to_str().unwrap()),
                "{logged}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_is_noticed_at_once() {
    let bench = Bench::new().await;
    let mut gateway = bench.serve().await;
    let logged = ends(&mut gateway, async || {
        bench
            .disk
            .arm(&fault(&[Operation::Ask], &[Part::Wal], 1, Errno::Erofs));
    })
    .await;
    explains(&logged);
    assert!(logged.contains("make it writable"), "{logged}");
}
