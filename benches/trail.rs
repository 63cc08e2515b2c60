//! What a trail does by itself, by `cargo bench --bench trail`: records a second,
//! and how long those wait who verify, search and open a long one.
//!
//! `--records N` says how long it is (10000000 is what the targets are told for;
//! fewer are held to as much less), `--store URL` where (a trail that is there is
//! taken as it is, and stays), `--only PART` leaves the others out: `append`,
//! `verify`, `search`. It ends with 1 if a target is missed.

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
use figures::{Disk, micros, percentile};
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
    let store = value("--store");
    let store: Location = match &store {
        Some(store) => store.parse().unwrap(),
        None => Location::Sqlite(own.path().join("long.db")),
    };
    let key = own.path().join("signing-key.pem");
    std::fs::write(&key, note::generate().unwrap().expose_secret()).unwrap();
    let settings = |store: &Location| Settings {
        store: store.clone(),
        origin: ORIGIN.to_owned(),
        signer: Some(note::Signer::load(&key, ORIGIN).unwrap()),
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
        let short = Location::Sqlite(store.path().unwrap().with_file_name("short.db"));
        runtime.block_on(append(&bench, &settings(&short), &short));
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let name = format!("short.db{suffix}");
            let _ = std::fs::remove_file(store.path().unwrap().with_file_name(name));
        }
    }
    if runs("verify") || runs("search") {
        let settings = settings(&store);
        if !store.path().unwrap().exists() {
            runtime.block_on(fill(&bench, &settings, records));
        }
        let size = Reader::open(&settings).unwrap().end().unwrap().0;
        let bytes = std::fs::metadata(store.path().unwrap()).unwrap().len();
        println!(
            "\na trail of {size} records, {} bytes each with its indexes",
            bytes / size
        );
        if runs("verify") {
            verify(&bench, &store, &settings, size, own.path());
        }
        if runs("search") {
            search(&bench, &store);
            runtime.block_on(reading(&bench, &settings, size));
        }
    }
    ExitCode::from(u8::from(bench.missed.get()))
}

/// Records a second, by how many wait for the disk at once.
async fn append(bench: &Bench, settings: &Settings, store: &Location) {
    let (clock, random) = (bench.clock.clone(), Random::system());
    let trail = Trail::open(settings, clock.clone(), random).unwrap();
    let maker = Maker::new(&trail, 50_000);
    let mut disk = Disk::new(store.path().unwrap().parent().unwrap());
    let mut syncs: Vec<_> = (0..200)
        .map(|_| bench.time(|| disk.sync()).1.as_secs_f64())
        .collect();
    syncs.sort_by(f64::total_cmp);
    let sync = |percent| micros(Duration::from_secs_f64(percentile(&syncs, percent)));
    println!("records a second, each on disk before its caller goes on");
    println!(
        "  4 kB and fdatasync there: {} (p99 {})",
        sync(50),
        sync(99)
    );
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

fn verify(bench: &Bench, store: &Location, settings: &Settings, size: u64, folder: &Path) {
    // whoever made a trail that was here before has signed it
    let key = folder.join("verifier");
    let reader = Reader::open(settings).unwrap();
    let signed = reader.checkpoint(ORIGIN).unwrap().unwrap();
    let signer = settings.signer.as_ref().unwrap().verifier();
    let is_own = Checkpoint::open(&signed, signer).is_ok();
    std::fs::write(&key, signer.to_string()).unwrap();
    let done = Keygate::run(&["verify", "--key", key.to_str().unwrap()], store, "");
    if is_own {
        assert!(done.succeeded, "the trail does not hold: {}", done.text);
    }
    let most = VERIFY.mul_f64(size as f64 / TEN_MILLION as f64);
    // to begin at all takes a while, of a short trail
    let most = most.max(Duration::from_millis(200));
    println!(
        "keygate audit verify   {:>8.2?}, processor {:.2?}, {} MiB resident  {} (at most {most:.1?})",
        done.wall,
        done.cpu,
        done.resident >> 20,
        bench.verdict(done.wall <= most)
    );
}

fn search(bench: &Bench, store: &Location) {
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
        let done = Keygate::run(&all, store, input);
        assert!(done.succeeded, "{}", done.text);
        let verdict = match arguments.first() {
            Some(&"--secret") => bench.verdict(done.wall <= SEARCH),
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
