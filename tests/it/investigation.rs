//! What an investigator and an operator do with a trail, with the program itself.

mod export;
mod listed;
mod ocsf;
mod page;
mod progress;
mod prune;
mod secrets;

use std::{
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, SystemTime},
};

use keygate::{
    audit::{Location, Order, Query, Reader, Record, Settings, Stored, Trail},
    clock::Clock,
    random::Random,
};
use tempfile::TempDir;

use crate::support::{
    clock::Hand,
    program::{keygate, run_with, told},
    trail::record,
};

const DAY: Duration = Duration::from_secs(86_400);

/// A folder with a trail that the test writes itself.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> String {
        format!("sqlite:{}", self.path("trail.db").display())
    }

    fn settings(&self) -> Settings {
        Settings::at(self.store().parse::<Location>().unwrap())
    }

    /// The trail at a time of day.
    fn open_at(&self, now: SystemTime) -> (Trail, Hand) {
        let hand = Hand::at(now);
        let trail = Trail::open(&self.settings(), hand.clock(), Random::system());
        (trail.unwrap(), hand)
    }

    fn open(&self) -> Trail {
        Trail::open(&self.settings(), Clock::system(), Random::system()).unwrap()
    }

    /// All records, oldest first.
    fn all(&self) -> Vec<Stored> {
        let reader = Reader::open(&self.settings()).unwrap();
        let query = Query {
            order: Order::Oldest,
            ..Query::default()
        };
        reader.records(query).map(Result::unwrap).collect()
    }

    /// A command of keygate's, run in this folder.
    fn keygate(&self, args: &[&str]) -> Command {
        let mut command = keygate(args);
        command.current_dir(self.0.path());
        command
    }

    /// Runs `keygate audit …` on the trail.
    fn audit(&self, args: &[&str]) -> Output {
        self.audit_with(args, b"")
    }

    /// The same with this on standard input.
    fn audit_with(&self, args: &[&str], input: &[u8]) -> Output {
        let store = self.store();
        let (command, rest) = args.split_first().unwrap();
        let all = [&["audit", command, "--store", &store], rest].concat();
        run_with(&mut self.keygate(&all), input)
    }

    /// The calls of the records that `audit list` finds, oldest first.
    #[track_caller]
    fn listed(&self, args: &[&str]) -> Vec<String> {
        let all = [&["list", "--json", "--oldest", "--limit", "1000000"], args].concat();
        let output = self.audit(&all);
        assert!(output.status.success(), "{args:?}: {}", told(&output).1);
        calls(&output)
    }
}

/// The calls of the records that were printed.
fn calls(output: &Output) -> Vec<String> {
    let (text, _) = told(output);
    let records = text
        .lines()
        .map(|it| serde_json::from_str::<Record>(it).unwrap());
    records.map(|it| it.call).collect()
}
