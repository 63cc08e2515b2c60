//! The tables of a trail in SQLite, and which version of them a file has.

use std::path::Path;

use rusqlite::Connection;

use super::Error;

/// The newest version of the tables, kept in `user_version`.
pub(super) const VERSION: i64 = 2;

/// Marks the file as keygate's: `kgat`, kept in `application_id`.
const APPLICATION: i64 = 0x6b67_6174;

/// `records.body` holds the exact bytes of a record. `keys` says who made which
/// key, `open_intents` which calls have no terminal record yet, `fingerprints`
/// which records hold a fingerprint: all three are projections of `records`.
const TABLES: &str = "
    CREATE TABLE records (
        position INTEGER PRIMARY KEY,
        call TEXT NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE keys (
        upstream TEXT NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        issuer TEXT NOT NULL,
        subject TEXT NOT NULL,
        position INTEGER NOT NULL,
        removed INTEGER,
        PRIMARY KEY (upstream, type, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE open_intents (
        call TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (call, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE fingerprints (
        fingerprint TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (fingerprint, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE fingerprint_keys (
        version INTEGER PRIMARY KEY,
        key BLOB NOT NULL
    ) STRICT;
";

/// From version 1 to 2: a call may have several intents, one for each of its keys.
const TO_2: &str = "
    ALTER TABLE open_intents RENAME TO old_intents;
    CREATE TABLE open_intents (
        call TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (call, position)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO open_intents SELECT call, position FROM old_intents;
    DROP TABLE old_intents;
";

/// The version of the tables in this file; 0 if it is empty.
///
/// # Errors
/// [`Error`] if the file is not a trail, or one of a newer keygate.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, Error> {
    let read = Error::database(path, "read");
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let found = number("user_version").map_err(&read)?;
    let application = number("application_id").map_err(&read)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(&read)?;
    match (application, found) {
        (0, 0) if tables == 0 => Ok(0),
        (APPLICATION, 1..=VERSION) => Ok(found),
        (APPLICATION, newer) if newer > VERSION => Err(Error::Newer {
            path: path.to_owned(),
            found: newer,
            known: VERSION,
        }),
        _ => Err(Error::NotATrail {
            path: path.to_owned(),
        }),
    }
}

/// Brings the tables to the newest version.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let steps = match version(connection, path)? {
        0 => TABLES,
        1 => TO_2,
        _ => return Ok(()),
    };
    let mut migrate = || {
        let transaction = connection.transaction()?;
        transaction.execute_batch(steps)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    };
    migrate().map_err(Error::database(path, "written"))
}
