//! What records are found by: the terms in them, in runs.
//!
//! Terms come in no order, so a single index of them all is a tree of which every
//! record touches pages of its own, to be written with the next commit and moved once
//! more later. A run has the terms of some thousand neighbouring records and is written
//! once, sorted, when it is whole. Until then nothing is kept of it: whoever searches
//! reads these records themselves.

use std::{collections::VecDeque, fmt::Write as _};

use rusqlite::{Connection, Transaction, params};
use serde::Deserialize;

use super::view::{COLUMNS, columns};
use crate::audit::store::{Columns, Row, terms::FINGERPRINT};

/// How many records are in a run of a trail that is made now: a search looks into
/// every run. Tests are to meet many.
pub(super) const RUN: u64 = if cfg!(test) {
    8
} else if cfg!(debug_assertions) {
    64
} else {
    4096
};

/// The records whose run is not whole yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// How many records are in a run.
    length: u64,
    runs: VecDeque<Run>,
}

/// A run that is being gathered.
#[derive(Debug)]
pub(super) struct Run {
    number: u64,
    /// How many of its records have come.
    records: u64,
    text: String,
    terms: Vec<Term>,
}

/// A term in a run's text, and whose it is.
#[derive(Clone, Copy, Debug)]
struct Term {
    start: u32,
    end: u32,
    position: u64,
}

impl Pending {
    /// What has no run yet in a trail, up to a whole one: there may be more.
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let mut pending = Self {
            length: length(connection)?,
            runs: VecDeque::new(),
        };
        let from = indexed(connection)?;
        let mut statement = connection.prepare(&format!(
            "SELECT position, body, {COLUMNS} FROM records
             WHERE position >= ?1 ORDER BY position LIMIT ?2"
        ))?;
        let mut rows = statement.query([from, pending.length].map(u64::cast_signed))?;
        while let Some(row) = rows.next()? {
            let position = row.get::<_, i64>(0)?.cast_unsigned();
            match row.get_ref(1)?.as_blob() {
                Ok(body) => {
                    // one that can't be read has none
                    let said = serde_json::from_slice::<Said>(body).unwrap_or_default();
                    pending.add(position, columns(row, 2)?, said.fingerprints.iter());
                }
                // pruned
                Err(_) => pending.run(position).records += 1,
            }
        }
        Ok(pending)
    }

    /// These records are written.
    pub(super) fn written(&mut self, rows: &[Row]) {
        for row in rows {
            self.add(row.index, row.columns(), row.record.fingerprints.iter());
        }
    }

    fn add(
        &mut self,
        position: u64,
        columns: Columns<'_>,
        fingerprints: impl Iterator<Item = impl std::fmt::Display>,
    ) {
        let run = self.run(position);
        run.records += 1;
        for (kind, term) in columns.terms() {
            run.push(kind, &term, position);
        }
        for fingerprint in fingerprints {
            run.push(FINGERPRINT, &fingerprint, position);
        }
    }

    /// The run of a record that comes behind all others.
    fn run(&mut self, position: u64) -> &mut Run {
        let number = position / self.length;
        if self.runs.back().is_none_or(|it| it.number != number) {
            self.runs.push_back(Run {
                number,
                records: 0,
                text: String::new(),
                terms: Vec::new(),
            });
        }
        let last = self.runs.len() - 1;
        &mut self.runs[last]
    }

    /// A record is not to be found any more.
    pub(super) fn forget(&mut self, position: u64) {
        let number = position / self.length;
        for run in self.runs.iter_mut().filter(|it| it.number == number) {
            run.terms.retain(|it| it.position != position);
        }
    }

    /// The first run, once it is whole.
    pub(super) fn whole(&mut self) -> Option<&mut Run> {
        let length = self.length;
        self.runs.front_mut().filter(|it| it.records == length)
    }

    /// The first run is written.
    pub(super) fn done(&mut self) {
        self.runs.pop_front();
    }
}

impl Run {
    fn push(&mut self, kind: char, term: &dyn std::fmt::Display, position: u64) {
        let start = self.text.len();
        // writing to a string can't fail
        let _ = write!(self.text, "{kind}{term}");
        // a run's text is bounded by its records'
        if let (Ok(start), Ok(end)) = (start.try_into(), self.text.len().try_into()) {
            self.terms.push(Term {
                start,
                end,
                position,
            });
        }
    }

    fn text(text: &str, term: Term) -> &str {
        text.get(term.start as usize..term.end as usize)
            .unwrap_or_default()
    }

    /// How much it may take, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        (self.text.len() + 32 * self.terms.len()) as u64
    }

    pub(super) fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let Self {
            number,
            text,
            terms,
            ..
        } = self;
        let number = number.cast_signed();
        terms.sort_unstable_by(|one, other| {
            let texts = (Self::text(text, *one), Self::text(text, *other));
            texts.0.cmp(texts.1).then(one.position.cmp(&other.position))
        });
        let mut insert = transaction.prepare_cached(
            "INSERT OR IGNORE INTO terms (run, term, position) VALUES (?1, ?2, ?3)",
        )?;
        for term in terms {
            let text = Self::text(text, *term);
            insert.execute(params![number, text, term.position.cast_signed()])?;
        }
        transaction
            .prepare_cached("INSERT INTO runs (number) VALUES (?1)")?
            .execute([number])
            .map(drop)
    }
}

/// The part of a record that is in no column.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    fingerprints: Vec<String>,
}

/// A record whose run is written is not to be found any more.
pub(super) fn remove(
    transaction: &Transaction<'_>,
    position: u64,
    columns: Columns<'_>,
    fingerprints: impl Iterator<Item = impl std::fmt::Display>,
) -> rusqlite::Result<()> {
    let run = (position / length(transaction)?).cast_signed();
    let fingerprints = fingerprints.map(|it| format!("{FINGERPRINT}{it}"));
    let terms = columns.terms().map(|(kind, it)| format!("{kind}{it}"));
    let mut delete = transaction
        .prepare_cached("DELETE FROM terms WHERE run = ?1 AND term = ?2 AND position = ?3")?;
    for term in terms.chain(fingerprints) {
        delete.execute(params![run, term, position.cast_signed()])?;
    }
    Ok(())
}

/// How many records are in a run of this trail.
pub(super) fn length(connection: &Connection) -> rusqlite::Result<u64> {
    let length: String = connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'run'")?
        .query_row([], |row| row.get(0))?;
    let length = length.parse().ok().filter(|it| *it > 0);
    length.ok_or(rusqlite::Error::InvalidQuery)
}

/// Behind the last record whose run is written.
pub(super) fn indexed(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(number) FROM runs")?
        .query_row([], |row| row.get(0))?;
    let runs = last.map_or(0, |it| it.cast_unsigned().saturating_add(1));
    Ok(runs.saturating_mul(length(connection)?))
}
