//! Where the trails are that are measured: in files, or on a server of PostgreSQL.

use std::{fs, path::PathBuf};

use keygate::{
    audit::{Location, ORIGIN, Reader, Settings, postgres::Measure},
    clock::Clock,
};

use super::figures::Disk;

/// The tree that records are appended to, where all trees share one store.
const SHORT: &str = "append";

/// How many commits are timed.
const COMMITS: usize = 200;

/// Where the trails are.
pub(crate) struct Place {
    /// As it is written.
    pub(crate) url: String,
    pub(crate) location: Location,
}

impl Place {
    pub(crate) fn new(url: String) -> Self {
        let location = url.parse().unwrap_or_else(|e| panic!("--store: {e}"));
        let place = Self { url, location };
        if !place.is_file() {
            let trees = place.trees();
            let mut names = trees.iter().map(|(name, _)| name.as_str());
            let others = names.find(|it| ![ORIGIN, SHORT].contains(it));
            // what is made up for a benchmark would stay among what has happened
            assert_eq!(others, None, "--store: that trail is somebody's");
        }
        place
    }

    /// Whether it is a file.
    pub(crate) fn is_file(&self) -> bool {
        self.location.path().is_some()
    }

    /// Where records are appended, and under which name.
    pub(crate) fn short(&self) -> (Location, &'static str) {
        match self.short_file("") {
            Some(path) => (Location::Sqlite(path), ORIGIN),
            None => (self.location.clone(), SHORT),
        }
    }

    fn short_file(&self, suffix: &str) -> Option<PathBuf> {
        let name = format!("short.db{suffix}");
        Some(self.location.path()?.with_file_name(name))
    }

    /// Removes what was appended, if that can be.
    pub(crate) fn remove_short(&self) {
        let suffixes = ["", "-wal", "-shm", ".lock"].into_iter();
        for path in suffixes.filter_map(|it| self.short_file(it)) {
            let _ = fs::remove_file(path);
        }
    }

    /// What it takes there to have a little on the disk, and what is done for that;
    /// in seconds.
    pub(crate) fn commits(&self, clock: &Clock) -> (&'static str, Vec<f64>) {
        match &self.location {
            Location::Sqlite(path) => {
                let mut disk = Disk::new(path.parent().unwrap());
                let sync = |_| {
                    let started = clock.instant();
                    disk.sync();
                    (clock.instant() - started).as_secs_f64()
                };
                ("4 kB and fdatasync", (0..COMMITS).map(sync).collect())
            }
            Location::Postgres(server) => {
                let commits = Measure::connect(server).unwrap().commits(COMMITS, clock);
                let commits = commits.unwrap().into_iter();
                let seconds = commits.map(|it| it.as_secs_f64());
                ("one row and its commit", seconds.collect())
            }
        }
    }

    /// How many records the long trail has.
    pub(crate) fn size(&self) -> u64 {
        let trees = self.trees().into_iter();
        let size = trees.filter(|(name, _)| name == ORIGIN).map(|it| it.1);
        size.sum()
    }

    fn trees(&self) -> Vec<(String, u64)> {
        // one that can't be opened is not there yet, or whoever makes it says why
        let reader = Reader::open(&Settings::at(self.location.clone()));
        reader.map_or_else(|_| Vec::new(), |it| it.origins().unwrap())
    }

    /// How much room all records take.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.location {
            Location::Sqlite(path) => fs::metadata(path).unwrap().len(),
            Location::Postgres(server) => Measure::connect(server).unwrap().bytes().unwrap(),
        }
    }
}
