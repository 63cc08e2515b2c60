//! Reading a trail in a SQLite file, also while a server writes to it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, ToSql, params_from_iter};

mod page;
mod tables;

pub(super) use self::tables::{COLUMNS, columns, fingerprinter, origin};
use self::{
    page::Asked,
    tables::{leaves, position, size, string, subtrees, text},
};
use super::{BUSY, keep_log, schema, terms};
use crate::audit::{
    Error, Filter, Fingerprinter, Order, Owner, Position, record,
    store::{
        self, Kept, KeptKey, Leaf, Place, Span, UPKEEP,
        terms::{CALL, Indexed},
        until,
    },
    tree::Hash,
};

/// The calls of which nobody knows how they have ended.
const UNSETTLED: &str = "SELECT call FROM open_intents
    UNION SELECT call FROM unresolved JOIN records USING (position)";

/// A connection that can't change the trail.
#[derive(Debug)]
pub(in crate::audit) struct View {
    connection: Connection,
    path: PathBuf,
}

impl View {
    /// Opens a trail to read it.
    pub(in crate::audit) fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::Missing {
                path: path.to_owned(),
            });
        }
        let opened = Error::database(path, "opened");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        let connection = Connection::open_with_flags(path, flags).map_err(&opened)?;
        connection.busy_timeout(BUSY).map_err(&opened)?;
        connection.set_prepared_statement_cache_capacity(32);
        keep_log(&connection, true).map_err(&opened)?;
        match schema::version(&connection, path)? {
            0 => Err(Error::NotATrail {
                path: path.to_owned(),
            }),
            found if found < schema::VERSION => Err(Error::Older {
                path: path.to_owned(),
                found,
                known: schema::VERSION,
            }),
            _ => Ok(Self {
                connection,
                path: path.to_owned(),
            }),
        }
    }

    fn read(&self) -> impl Fn(rusqlite::Error) -> Error {
        Error::database(&self.path, "read")
    }

    fn kept(row: &Row<'_>, origin: &str) -> rusqlite::Result<Kept> {
        let position: i64 = row.get(0)?;
        Ok(Kept {
            position: Position(position.cast_unsigned()),
            origin: origin.to_owned(),
            index: position.cast_unsigned(),
            leaf: Hash(row.get(1)?),
            body: row.get(2)?,
        })
    }

    fn all_kept(&self, sql: &str, values: Vec<Box<dyn ToSql>>) -> rusqlite::Result<Vec<Kept>> {
        let origin = origin(&self.connection)?;
        self.connection
            .prepare_cached(sql)?
            .query_map(params_from_iter(values), |row| Self::kept(row, &origin))?
            .collect()
    }
}

impl store::View for View {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn fingerprinter(&self) -> Result<Option<Fingerprinter>, Error> {
        fingerprinter(&self.connection, &self.path)
    }

    fn owners(
        &self,
        upstream: &str,
        resource_type: &str,
        ids: &[String],
    ) -> Result<HashMap<String, Owner>, Error> {
        let owners = || -> rusqlite::Result<_> {
            let mut statement = self.connection.prepare_cached(
                "SELECT issuer, subject FROM keys WHERE upstream = ?1 AND type = ?2 AND id = ?3",
            )?;
            // All from one state of the trail.
            let snapshot = self.connection.unchecked_transaction()?;
            let mut owners = HashMap::with_capacity(ids.len());
            for id in ids {
                let owner = statement
                    .query_row([upstream, resource_type, id], |row| {
                        Ok(Owner {
                            issuer: row.get(0)?,
                            subject: row.get(1)?,
                        })
                    })
                    .optional()?;
                owners.extend(owner.map(|it| (id.clone(), it)));
            }
            snapshot.finish()?;
            Ok(owners)
        };
        owners().map_err(self.read())
    }

