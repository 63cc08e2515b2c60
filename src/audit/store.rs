//! The trail in a SQLite file: one connection that writes.
//!
//! A [`Store`] promises that what [`Store::write`] accepted is synced to disk, in
//! one transaction. It knows no queue and no thread.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, config::DbConfig, params};
use zeroize::Zeroizing;

use super::{
    Entry, Error, Fingerprinter, Kind, Position, Projection, Record,
    files::{self, Watched},
    fingerprint::VersionedKey,
    schema,
};
use crate::random::Random;

/// How long a lock that some other program holds is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// A trail that is open for writing.
#[derive(Debug)]
pub(super) struct Store {
    // Dropped in this order: the lock goes last.
    connection: Connection,
    path: PathBuf,
    watched: Watched,
    next: u64,
    _lock: File,
}

impl Store {
    /// Opens the trail, and makes it if there is none.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
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
        schema::migrate(&mut connection, &path)?;
        let next = connection
            .query_row(
                "SELECT coalesce(max(position) + 1, 0) FROM records",
                [],
                |row| row.get::<_, i64>(0),
            )
            .map_err(Error::database(&path, "read"))?;
        let watched = Watched::new([
            path.clone(),
            lock_path,
            files::with_suffix(&path, "-wal"),
            files::with_suffix(&path, "-shm"),
        ])?;
        Ok(Self {
            connection,
            path,
            watched,
            next: next.cast_unsigned(),
            _lock: lock,
        })
    }

    /// Where the trail really is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The retained fingerprint keys; the first one is made here.
    pub(super) fn fingerprinter(&self, random: &Random) -> Result<Fingerprinter, Error> {
        if let Some(known) = fingerprinter(&self.connection, &self.path)? {
            return Ok(known);
        }
        let key = Zeroizing::new(random.bytes::<32>());
        self.connection
            .execute(
                "INSERT INTO fingerprint_keys (version, key) VALUES (1, ?1)",
                [key.as_slice()],
            )
            .map_err(Error::database(&self.path, "written"))?;
        fingerprinter(&self.connection, &self.path)?.ok_or_else(|| Error::NotATrail {
            path: self.path.clone(),
        })
    }

    /// The intents that have no terminal record, in their order.
    pub(super) fn open_intents(&self) -> Result<Vec<Record>, Error> {
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
                path: self.path.clone(),
                position: Position(position.cast_unsigned()),
                source,
            })?;
            intents.push(intent);
        }
        Ok(intents)
    }

    /// Writes all entries in one synced transaction, or none, and says where each
    /// of them is.
    pub(super) fn write(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Vec<Position>, Error> {
        let mut next = self.next;
        let mut positions = Vec::new();
        let written = Error::database(&self.path, "written");
        let transaction = self.connection.transaction().map_err(&written)?;
        for Entry {
            record,
            projections,
        } in entries
        {
            let row = Row::new(record, next)?;
            row.insert(&transaction, &projections).map_err(&written)?;
            positions.push(Position(next));
            next += 1;
        }
        transaction.commit().map_err(&written)?;
        // After the commit: what went into a file that is gone is not on disk.
        self.watched.check()?;
        self.next = next;
        Ok(positions)
    }

    /// Moves everything into the one file, so that it can be copied alone.
    pub(super) fn close(self) -> Result<(), Error> {
        self.watched.check()?;
        let written = Error::database(&self.path, "written");
        // A reader may hold this up; then the log stays beside the file.
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(&written)?;
        keep_log(&self.connection, false).map_err(&written)?;
        self.connection
            .close()
            .map_err(|(_, source)| written(source))
    }

    #[cfg(test)]
    pub(super) fn pragma(&self, name: &str) -> String {
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
    pub(super) fn fill(&self) {
        let pages: i64 = self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        self.connection
            .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .unwrap();
    }
}

/// Whether closing the connection leaves the log alone.
///
/// A trail that has failed is not touched any more: the log may hold the only
/// copy of what was acknowledged.
pub(super) fn keep_log(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(|_| ())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
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
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Where a plain fsync only reaches the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// The retained fingerprint keys; `None` if the trail has none yet.
pub(super) fn fingerprinter(
    connection: &Connection,
    path: &Path,
) -> Result<Option<Fingerprinter>, Error> {
    let keys = || -> rusqlite::Result<Vec<VersionedKey>> {
        connection
            .prepare("SELECT version, key FROM fingerprint_keys ORDER BY version")?
            .query_map([], |row| Ok((row.get(0)?, Zeroizing::new(row.get(1)?))))?
            .collect()
    };
    Ok(Fingerprinter::new(
        &keys().map_err(Error::database(path, "read"))?,
    ))
}

/// A record on its way into the tables.
struct Row {
    position: i64,
    call: String,
    kind: Kind,
    fingerprints: Vec<String>,
    body: Vec<u8>,
}

impl Row {
    fn new(record: Record, position: u64) -> Result<Self, Error> {
        Ok(Self {
            position: position.cast_signed(),
            call: record.call.clone(),
            kind: record.kind,
            fingerprints: record
                .fingerprints
                .iter()
                .map(ToString::to_string)
                .collect(),
            body: record.encode().map_err(Error::Encode)?,
        })
    }

    fn insert(
        &self,
        transaction: &Transaction<'_>,
        projections: &[Projection],
    ) -> rusqlite::Result<()> {
        let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
            transaction.prepare_cached(sql)?.execute(values).map(|_| ())
        };
        run(
            "INSERT INTO records (position, call, kind, body) VALUES (?1, ?2, ?3, ?4)",
            params![self.position, self.call, self.kind.name(), self.body],
        )?;
        for fingerprint in &self.fingerprints {
            run(
                "INSERT OR IGNORE INTO fingerprints (fingerprint, position) VALUES (?1, ?2)",
                params![fingerprint, self.position],
            )?;
        }
        match self.kind {
            Kind::Intent => run(
                "INSERT INTO open_intents (call, position) VALUES (?1, ?2)",
                params![self.call, self.position],
            )?,
            Kind::Outcome | Kind::Denied | Kind::Refused => run(
                "DELETE FROM open_intents WHERE call = ?1",
                params![self.call],
            )?,
        }
        projections.iter().try_for_each(|it| match it {
            // A key that exists keeps its owner: whoever answers a second create
            // with an id that is in use must not take it over.
            Projection::Created {
                upstream,
                resource_type,
                id,
                owner,
            } => run(
                "INSERT INTO keys (upstream, type, id, issuer, subject, position)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject,
                     position = excluded.position, removed = NULL
                 WHERE removed IS NOT NULL",
                params![
                    upstream,
                    resource_type,
                    id,
                    owner.issuer,
                    owner.subject,
                    self.position
                ],
            ),
            Projection::Removed {
                upstream,
                resource_type,
                id,
            } => run(
                "UPDATE keys SET removed = ?4 WHERE upstream = ?1 AND type = ?2 AND id = ?3",
                params![upstream, resource_type, id, self.position],
            ),
        })
    }
}
