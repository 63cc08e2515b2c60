//! What the trail costs a call, by `cargo bench --bench cost`: throughput with it
//! and without it, and what it adds to the latency of one call beside the disk's
//! own sync.
//!
//! Three servers of one program, each a process: one with a trail as in production
//! (synced, signed), two that keep nothing and do no work for it. They are asked in
//! turns (A-B-B-A), and the two that are alike show how far the machine can be
//! believed. Upstream answers at once. It ends with 1 if a target is missed.
//!
//! `--pairs N` and `--burst MS` ask longer; `--folder DIR` puts the trail elsewhere.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it is a program for the person who reads its figures"
)]

#[path = "cost/caller.rs"]
mod caller;
#[path = "cost/figures.rs"]
mod figures;
#[path = "cost/servers.rs"]
mod servers;
#[path = "cost/upstream.rs"]
mod upstream;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use keygate::{clock::Clock, tasks::Tasks};

use caller::{Caller, Kind};
use figures::{Disk, micros, percentile};
use servers::{Folder, Server};

/// How much of the throughput without a trail has to be left with one.
const TARGET: f64 = 0.80;
/// How far two servers that are alike may differ for the figures to count.
const ALIKE: f64 = 0.03;
const IN_FLIGHT: usize = 128;
const CONNECTIONS: usize = 8;
/// How many calls, one after the other, the latency is told of.
const ONE_BY_ONE: usize = 1500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, kind, config] = arguments.as_slice()
        && first == "--server"
    {
        servers::serve(kind, config);
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|it| it == name)?;
        arguments.get(at + 1)
    };
    let number = |name: &str, default: u64| value(name).map_or(default, |it| it.parse().unwrap());
    let pairs = usize::try_from(number("--pairs", 12)).unwrap();
    let burst = Duration::from_millis(number("--burst", 400));
    let folder = value("--folder").map(PathBuf::from);
    let pinned = servers::pin_here();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let held = runtime.block_on(run(pairs, burst, folder, pinned));
    ExitCode::from(u8::from(!held))
}

async fn run(pairs: usize, burst: Duration, folder: Option<PathBuf>, pinned: bool) -> bool {
    let tasks = Tasks::new();
    let upstream = upstream::start(&tasks).await;
    let folder = Folder::new(folder, upstream, &tasks).await;
    println!("what the trail costs, {IN_FLIGHT} calls in flight, upstream answers at once");
    println!("trail in {}", folder.path().display());
    match pinned {
        true => println!("each server has a processor, all else another"),
        false => println!("nothing is pinned: no taskset here, or a single processor"),
    }
    let kept = Server::start("kept", &folder).await;
    let unkept = Server::start("unkept", &folder).await;
    let same = Server::start("unkept", &folder).await;
    let mut held = true;
    for kind in [Kind::Read, Kind::Mutation] {
        let mut callers = Vec::new();
        for server in [&kept, &unkept, &same] {
            let token = folder.token();
            let caller = Caller::connect(server, CONNECTIONS, kind, token, &tasks).await;
            // caches, connections upstream, and the log's first growth
            caller.burst(IN_FLIGHT, Duration::from_millis(1500)).await;
            callers.push(caller);
        }
        let [kept, unkept, same] = callers.as_slice() else {
            unreachable!("there are three")
        };
        println!("\n{}", kind.title());
        held &= compare("audited against unaudited", kept, unkept, pairs, burst)
            .await
            .tell(Some(TARGET));
        let control = compare("unaudited against itself", same, unkept, pairs, burst).await;
        held &= control.tell(None);
        if (control.throughput() - 1.0).abs() > ALIKE {
            println!("  two that are alike differ by more: the machine is not quiet enough");
            held = false;
        }
    }
    println!("\nlatency, 1 call in flight, {ONE_BY_ONE} of each");
    for kind in [Kind::Read, Kind::Mutation] {
        latency(kind, &folder, &kept, &unkept, &tasks).await;
    }
    tasks.stop();
    held
}

