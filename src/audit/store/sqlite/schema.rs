//! The tables of a trail in SQLite, and which version of them a file has.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::terms::RUN;
use crate::audit::{
    Error, Record, record,
    store::SPAN,
    tree::{Frontier, Hash},
};

/// The newest version of the tables, kept in `user_version`.
pub(super) const VERSION: i64 = 4;

/// Marks the file as keygate's: `kgat`, kept in `application_id`.
const APPLICATION: i64 = 0x6b67_6174;

/// `records.body` holds the exact bytes of a record, and `records.leaf` their hash
/// in the tree; the body alone goes when a record is pruned. What else there is
/// follows from these two: columns and tables to find records by, `keys` (who made
/// which key), `open_intents` (which calls have no terminal record yet),
/// `unresolved` (of which nobody knows what they did) and `subtrees` (roots of
/// complete subtrees of 256 to the power of `level` leaves). `checkpoints` holds
/// the signed notes that were sent out.
///
/// No record has an index of its own to be written with it: `spans` tell the times
/// of [`SPAN`] records, and `terms` come in `runs` (see [`terms`](super::terms)). A
/// `request_id` is kept where it is not the call's id.
const TABLES: &str = "
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE records (
        position INTEGER PRIMARY KEY,
        leaf BLOB NOT NULL,
        time INTEGER NOT NULL,
        call TEXT NOT NULL,
        request_id TEXT,
        kind TEXT NOT NULL,
        subject TEXT,
        resource_id TEXT,
        body BLOB
    ) STRICT;
    CREATE TABLE subtrees (
        level INTEGER NOT NULL,
        idx INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (level, idx)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE checkpoints (
        size INTEGER PRIMARY KEY,
        note TEXT NOT NULL
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
    CREATE TABLE unresolved (
        record TEXT PRIMARY KEY,
        position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE fingerprint_keys (
        version INTEGER PRIMARY KEY,
        key BLOB NOT NULL
    ) STRICT;
";

/// From version 1 or 2, which had no tree: what they have is put aside, to be
/// copied into new tables.
const ASIDE: &str = "
    ALTER TABLE records RENAME TO old_records;
    ALTER TABLE keys RENAME TO old_keys;
    ALTER TABLE open_intents RENAME TO old_open_intents;
    DROP TABLE fingerprints;
    ALTER TABLE fingerprint_keys RENAME TO old_fingerprint_keys;
";

/// What needs no work to be taken over.
const TAKEN_OVER: &str = "
    INSERT INTO keys SELECT upstream, type, id, issuer, subject, position, removed FROM old_keys;
    INSERT INTO open_intents SELECT call, position FROM old_open_intents;
    INSERT INTO fingerprint_keys SELECT version, key FROM old_fingerprint_keys;
    DROP TABLE old_records;
    DROP TABLE old_keys;
    DROP TABLE old_open_intents;
    DROP TABLE old_fingerprint_keys;
";

/// What records are found by.
const FOUND: &str = "
    CREATE TABLE spans (
        number INTEGER PRIMARY KEY,
        earliest INTEGER NOT NULL,
        latest INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY
    ) STRICT;
    CREATE TABLE terms (
        run INTEGER NOT NULL,
        term TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (run, term, position)
    ) STRICT, WITHOUT ROWID;
";

/// From version 3.
const INDEXES: &str = "
    UPDATE records SET request_id = NULL WHERE request_id = call;
    DROP INDEX records_time;
    DROP INDEX records_call;
    DROP INDEX records_request_id;
    DROP INDEX records_subject;
    DROP INDEX records_resource_id;
    DROP TABLE fingerprints;
";

/// The times of the records that there are.
fn spans() -> String {
    format!(
        "INSERT INTO spans (number, earliest, latest)
         SELECT position / {SPAN}, min(time), max(time) FROM records GROUP BY position / {SPAN}"
    )
}

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
            store: path.display().to_string(),
            found: newer,
            known: VERSION,
        }),
        _ => Err(Error::NotATrail {
            path: path.to_owned(),
        }),
    }
}

/// Brings the tables to the newest version. A new trail is one of this origin, and
/// so is one that had none.
pub(super) fn migrate(connection: &mut Connection, path: &Path, origin: &str) -> Result<(), Error> {
    let found = version(connection, path)?;
    if found == VERSION {
        return Ok(());
    }
    let mut migrate = || {
        let transaction = connection.transaction()?;
        match found {
            0 => create(&transaction, origin)?,
            1 | 2 => {
                transaction.execute_batch(ASIDE)?;
                create(&transaction, origin)?;
                grow(&transaction)?;
                transaction.execute_batch(TAKEN_OVER)?;
            }
            _ => transaction.execute_batch(INDEXES)?,
        }
        transaction.execute_batch(FOUND)?;
        transaction.execute_batch(&spans())?;
        transaction.execute(
            "INSERT INTO meta (name, value) VALUES ('run', ?1)",
            [RUN.to_string()],
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    };
    migrate().map_err(Error::database(path, "written"))
}

fn create(transaction: &Transaction<'_>, origin: &str) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    let sql = "INSERT INTO meta (name, value) VALUES ('origin', ?1)";
    transaction.execute(sql, [origin]).map(drop)
}

/// Makes the tree of the records that were put aside, and finds again what is told
/// beside them.
fn grow(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut old = transaction.prepare("SELECT body FROM old_records ORDER BY position")?;
    let mut insert = transaction.prepare(
        "INSERT INTO records
             (position, leaf, time, call, request_id, kind, subject, resource_id, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut subtree =
        transaction.prepare("INSERT INTO subtrees (level, idx, hash) VALUES (?1, ?2, ?3)")?;
    let mut tree = Frontier::default();
    let mut rows = old.query([])?;
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(0)?;
        let (index, leaf) = (tree.size(), Hash::leaf(&body));
        let mut completed = Vec::new();
        tree.push(leaf, |it| completed.push(it));
        for it in &completed {
            if let Some(level) = it.stored_level() {
                subtree.execute(params![level, it.index.cast_signed(), it.hash.0])?;
            }
        }
        // one that can't be read stays, and is found by its place
        let said: Option<Record> = serde_json::from_slice(&body).ok();
        let said = said.as_ref();
        insert.execute(params![
            index.cast_signed(),
            leaf.0,
            said.map_or(0, |it| record::nanoseconds(&it.time)),
            said.map_or("", |it| &it.call),
            said.and_then(|it| it.request_id.as_ref().filter(|id| **id != it.call)),
            said.map_or("", |it| it.kind.name()),
            said.and_then(|it| Some(&it.caller.as_ref()?.subject)),
            said.and_then(|it| it.resource.as_ref()?.id.as_ref()),
            body,
        ])?;
    }
    Ok(())
}
