//! What is read of single tables.

use std::path::Path;

use rusqlite::{Connection, Row, types::ValueRef};
use zeroize::Zeroizing;

use crate::audit::{
    Error, Fingerprinter, Position, fingerprint::VersionedKey, store::Columns, tree::Hash,
};

/// What [`columns`] reads.
pub(in crate::audit::store::sqlite) const COLUMNS: &str =
    "time, call, request_id, kind, subject, resource_id";

/// What is kept beside a record, of a row that has it from a column on.
pub(in crate::audit::store::sqlite) fn columns<'a>(
    row: &'a Row<'_>,
    from: usize,
) -> rusqlite::Result<Columns<'a>> {
    Ok(Columns {
        time: row.get(from)?,
        call: text(row, from + 1)?.unwrap_or_default(),
        request_id: text(row, from + 2)?,
        kind: text(row, from + 3)?.unwrap_or_default(),
        subject: text(row, from + 4)?,
        resource_id: text(row, from + 5)?,
    })
}

/// A text, or else a sign that nothing has that was written here: whoever verifies is
/// to say where it is, and not that it can't be read.
pub(in crate::audit::store::sqlite) fn text<'a>(
    row: &'a Row<'_>,
    at: usize,
) -> rusqlite::Result<Option<&'a str>> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => None,
        other => Some(other.as_str().unwrap_or("\u{fffd}")),
    })
}

/// The same of a column that always has one.
pub(in crate::audit::store::sqlite) fn string(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<String> {
    text(row, at).map(|it| it.unwrap_or_default().to_owned())
}

pub(in crate::audit::store::sqlite) fn position(stored: i64) -> Position {
    Position(stored.cast_unsigned())
}

/// Whose tree it is.
pub(in crate::audit::store::sqlite) fn origin(connection: &Connection) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'origin'")?
        .query_row([], |row| row.get(0))
}

pub(in crate::audit::store::sqlite) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT coalesce(max(position) + 1, 0) FROM records")?
        .query_row([], |row| row.get(0))
        .map(i64::cast_unsigned)
}

pub(in crate::audit::store::sqlite) fn leaves(
    connection: &Connection,
    from: u64,
    end: u64,
) -> rusqlite::Result<Vec<Hash>> {
    connection
        .prepare_cached(
            "SELECT leaf FROM records WHERE position >= ?1 AND position < ?2 ORDER BY position",
        )?
        .query_map([from.cast_signed(), end.cast_signed()], |row| {
            row.get(0).map(Hash)
        })?
        .collect()
}

pub(in crate::audit::store::sqlite) fn subtrees(
    connection: &Connection,
    level: u32,
    from: u64,
    end: u64,
) -> rusqlite::Result<Vec<Hash>> {
    connection
        .prepare_cached(
            "SELECT hash FROM subtrees WHERE level = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx",
        )?
        .query_map(
            [i64::from(level), from.cast_signed(), end.cast_signed()],
            |row| row.get(0).map(Hash),
        )?
        .collect()
}

/// The retained fingerprint keys; `None` if the trail has none yet.
pub(in crate::audit::store::sqlite) fn fingerprinter(
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