/// What pairs of bursts said about two servers.
struct Compared {
    name: &'static str,
    /// Calls a second of both, and their quotient, pair by pair.
    pairs: Vec<(f64, f64)>,
    /// Processor time a call of both.
    cpu: (Duration, Duration),
}

async fn compare(
    name: &'static str,
    one: &Caller<'_>,
    other: &Caller<'_>,
    pairs: usize,
    burst: Duration,
) -> Compared {
    let (mut all, mut calls) = (Vec::new(), (0_u32, 0_u32));
    let mut cpu = (Duration::ZERO, Duration::ZERO);
    for _ in 0..pairs {
        let mut rates = [0.0; 4];
        for (at, rate) in rates.iter_mut().enumerate() {
            let of = if matches!(at, 0 | 3) { one } else { other };
            let found = of.burst(IN_FLIGHT, burst).await;
            *rate = found.rate;
            let (calls, cpu) = match at {
                0 | 3 => (&mut calls.0, &mut cpu.0),
                _ => (&mut calls.1, &mut cpu.1),
            };
            *calls += found.calls;
            *cpu += found.cpu;
        }
        all.push((
            (rates[0] + rates[3]) / 2.0,
            f64::midpoint(rates[1], rates[2]),
        ));
    }
    Compared {
        name,
        pairs: all,
        cpu: (cpu.0 / calls.0, cpu.1 / calls.1),
    }
}

impl Compared {
    fn sorted(&self, of: impl Fn(&(f64, f64)) -> f64) -> Vec<f64> {
        let mut all: Vec<_> = self.pairs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    fn throughput(&self) -> f64 {
        percentile(&self.sorted(|(one, other)| one / other), 50)
    }

    /// Tells it, and whether the target is met.
    fn tell(&self, target: Option<f64>) -> bool {
        let ratios = self.sorted(|(one, other)| one / other);
        let (low, high) = (percentile(&ratios, 10), percentile(&ratios, 90));
        let median = self.throughput();
        let rates = [
            percentile(&self.sorted(|it| it.0), 50),
            percentile(&self.sorted(|it| it.1), 50),
        ];
        let verdict = match target {
            Some(target) if median < target => "MISSED",
            Some(_) => "met",
            None => "",
        };
        println!(
            "  {:25} {median:.3} ({low:.3} to {high:.3})  {:.0}/s against {:.0}/s, \
             processor {} against {} a call  {verdict}",
            self.name,
            rates[0],
            rates[1],
            micros(self.cpu.0),
            micros(self.cpu.1),
        );
        verdict != "MISSED"
    }
}

async fn latency(kind: Kind, folder: &Folder, kept: &Server, unkept: &Server, tasks: &Tasks) {
    let clock = Clock::system();
    let kept = Caller::connect(kept, 1, kind, folder.token(), tasks).await;
    let unkept = Caller::connect(unkept, 1, kind, folder.token(), tasks).await;
    let mut disk = Disk::new(folder.path());
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..ONE_BY_ONE {
        for (at, samples) in taken.iter_mut().enumerate() {
            let started = clock.instant();
            match at {
                0 => kept.one().await,
                1 => unkept.one().await,
                _ => disk.sync(),
            }
            samples.push((clock.instant() - started).as_secs_f64());
        }
    }
    let [kept, unkept, disk] = taken.map(|mut it| {
        it.sort_by(f64::total_cmp);
        [50, 99].map(|at| percentile(&it, at))
    });
    let show = |seconds: f64| micros(Duration::from_secs_f64(seconds.max(0.0)));
    println!("  {}", kind.title());
    for (at, name) in ["median", "p99"].into_iter().enumerate() {
        println!(
            "    {name:6} {:>9} audited, {:>9} unaudited: {:>9} added; \
             4 kB and fdatasync there {:>9}, so {:.2} of them",
            show(kept[at]),
            show(unkept[at]),
            show(kept[at] - unkept[at]),
            show(disk[at]),
            (kept[at] - unkept[at]) / disk[at],
        );
    }
}
