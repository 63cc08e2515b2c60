//! What a trail does by itself, by `cargo bench --bench trail`: records a second,
//! and how long those wait who verify, search and open a long one.
//!
//! `--records N` says how long it is (10000000 is what the targets are told for;
//! fewer are held to as much less), `--store URL` where (a trail that is there is
//! taken as it is, and stays), `--only PART` leaves the others out: `append`,
//! `verify`, `search`. It ends with 1 if a target is missed.
//!
//! A trail in PostgreSQL is measured by naming a database that is for this alone, and
//! a user who owns it; what is written stays in it:
//!
//!     CREATE ROLE bench LOGIN PASSWORD '…';
//!     CREATE DATABASE bench OWNER bench;
//!     cargo bench --bench trail -- --only append --store postgres://bench:…@host/bench
//!
//! Its figures stand beside what a commit of one row takes there, and are held to no
//! target: those are of a file on a disk.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it is a program for the person who reads its figures"
)]

#[path = "trail/command.rs"]
mod command;
#[path = "cost/figures.rs"]
mod figures;
#[path = "trail/place.rs"]
mod place;
#[path = "trail/records.rs"]
mod records;

use std::{cell::Cell, path::Path, process::ExitCode, time::Duration};

use futures_util::{StreamExt as _, future::join_all, stream};
use keygate::{
    audit::{Location, ORIGIN, Reader, Settings, Trail, checkpoint::Checkpoint, note},
    clock::Clock,
    random::Random,
};
use secrecy::ExposeSecret as _;

use command::Keygate;
use figures::{micros, percentile};
use place::Place;
use records::{LEAKED, Maker};

/// How long it may take to verify ten million records.
const VERIFY: Duration = Duration::from_secs(60);
/// How long a search for a leaked key may take, however long the trail is.
const SEARCH: Duration = Duration::from_secs(1);
const TEN_MILLION: u64 = 10_000_000;
/// How many records are handed over at once where a trail is filled.
const PIECE: u64 = 2000;

struct Bench {
    clock: Clock,
    missed: Cell<bool>,
}

impl Bench {
    fn verdict(&self, met: bool) -> &'static str {
        if !met {
            self.missed.set(true);
        }
        if met { "met" } else { "MISSED" }
    }

    fn time<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        let started = self.clock.instant();
        let done = work();
        (done, self.clock.instant() - started)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|it| it == name)?;
        arguments.get(at + 1).cloned()
    };
    let records = value("--records").map_or(200_000, |it| it.parse().unwrap());
    let only = value("--only");
    let runs = |part: &str| only.as_deref().is_none_or(|it| it == part);
    let own = tempfile::tempdir().unwrap();
    let long = || format!("sqlite:{}", own.path().join("long.db").display());
    let place = Place::new(value("--store").unwrap_or_else(long));
    let key = own.path().join("signing-key.pem");
    std::fs::write(&key, note::generate().unwrap().expose_secret()).unwrap();
    let settings = |store: &Location, origin: &str| Settings {
        store: store.clone(),
        origin: origin.to_owned(),
        signer: Some(note::Signer::load(&key, origin).unwrap()),
    };
    let bench = Bench {
        clock: Clock::system(),
        missed: Cell::new(false),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if runs("append") {
        let (short, origin) = place.short();
        let commits = place.commits(&bench.clock);
        runtime.block_on(append(&bench, &settings(&short, origin), commits));
        place.remove_short();
    }
    if runs("verify") || runs("search") {
        let settings = settings(&place.location, ORIGIN);
        if place.size() == 0 {
            runtime.block_on(fill(&bench, &settings, records));
        }
        let all = Reader::open(&settings).unwrap().end().unwrap().0;
        println!(
            "\na trail of {all} records, {} bytes each with its indexes",
            place.bytes() / all
        );
        if runs("verify") {
            verify(&bench, &place, &settings, all, own.path());
        }
        if runs("search") {
            search(&bench, &place);
            runtime.block_on(reading(&bench, &settings, place.size()));
        }
    }
    ExitCode::from(u8::from(bench.missed.get()))
}

/// Records a second, by how many wait for the disk at once.
async fn append(bench: &Bench, settings: &Settings, (what, mut commits): (&str, Vec<f64>)) {
    let (clock, random) = (bench.clock.clone(), Random::system());
    let trail = Trail::open(settings, clock.clone(), random).unwrap();
    let maker = Maker::new(&trail, 50_000);
    commits.sort_by(f64::total_cmp);
    let commit = |percent| micros(Duration::from_secs_f64(percentile(&commits, percent)));
    println!("records a second, each on disk before its caller goes on");
    println!("  {what} there: {} (p99 {})", commit(50), commit(99));
    let number = Cell::new(0);
    for in_flight in [1, 64, 128, 256, 512, 1024] {
        let (count, started) = (Cell::new(0_u32), clock.instant());
        let cpu = command::own_cpu();
        let callers = (0..in_flight).map(async |_| {
            while clock.instant() - started < Duration::from_secs(3) {
                let at = number.replace(number.get() + 1);
                trail.append(maker.entry(at)).await.unwrap();
                count.set(count.get() + 1);
            }
        });
        join_all(callers).await;
        let taken = clock.instant() - started;
        let cpu = command::own_cpu() - cpu;
        println!(
            "  {in_flight:>4} in flight {:>8.0}/s, processor {} a record",
            f64::from(count.get()) / taken.as_secs_f64(),
            micros(cpu / count.get()),
        );
    }
    trail.close().await.unwrap();
}