    fn page(
        &self,
        filter: &Filter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Kept>, Error> {
        let origin = origin(&self.connection).map_err(self.read())?;
        let asked = Asked {
            filter,
            order,
            limit,
            origin: &origin,
        };
        page::page(&self.connection, &asked, after).map_err(self.read())
    }

    fn unresolved(&self, _of: Option<&str>) -> Result<Vec<Kept>, Error> {
        let sql = "SELECT position, leaf, body FROM unresolved JOIN records USING (position)
                   WHERE body IS NOT NULL ORDER BY position";
        self.all_kept(sql, Vec::new()).map_err(self.read())
    }

    fn freeze(&self) -> Result<(), Error> {
        // the state is that of the first read after the beginning
        let freeze = || -> rusqlite::Result<()> {
            self.connection.execute_batch("BEGIN DEFERRED")?;
            size(&self.connection).map(drop)
        };
        freeze().map_err(self.read())
    }

    fn end(&self) -> Result<Position, Error> {
        size(&self.connection).map(Position).map_err(self.read())
    }

    fn place(&self, position: Position) -> Result<Option<Place>, Error> {
        let place = || -> rusqlite::Result<_> {
            let origin = origin(&self.connection)?;
            self.connection
                .prepare_cached("SELECT leaf FROM records WHERE position = ?1")?
                .query_row([position.0.cast_signed()], |row| {
                    Ok(Place {
                        origin,
                        index: position.0,
                        leaf: Hash(row.get(0)?),
                    })
                })
                .optional()
        };
        place().map_err(self.read())
    }

    fn prunable(
        &self,
        before: SystemTime,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Kept>, Error> {
        let until = until("spans");
        let sql = format!(
            "SELECT position, leaf, body FROM records
             WHERE body IS NOT NULL AND position > ? AND time < ? AND position < {until}
                 AND kind NOT IN ({UPKEEP}) AND call NOT IN ({UNSETTLED})
             ORDER BY position LIMIT {limit}"
        );
        let before = record::nanoseconds_of(before);
        let after = after.map_or(-1, |it| it.0.cast_signed());
        let values: Vec<Box<dyn ToSql>> = vec![Box::new(after), Box::new(before), Box::new(before)];
        self.all_kept(&sql, values).map_err(self.read())
    }

    fn unsettled(&self, before: SystemTime) -> Result<u64, Error> {
        let sql = format!(
            "SELECT count(*) FROM records
             WHERE body IS NOT NULL AND time < ?1 AND position IN (
                 SELECT terms.position FROM ({UNSETTLED}) CROSS JOIN runs
                     CROSS JOIN terms ON run = number AND term = '{CALL}' || call
                 UNION SELECT position FROM records
                     WHERE position >= ?2 AND call IN ({UNSETTLED}))"
        );
        let count = || -> rusqlite::Result<i64> {
            let before = record::nanoseconds_of(before);
            let indexed = terms::indexed(&self.connection)?.cast_signed();
            let mut statement = self.connection.prepare_cached(&sql)?;
            statement.query_row([before, indexed], |row| row.get(0))
        };
        count().map(i64::cast_unsigned).map_err(self.read())
    }

    fn origins(&self) -> Result<Vec<(String, u64)>, Error> {
        let origins = || -> rusqlite::Result<_> {
            Ok(vec![(origin(&self.connection)?, size(&self.connection)?)])
        };
        origins().map_err(self.read())
    }

    fn scan(
        &self,
        _origin: &str,
        from: u64,
        each: &mut dyn FnMut(Leaf<'_>) -> bool,
    ) -> Result<(), Error> {
        let mut scan = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT position, leaf, body, {COLUMNS} FROM records
                 WHERE position >= ?1 ORDER BY position"
            ))?;
            let mut rows = statement.query([from.cast_signed()])?;
            while let Some(row) = rows.next()? {
                let index = row.get::<_, i64>(0)?.cast_unsigned();
                let hash = row.get_ref(1)?.as_blob().ok();
                let leaf = Leaf {
                    position: Position(index),
                    index,
                    hash: hash.and_then(|it| it.try_into().ok()),
                    body: row.get_ref(2)?.as_blob_or_null()?,
                    columns: columns(row, 3)?,
                };
                if !each(leaf) {
                    break;
                }
            }
            Ok(())
        };
        scan().map_err(self.read())
    }

