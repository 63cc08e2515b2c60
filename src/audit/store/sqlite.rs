//! The trail in a SQLite file: one connection that writes.
//!
//! The file has one tree, so a record's position is its place in that tree. What
//! a write has accepted is synced to disk.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use zeroize::Zeroizing;

use self::{files::Watched, room::Room, terms::Pending, view::View};
use super::{Batch, Debt, Store};
use crate::{
    audit::{Error, Fingerprinter, Position, Record},
    random::Random,
};

pub(in crate::audit) mod files;
mod room;
pub(super) mod schema;
mod terms;
pub(super) mod view;
mod writing;

/// From how many pages of the log on they are moved into the file: few enough for an
/// index of one piece. Tests are to see it moved, too.
const LOG: u64 = if cfg!(debug_assertions) { 1000 } else { 2048 };

/// How long a lock that some other program holds is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// A trail in a file that is open for writing.
#[derive(Debug)]
pub(in crate::audit) struct Sqlite {
    // Dropped in this order: the lock goes last.
    connection: Connection,
    path: PathBuf,
    watched: Watched,
    /// The pages of the log that are used.
    log: u64,
    room: Room,
    /// What is not to be found by its terms yet.
    pending: Pending,
    _lock: File,
}

impl Sqlite {
    /// Opens the trail, and makes it if there is none.
    pub(in crate::audit) fn open(path: &Path, origin: &str) -> Result<Self, Error> {
        let path = files::create(path)?;
        let (lock_path, lock) = files::lock(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let mut connection =
            Connection::open_with_flags(&path, flags).map_err(Error::database(&path, "opened"))?;
        // Looked at before anything is written: it may be someone else's file.
        schema::version(&connection, &path)?;
        configure(&connection).map_err(Error::database(&path, "opened"))?;
        schema::migrate(&mut connection, &path, origin)?;
        let known = view::origin(&connection).map_err(Error::database(&path, "read"))?;
        if known != origin {
            return Err(Error::Origin {
                path,
                known,
                wanted: origin.to_owned(),
            });
        }
        let watched = Watched::new([
            path.clone(),
            lock_path,
            files::with_suffix(&path, "-wal"),
            files::with_suffix(&path, "-shm"),
        ])?;
        let page: u32 = connection
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(Error::database(&path, "read"))?;
        let room = Room::new(&path, page.into())?;
        // SQLite syncs the log's name too, and does not tell if that fails
        files::sync_name(&files::with_suffix(&path, "-wal"))?;
        let pending = Pending::open(&connection).map_err(Error::database(&path, "read"))?;
        let mut own = Self {
            connection,
            path,
            watched,
            log: 0,
            room,
            pending,
            _lock: lock,
        };
        own.log = own.checkpoint("NOOP")?;
        while own.write_run(Debt::default())? {
            own.move_log()?;
            let pending = Pending::open(&own.connection);
            own.pending = pending.map_err(Error::database(&own.path, "read"))?;
        }
        Ok(own)
    }

    /// Writes the first run of terms, if it is whole.
    fn write_run(&mut self, debt: Debt) -> Result<bool, Error> {
        let Some(run) = self.pending.whole() else {
            return Ok(false);
        };
        let pages = self.room.pages_of(run.bytes());
        self.room.reserve(self.log, pages, debt)?;
        let written = Error::database(&self.path, "written");
        let transaction = self.connection.transaction().map_err(&written)?;
        run.write(&transaction).map_err(&written)?;
        transaction.commit().map_err(&written)?;
        self.pending.done();
        self.log = self.checkpoint("NOOP")?;
        Ok(true)
    }

    /// Writes all runs of terms that are whole, and sees to the log.
    fn write_runs(&mut self, debt: Debt) -> Result<(), Error> {
        while self.write_run(debt)? {
            self.move_log()?;
        }
        self.move_log()
    }

    /// Moves the log into the file, if it is long.
    fn move_log(&mut self) -> Result<(), Error> {
        if self.log >= LOG {
            self.log = self.checkpoint("PASSIVE")?;
        }
        Ok(())
    }

    /// Moves the log into the file as far as this mode says. How many pages the log
    /// has: they are used until all of them have been moved.
    fn checkpoint(&self, mode: &str) -> Result<u64, Error> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let pages = || -> rusqlite::Result<i64> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([], |row| row.get(1))
        };
        let pages = pages().map_err(Error::database(&self.path, "written"))?;
        // -1 if there is none yet
        Ok(pages.try_into().unwrap_or(0))
    }

    #[cfg(test)]
    pub(in crate::audit) fn pragma(&self, name: &str) -> String {
        use rusqlite::types::Value;
        let value = self
            .connection
            .pragma_query_value(None, name, |row| row.get(0));
        match value.unwrap() {
            Value::Integer(number) => number.to_string(),
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    /// Lets the file grow no further than it is, as a full disk does.
    #[cfg(test)]
    pub(in crate::audit) fn fill(&self) {
        let pages: i64 = self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        self.connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .unwrap();
    }
}

impl Store for Sqlite {
    fn fingerprinter(&mut self, random: &Random) -> Result<Fingerprinter, Error> {
        if let Some(known) = view::fingerprinter(&self.connection, &self.path)? {
            return Ok(known);
        }
        let key = Zeroizing::new(random.bytes::<32>());
        self.connection
            .execute(
                "INSERT INTO fingerprint_keys (version, key) VALUES (1, ?1)",
                [key.as_slice()],
            )
            .map_err(Error::database(&self.path, "written"))?;
        view::fingerprinter(&self.connection, &self.path)?.ok_or_else(|| Error::NotATrail {
            path: self.path.clone(),
        })
    }

    fn open_intents(&mut self) -> Result<Vec<Record>, Error> {
        let read = Error::database(&self.path, "read");
        let mut statement = self
            .connection
            .prepare(
                "SELECT position, body FROM open_intents JOIN records USING (position)
                 ORDER BY position",
            )
            .map_err(&read)?;
        let mut rows = statement.query([]).map_err(&read)?;
        let mut intents = Vec::new();
        while let Some(row) = rows.next().map_err(&read)? {
            let position: i64 = row.get(0).map_err(&read)?;
            let body: Vec<u8> = row.get(1).map_err(&read)?;
            let intent = serde_json::from_slice(&body).map_err(|source| Error::Record {
                store: self.path.display().to_string(),
                position: Position(position.cast_unsigned()),
                source,
            })?;
            intents.push(intent);
        }
        Ok(intents)
    }

    fn write(&mut self, batch: &mut Batch) -> Result<Position, Error> {
        if batch.is_owed {
            self.room.give_up();
        } else {
            let pages = self.room.pages(batch);
            self.room.reserve(self.log, pages, batch.debt)?;
        }
        let written = Error::database(&self.path, "written");
        let transaction = self.connection.transaction().map_err(&written)?;
        writing::write(&transaction, batch).map_err(&written)?;
        transaction.commit().map_err(&written)?;
        // After the commit: what went into a file that is gone is not on disk.
        self.watched.check()?;
        self.log = self.checkpoint("NOOP")?;
        self.pending.written(&batch.rows);
        for removal in &batch.removals {
            self.pending.forget(removal.position.0);
        }
        Ok(Position(
            batch.tree.size() - batch.rows.len().try_into().unwrap_or(u64::MAX),
        ))
    }

    fn tidy(&mut self, debt: Debt) -> Result<(), Error> {
        match self.write_runs(debt) {
            // what is not tidied is found all the same, and the log has its room
            Err(error) if error.is_full() => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the trail can't be tidied");
            }
            tidied => tidied?,
        }
        self.room.reserve(self.log, 0, debt)
    }

    fn look(&mut self) -> Result<(), Error> {
        self.watched.check()?;
        self.room.look()
    }

    fn view(&self) -> Result<Box<dyn super::View>, Error> {
        Ok(Box::new(View::open(&self.path)?))
    }

    /// Moves everything into the one file, so that it can be copied alone.
    fn close(self: Box<Self>) -> Result<(), Error> {
        self.watched.check()?;
        let written = Error::database(&self.path, "written");
        // A reader may hold this up; then the log stays beside the file.
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(&written)?;
        keep_log(&self.connection, false).map_err(&written)?;
        let Self {
            connection, room, ..
        } = *self;
        room.close();
        connection.close().map_err(|(_, source)| written(source))
    }
}

/// Whether closing the connection leaves the log alone.
///
/// A trail that has failed is not touched any more: the log may hold the only
/// copy of what was acknowledged.
fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(|_| ())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(32);
    keep_log(connection, true)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        // On a file system without shared memory SQLite stays in its old mode.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(format!(
                "the file system allows no write-ahead log (mode is {mode})"
            )),
        ));
    }
    // whoever writes decides when the log is moved, and hears of it if that fails
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // a page goes into the log once in a transaction, which bounds its room
    connection.pragma_update(None, "cache_spill", false)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where a plain fsync only reaches the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}
