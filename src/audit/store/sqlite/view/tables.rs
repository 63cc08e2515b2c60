//! What is read of single tables.

use std::path::Path;

use rusqlite::Connection;
use zeroize::Zeroizing;

use crate::audit::{Error, Fingerprinter, Position, fingerprint::VersionedKey, tree::Hash};

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