    fn leaves(&self, _origin: &str, from: u64, count: u64) -> Result<Vec<Hash>, Error> {
        let end = from.saturating_add(count);
        leaves(&self.connection, from, end).map_err(self.read())
    }

    fn subtrees(
        &self,
        _origin: &str,
        level: u32,
        from: u64,
        count: u64,
    ) -> Result<Vec<Hash>, Error> {
        let end = from.saturating_add(count);
        subtrees(&self.connection, level, from, end).map_err(self.read())
    }

    fn checkpoints(&self, _origin: &str) -> Result<Vec<(u64, String)>, Error> {
        let checkpoints = || -> rusqlite::Result<_> {
            self.connection
                .prepare_cached("SELECT size, note FROM checkpoints ORDER BY size")?
                .query_map([], |row| {
                    Ok((row.get::<_, i64>(0)?.cast_unsigned(), string(row, 1)?))
                })?
                .collect()
        };
        checkpoints().map_err(self.read())
    }

    fn checkpoint(&self, _origin: &str) -> Result<Option<String>, Error> {
        self.connection
            .query_row(
                "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.read())
    }

    fn keys(&self) -> Result<Vec<KeptKey>, Error> {
        let keys = || -> rusqlite::Result<_> {
            self.connection
                .prepare_cached("SELECT upstream, type, id, issuer, subject, position FROM keys")?
                .query_map([], |row| {
                    Ok(KeptKey {
                        upstream: string(row, 0)?,
                        resource_type: string(row, 1)?,
                        id: string(row, 2)?,
                        issuer: string(row, 3)?,
                        subject: string(row, 4)?,
                        position: position(row.get(5)?),
                    })
                })?
                .collect()
        };
        keys().map_err(self.read())
    }

    fn indexed(&self) -> Result<Indexed, Error> {
        let indexed = terms::indexed(&self.connection);
        indexed.map(Indexed::Before).map_err(self.read())
    }

    fn terms(&self, each: &mut dyn FnMut(char, &str, Position)) -> Result<(), Error> {
        let mut scan = || -> rusqlite::Result<()> {
            // what a search does not meet where it looks is not kept
            let mut statement = self.connection.prepare_cached(
                "SELECT term, position FROM runs CROSS JOIN terms ON run = number
                 WHERE position / ?1 = run",
            )?;
            let length = terms::length(&self.connection)?.cast_signed();
            let mut rows = statement.query([length])?;
            while let Some(row) = rows.next()? {
                let term = text(row, 0)?.unwrap_or_default();
                let mut rest = term.chars();
                let kind = rest.next().unwrap_or_default();
                each(kind, rest.as_str(), position(row.get(1)?));
            }
            Ok(())
        };
        scan().map_err(self.read())
    }

    fn spans(&self) -> Result<Vec<Span>, Error> {
        let spans = || -> rusqlite::Result<_> {
            self.connection
                .prepare_cached("SELECT number, earliest, latest FROM spans ORDER BY number")?
                .query_map([], |row| {
                    Ok(Span {
                        number: row.get::<_, i64>(0)?.cast_unsigned(),
                        earliest: row.get(1)?,
                        latest: row.get(2)?,
                    })
                })?
                .collect()
        };
        spans().map_err(self.read())
    }

    fn open(&self) -> Result<Vec<(String, Position)>, Error> {
        let open = || -> rusqlite::Result<_> {
            self.connection
                .prepare_cached("SELECT call, position FROM open_intents")?
                .query_map([], |row| Ok((string(row, 0)?, position(row.get(1)?))))?
                .collect()
        };
        open().map_err(self.read())
    }
}
