//! The trail's files are taken away, or can't be written to any more, while nobody
//! calls: that is noticed all the same.

use std::fs;

use keygate::clock::Clock;

use super::{
    super::{
        bench::{Bench, ended, explains},
        probe::Probe,
    },
    once,
};
use crate::support::{
    disk::{Errno, Operation, Part},
    serve::Gateway,
};

/// Something happens to the server's trail; then everyone is told soon that it does
/// not serve, and it ends and says why.
async fn ends(bench: &Bench, gateway: &mut Gateway, happens: impl FnOnce()) -> String {
    let probe = Probe::start(gateway, &bench.stalls).await;
    let since = Clock::system().now();
    happens();
    let logged = ended(gateway).await;
    let took = probe.finish().await.turn_soon_after(since);
    println!("it was said to serve for {took:?} after that");
    explains(&logged);
    logged
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_taken_away_are_missed_at_once() {
    for part in [Part::Main, Part::Wal, Part::Shm, Part::Lock] {
        for replaced in [false, true] {
            let bench = Bench::new().await;
            let mut gateway = bench.serve().await;
            let file = bench.file(part);
            let other = bench.setup.write("other", "another file");
            let logged = ends(&bench, &mut gateway, || {
                if replaced {
                    fs::rename(&other, &file).unwrap();
                } else {
                    fs::remove_file(&file).unwrap();
                }
            })
            .await;
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(logged.contains(name), "{logged}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_is_noticed_at_once() {
    let bench = Bench::new().await;
    let mut gateway = bench.serve().await;
    let fault = once(Operation::Ask, Part::Wal, Errno::Erofs);
    let logged = ends(&bench, &mut gateway, || bench.disk.arm(&fault)).await;
    assert!(logged.contains("make it writable"), "{logged}");
}