/// Fills a trail, with checkpoints on the way.
async fn fill(bench: &Bench, settings: &Settings, records: u64) {
    let trail = Trail::open(settings, bench.clock.clone(), Random::system()).unwrap();
    let maker = Maker::new(&trail, records);
    let (started, cpu) = (bench.clock.instant(), command::own_cpu());
    let pieces = (0..records).step_by(usize::try_from(PIECE).unwrap());
    let appended = pieces.map(|from| {
        let entries = (from..records.min(from + PIECE)).map(|it| maker.entry(it));
        let entries: Vec<_> = entries.collect();
        let trail = &trail;
        async move {
            trail.append_all(entries).await.unwrap();
            if from % (100 * PIECE) == 0 {
                trail.keep(trail.checkpoint().unwrap()).await;
            }
        }
    });
    stream::iter(appended)
        .buffered(4)
        .for_each(async |()| ())
        .await;
    trail.keep(trail.checkpoint().unwrap()).await;
    let taken = bench.clock.instant() - started;
    println!(
        "\n{records} records were written in {taken:.1?}, processor {} a record",
        micros((command::own_cpu() - cpu) / u32::try_from(records).unwrap())
    );
    trail.close().await.unwrap();
}

fn verify(bench: &Bench, place: &Place, settings: &Settings, size: u64, folder: &Path) {
    // whoever made a trail that was here before has signed it
    let key = folder.join("verifier");
    let reader = Reader::open(settings).unwrap();
    let signed = reader.checkpoint(ORIGIN).unwrap().unwrap();
    let signer = settings.signer.as_ref().unwrap().verifier();
    let is_own = Checkpoint::open(&signed, signer).is_ok();
    std::fs::write(&key, signer.to_string()).unwrap();
    let arguments = ["verify", "--key", key.to_str().unwrap()];
    let done = Keygate::run(&arguments, &place.url, "");
    if is_own {
        assert!(done.succeeded, "the trail does not hold: {}", done.text);
    }
    let most = VERIFY.mul_f64(size as f64 / TEN_MILLION as f64);
    // to begin at all takes a while, of a short trail
    let most = most.max(Duration::from_millis(200));
    let verdict = match place.is_file() {
        true => format!("{} (at most {most:.1?})", bench.verdict(done.wall <= most)),
        false => String::new(),
    };
    println!(
        "keygate audit verify   {:>8.2?}, processor {:.2?}, {} MiB resident  {verdict}",
        done.wall,
        done.cpu,
        done.resident >> 20,
    );
}

fn search(bench: &Bench, place: &Place) {
    let list: [(&str, &[&str], &str); 10] = [
        ("a leaked key", &["--secret", "-"], LEAKED),
        (
            "a key that nobody had",
            &["--secret", "-"],
            "ab0123456789abcdef0123456789abcd",
        ),
        (
            "a subject",
            &["--subject", "system:serviceaccount:team-7:api"],
            "",
        ),
        (
            "subjects by a pattern",
            &["--subject", "system:*:team-7:*"],
            "",
        ),
        ("a key's id", &["--resource", &records::resource(7)], ""),
        ("a request", &["--request-id", &records::request(70)], ""),
        ("since a time", &["--since", records::LATE], ""),
        ("denials", &["--kind", "denied"], ""),
        (
            "creations of one upstream",
            &["--rpc", "CreateApiKey", "--upstream", "us5"],
            "",
        ),
        (
            "what there is not",
            &["--code", "DATA_LOSS", "--since", records::LATE],
            "",
        ),
    ];
    for (name, arguments, input) in list {
        let mut all = vec!["list", "--json"];
        all.extend(arguments);
        let done = Keygate::run(&all, &place.url, input);
        assert!(done.succeeded, "{}", done.text);
        let verdict = match arguments.first() {
            Some(&"--secret") if place.is_file() => bench.verdict(done.wall <= SEARCH),
            _ => "",
        };
        println!(
            "keygate audit list, {name:26} {:>9.2?}, {:>3} records  {verdict}",
            done.wall,
            done.text.lines().filter(|it| it.starts_with('{')).count()
        );
    }
}

async fn reading(bench: &Bench, settings: &Settings, size: u64) {
    let open = || Trail::open(settings, bench.clock.clone(), Random::system()).unwrap();
    let (trail, taken) = bench.time(open);
    println!("it is opened by a server in {taken:.2?}");
    let reader = Reader::open(settings).unwrap();
    let prove = || reader.inclusion(ORIGIN, size / 3, size).unwrap();
    let (proof, taken) = bench.time(prove);
    println!(
        "one proof, of {} hashes, is made in {taken:.2?}",
        proof.len()
    );
    drop(reader);
    trail.close().await.unwrap();
}
