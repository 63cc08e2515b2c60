//! One gateway on a disk that the test holds, before vendors of its own.

use std::{cell::Cell, fs, path::PathBuf};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tempfile::TempDir;

use super::{books::Books, callers::Callers, stalls::Stalls};
use crate::support::{
    disk::{Disk, Operation, Part},
    gateway::{Client, Process},
    serve::{Gateway, Setup, until},
    served::{MAIN, SANDBOX_POLICY},
    upstreams::{Place, Upstreams},
    vendors::DATADOG,
};

/// The service that keys are made with here.
pub(super) const SERVICE: &str = "keygate.datadog.v2.ApiKeyService";

/// What of it makes one.
pub(super) const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";

/// A setup with a disk.
pub(super) struct Bench {
    pub(super) setup: Setup,
    pub(super) upstreams: Upstreams,
    pub(super) disk: Disk,
    pub(super) stalls: Stalls,
    /// How often the log had been looked after before the last start.
    looked: Cell<u64>,
    _notes: TempDir,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let upstreams = Upstreams::start(vec![Place::new(&DATADOG, MAIN)]).await;
        let setup = Setup::new("", &upstreams.config).await;
        setup.write("policy.toml", SANDBOX_POLICY);
        let notes = tempfile::tempdir().unwrap();
        let disk = Disk::below(&setup.folder.path().join("trail.db"), notes.path());
        Self {
            setup,
            upstreams,
            disk,
            stalls: Stalls::start(),
            looked: Cell::new(0),
            _notes: notes,
        }
    }

    /// One that goes on with a trail.
    pub(super) async fn on(begun: &Begun) -> Self {
        let bench = Self::new().await;
        for part in [Part::Main, Part::Wal] {
            let name = bench.file(part);
            let from = begun.folder.path().join(name.file_name().unwrap());
            fs::copy(from, name).unwrap();
        }
        bench
    }

    /// A file of the trail.
    pub(super) fn file(&self, part: Part) -> PathBuf {
        let name = format!("trail.db{}", part.suffix());
        self.setup.folder.path().join(name)
    }

    pub(super) fn callers(&self) -> std::sync::Arc<Callers> {
        Callers::new(self.setup.token_of("sandbox-admin", &["admin"]))
    }

    /// Starts keygate on it.
    pub(super) fn start(&self) -> Process {
        self.looked.set(self.looks());
        let config = self.setup.config();
        let arguments = ["serve", "--config", config.to_str().unwrap()];
        Process::start_in(&arguments, self.disk.environment())
    }

    /// The same, and waits until it serves.
    pub(super) async fn serve(&self) -> Gateway {
        Gateway::of(self.start()).await
    }

    /// How often the log was looked after.
    fn looks(&self) -> u64 {
        self.disk.seen()[&(Operation::Ask, Part::Wal)]
    }

    /// Waits until it is quiet.
    pub(super) async fn quiet(&self) {
        until("it is quiet", || self.is_quiet().then_some(())).await;
    }

    /// Whether nobody but callers has anything to write: all that there is has been
    /// looked after since a start, and is covered by a checkpoint.
    pub(super) fn is_quiet(&self) -> bool {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let trail = Connection::open_with_flags(self.file(Part::Main), flags);
        let covered = trail.and_then(|it| {
            let of = "SELECT (SELECT count(*) FROM records) = (SELECT max(size) FROM checkpoints)";
            it.query_row(of, [], |row| row.get::<_, Option<bool>>(0))
        });
        let looked = self.looks() > self.looked.get();
        // an error is one of a trail that is being begun
        matches!(covered, Ok(Some(true))) && looked
    }

    /// Nothing fails any more: what is in the trail is compared with what the vendors
    /// have received, after a start.
    pub(super) async fn recover(&self, books: &mut Books) -> Gateway {
        self.disk.heal();
        let gateway = self.serve().await;
        books.read(&self.file(Part::Main));
        books.compare(&self.upstreams);
        gateway
    }
}

/// A trail that others begin with: as a kill has left it, and nothing under way.
pub(super) struct Begun {
    folder: TempDir,
    /// What it says.
    pub(super) books: Books,
}

/// What a page takes in the log, and the log before all pages.
const FRAME: u64 = 4096 + 24;
const HEAD: u64 = 32;

impl Begun {
    /// One whose log has so many pages, and hardly more.
    pub(super) async fn with_log(pages: u64) -> Self {
        let bench = Bench::new().await;
        let mut gateway = bench.serve().await;
        let (callers, client) = (bench.callers(), Client::new(gateway.grpc));
        let log = bench.file(Part::Wal);
        for _ in 0..3 {
            assert!(callers.make(&client, CREATE).await);
        }
        bench.quiet().await;
        gateway.process.kill();
        // the rest of it is one page that is written again and again, as it was
        let trail = Connection::open(bench.file(Part::Main)).unwrap();
        let kept = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        trail.set_db_config(kept, true).unwrap();
        let of = "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF";
        trail.execute_batch(of).unwrap();
        let version = "SELECT user_version FROM pragma_user_version";
        let version: i64 = trail.query_row(version, [], |row| row.get(0)).unwrap();
        while fs::metadata(&log).unwrap().len() < HEAD + pages * FRAME {
            for version in [version + 1, version] {
                trail.pragma_update(None, "user_version", version).unwrap();
            }
        }
        drop(trail);
        let folder = tempfile::tempdir().unwrap();
        for part in [Part::Main, Part::Wal] {
            let name = bench.file(part);
            fs::copy(&name, folder.path().join(name.file_name().unwrap())).unwrap();
        }
        let mut books = Books::default();
        books.read(&bench.file(Part::Main));
        books.tell(&callers.told());
        books.turn();
        Self { folder, books }
    }
}

/// It ends as one whose trail has failed. What it logs.
pub(super) async fn ended(gateway: &mut Gateway) -> String {
    let code = until("it ends", || gateway.process.ended()).await;
    let logged = gateway.process.logged();
    assert_eq!(code, Some(74), "{logged}");
    logged
}

/// What tells an operator what to do.
const ADVICE: [&str; 7] = [
    "free some space",
    "make it writable",
    "look into the system's log",
    "restore the newest copy",
    "check its path",
    "put it back",
    "end that program",
];

/// The last line names a file of the trail, and says what to do.
#[track_caller]
pub(super) fn explains(told: &str) {
    let last = told.lines().last().unwrap_or_default();
    let helps = ADVICE.iter().any(|it| last.contains(it));
    assert!(last.contains("trail.db") && helps, "{told}");
}
