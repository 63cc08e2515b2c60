//! The trail over real files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::{
    store::sqlite::{Sqlite, files},
    *,
};
use crate::{clock::Clock, random::Random};

mod appending;
mod evidence;
mod failing;
mod opening;
mod reading;
mod records;
mod searching;
mod tampering;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("trail.db")
    }

    fn settings(&self) -> Settings {
        settings(&self.path())
    }

    fn open(&self) -> Trail {
        open(&self.path()).unwrap()
    }

    fn read(&self, query: Query) -> Vec<Stored> {
        let reader = Reader::open(&self.settings()).unwrap();
        reader.records(query).map(Result::unwrap).collect()
    }

    fn all(&self) -> Vec<Stored> {
        self.read(Query {
            order: Order::Oldest,
            ..Query::default()
        })
    }
}

fn settings(path: &Path) -> Settings {
    Settings {
        store: Location::Sqlite(path.to_owned()),
        origin: ORIGIN.to_owned(),
        signer: None,
    }
}

fn open(path: &Path) -> Result<Trail, Error> {
    Trail::open(&settings(path), Clock::system(), Random::system())
}

/// An error and all that is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |it| it.source())
        .map(|it| format!("{it}\n"))
        .collect()
}

fn calls(stored: &[Stored]) -> Vec<&str> {
    stored.iter().map(|it| it.record.call.as_str()).collect()
}

fn created(id: &str, subject: &str) -> Projection {
    Projection::Created {
        upstream: "datadog/us1/main".to_owned(),
        resource_type: "api_key".to_owned(),
        id: id.to_owned(),
        owner: owner(subject),
    }
}

fn owner(subject: &str) -> Owner {
    Owner {
        issuer: "https://issuer".to_owned(),
        subject: subject.to_owned(),
    }
}
