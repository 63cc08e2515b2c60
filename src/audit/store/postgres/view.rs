//! Reading a trail in PostgreSQL, also while replicas write to it.

mod connection;
mod page;

use std::{
    collections::{HashMap, HashSet},
    time::SystemTime,
};

use tokio_postgres::{Row, types::ToSql};
use zeroize::Zeroizing;

use self::{
    connection::{Connection, Parameters},
    page::SPANS,
};
use super::{
    Location,
    error::Error,
    text::{kept, read},
};
use crate::audit::{
    self, Filter, Fingerprinter, Order, Owner, Position, Record,
    fingerprint::VersionedKey,
    record,
    store::{
        self, Columns, Kept, KeptKey, Leaf, Place, Span, UPKEEP,
        terms::{FINGERPRINT, Indexed},
        until,
    },
    tree::Hash,
};

/// How many records are scanned at a time.
const SCAN: i64 = 4096;

/// The calls of which nobody knows how they have ended.
const UNSETTLED: &str = "SELECT call FROM keygate.open_intents
    UNION SELECT call FROM keygate.unresolved JOIN keygate.records USING (position)";

/// Reads a trail.
#[derive(Debug)]
pub(in crate::audit) struct View {
    connection: Connection,
}

impl View {
    /// Opens a trail to read it.
    pub(in crate::audit) fn open(location: &Location) -> Result<Self, audit::Error> {
        let connection = Connection::open(location)?;
        Ok(Self { connection })
    }

    /// The intents in a tree that have no terminal record.
    pub(super) fn open_intents(&self, origin: &str) -> Result<Vec<Record>, audit::Error> {
        let sql = "SELECT r.position, r.body FROM keygate.open_intents o
             JOIN keygate.records r USING (position)
             WHERE o.origin = $1 AND r.body IS NOT NULL ORDER BY position";
        let rows = self.connection.query(sql, &[&origin])?;
        rows.iter().map(|it| self.record(it)).collect()
    }

    fn record(&self, row: &Row) -> Result<Record, audit::Error> {
        serde_json::from_slice(row.get(1)).map_err(|source| audit::Error::Record {
            store: self.connection.location().to_string(),
            position: position(row, 0),
            source,
        })
    }

    /// The calls in a tree that have no terminal record.
    pub(super) fn open_calls(&self, origin: &str) -> Result<HashSet<String>, Error> {
        let sql = "SELECT call FROM keygate.open_intents WHERE origin = $1";
        let rows = self.connection.query(sql, &[&origin])?;
        Ok(rows.iter().map(|it| read(it.get(0)).into_owned()).collect())
    }

    /// Those of these calls that have an outcome, with its id.
    pub(super) fn ended(&self, calls: &[String]) -> Result<HashMap<String, String>, audit::Error> {
        let calls: Vec<_> = calls.iter().map(|it| kept(it)).collect();
        let sql = "SELECT position, body FROM keygate.records
             WHERE call = ANY($1) AND kind = 'outcome' AND body IS NOT NULL ORDER BY position";
        let rows = self.connection.query(sql, &[&calls])?;
        let ended = rows.iter().map(|row| {
            let Record { call, id, .. } = self.record(row)?;
            Ok((call, id))
        });
        ended.collect()
    }

    fn hashes(&self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Hash>, audit::Error> {
        let rows = self.connection.query(sql, parameters)?;
        let hashes = rows.iter().map(|row| {
            let hash = row.get::<_, &[u8]>(0).try_into();
            hash.map_err(|_| (self as &dyn store::View).damaged())
        });
        hashes.collect()
    }

    fn kept(&self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Kept>, audit::Error> {
        let rows = self.connection.query(sql, parameters)?;
        let kept = rows.iter().map(|row| {
            let leaf = row.get::<_, &[u8]>(3).try_into();
            Ok(Kept {
                position: position(row, 0),
                origin: row.get(1),
                index: row.get::<_, i64>(2).cast_unsigned(),
                leaf: leaf.map_err(|_| (self as &dyn store::View).damaged())?,
                body: row.get(4),
            })
        });
        kept.collect()
    }
}

impl store::View for View {
    fn name(&self) -> String {
        self.connection.location().to_string()
    }

    fn fingerprinter(&self) -> Result<Option<Fingerprinter>, audit::Error> {
        let sql = "SELECT version, key FROM keygate.fingerprint_keys ORDER BY version";
        let keys = self.connection.query(sql, &[])?.into_iter().map(|row| {
            let version: i32 = row.get(0);
            (version.cast_unsigned(), Zeroizing::new(row.get(1)))
        });
        Ok(Fingerprinter::new(&keys.collect::<Vec<VersionedKey>>()))
    }

    fn owners(
        &self,
        upstream: &str,
        resource_type: &str,
        ids: &[String],
    ) -> Result<HashMap<String, Owner>, audit::Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = "SELECT id, issuer, subject FROM keygate.keys
             WHERE upstream = $1 AND type = $2 AND id = ANY($3)";
        let ids: Vec<_> = ids.iter().map(|it| kept(it)).collect();
        let rows = self
            .connection
            .query(sql, &[&kept(upstream), &kept(resource_type), &ids])?;
        let owners = rows.iter().map(|row| {
            let text = |at| read(row.get(at)).into_owned();
            let owner = Owner {
                issuer: text(1),
                subject: text(2),
            };
            (text(0), owner)
        });
        Ok(owners.collect())
    }

    fn page(
        &self,
        filter: &Filter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Kept>, audit::Error> {
        let page::Page { sql, values } = page::page(filter, order, after, limit);
        let values: Vec<_> = values
            .iter()
            .map(|it| &**it as &(dyn ToSql + Sync))
            .collect();
        self.kept(&sql, &values)
    }

    fn unresolved(&self, of: Option<&str>) -> Result<Vec<Kept>, audit::Error> {
        let sql = "SELECT r.position, r.origin, r.leaf_index, r.leaf, r.body
             FROM keygate.unresolved u JOIN keygate.records r USING (position)
             WHERE coalesce(u.origin = $1::text, true) AND r.body IS NOT NULL ORDER BY position";
        self.kept(sql, &[&of])
    }

    fn still_unresolved(&self, of: &str, at: &[Position]) -> Result<Vec<Position>, audit::Error> {
        let sql = "SELECT position FROM keygate.unresolved
             WHERE origin = $1 AND position = ANY($2)";
        let at: Vec<_> = at.iter().map(|it| it.0.cast_signed()).collect();
        let rows = self.connection.query(sql, &[&of, &at])?;
        Ok(rows.iter().map(|row| position(row, 0)).collect())
    }

    fn take_turn(&self) -> Result<bool, audit::Error> {
        let sql = "SELECT pg_try_advisory_lock(hashtextextended('keygate upkeep', 0))";
        let rows = self.connection.query(sql, &[])?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    fn freeze(&self) -> Result<(), audit::Error> {
        Ok(self.connection.freeze()?)
    }

    fn end(&self) -> Result<Position, audit::Error> {
        // of one statement, so that all before it are committed
        let sql = "SELECT coalesce(max(position) + 1, 0) FROM keygate.records";
        let rows = self.connection.query(sql, &[])?;
        Ok(rows.first().map_or(Position(0), |row| position(row, 0)))
    }

    fn place(&self, at: Position) -> Result<Option<Place>, audit::Error> {
        let sql = "SELECT origin, leaf_index, leaf FROM keygate.records WHERE position = $1";
        let rows = self.connection.query(sql, &[&at.0.cast_signed()])?;
        let place = rows.first().map(|row| {
            let leaf = row.get::<_, &[u8]>(2).try_into();
            Ok(Place {
                origin: row.get(0),
                index: row.get::<_, i64>(1).cast_unsigned(),
                leaf: leaf.map_err(|_| (self as &dyn store::View).damaged())?,
            })
        });
        place.transpose()
    }

    fn prunable(
        &self,
        before: SystemTime,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Kept>, audit::Error> {
        let until = until(SPANS).replace('?', "$2");
        let sql = format!(
            "SELECT position, origin, leaf_index, leaf, body FROM keygate.records
             WHERE body IS NOT NULL AND position > $1 AND time < $2 AND position < {until}
                 AND kind NOT IN ({UPKEEP}) AND call NOT IN ({UNSETTLED})
             ORDER BY position LIMIT {limit}"
        );
        let before = record::nanoseconds_of(before);
        let after = after.map_or(-1, |it| it.0.cast_signed());
        self.kept(&sql, &[&after, &before])
    }

    fn unsettled(&self, before: SystemTime) -> Result<u64, audit::Error> {
        let sql = format!(
            "SELECT count(*) FROM keygate.records
             WHERE body IS NOT NULL AND time < $1 AND call IN ({UNSETTLED})"
        );
        let rows = self
            .connection
            .query(&sql, &[&record::nanoseconds_of(before)])?;
        let count = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        Ok(count.cast_unsigned())
    }

    fn origins(&self) -> Result<Vec<(String, u64)>, audit::Error> {
        let sql = "SELECT origin, size FROM keygate.origins ORDER BY origin";
        let rows = self.connection.query(sql, &[])?;
        let origins = rows
            .iter()
            .map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned()));
        Ok(origins.collect())
    }

    fn scan(
        &self,
        origin: &str,
        from: u64,
        each: &mut dyn FnMut(Leaf<'_>) -> bool,
    ) -> Result<(), audit::Error> {
        let sql = "SELECT leaf_index, leaf, body, time, call, request_id, kind, subject,
                 resource_id, position
             FROM keygate.records WHERE origin = $1 AND leaf_index >= $2
             ORDER BY leaf_index LIMIT $3";
        let mut from = from.cast_signed();
        loop {
            let rows = self.connection.query(sql, &[&origin, &from, &SCAN])?;
            for row in &rows {
                let index: i64 = row.get(0);
                let [call, request_id, kind, subject, resource_id] =
                    [4, 5, 6, 7, 8].map(|at| row.get::<_, Option<&str>>(at).map(read));
                let leaf = Leaf {
                    position: position(row, 9),
                    index: index.cast_unsigned(),
                    hash: row.get::<_, &[u8]>(1).try_into().ok(),
                    body: row.get(2),
                    columns: Columns {
                        time: row.get(3),
                        call: call.as_deref().unwrap_or_default(),
                        request_id: request_id.as_deref(),
                        kind: kind.as_deref().unwrap_or_default(),
                        subject: subject.as_deref(),
                        resource_id: resource_id.as_deref(),
                    },
                };
                if !each(leaf) {
                    return Ok(());
                }
                from = index + 1;
            }
            if rows.len() < usize::try_from(SCAN).unwrap_or_default() {
                return Ok(());
            }
        }
    }

    fn leaves(&self, origin: &str, from: u64, count: u64) -> Result<Vec<Hash>, audit::Error> {
        let sql = "SELECT leaf FROM keygate.records
             WHERE origin = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index";
        let end = from.saturating_add(count).cast_signed();
        self.hashes(sql, &[&origin, &from.cast_signed(), &end])
    }

    fn subtrees(
        &self,
        origin: &str,
        level: u32,
        from: u64,
        count: u64,
    ) -> Result<Vec<Hash>, audit::Error> {
        let sql = "SELECT hash FROM keygate.subtrees
             WHERE origin = $1 AND level = $2 AND idx >= $3 AND idx < $4 ORDER BY idx";
        let end = from.saturating_add(count).cast_signed();
        let (level, from) = (level.cast_signed(), from.cast_signed());
        self.hashes(sql, &[&origin, &level, &from, &end])
    }

    fn checkpoints(&self, origin: &str) -> Result<Vec<(u64, String)>, audit::Error> {
        let sql = "SELECT size, note FROM keygate.checkpoints WHERE origin = $1 ORDER BY size";
        let rows = self.connection.query(sql, &[&origin])?;
        let checkpoints = rows
            .iter()
            .map(|row| (row.get::<_, i64>(0).cast_unsigned(), row.get(1)));
        Ok(checkpoints.collect())
    }

    fn checkpoint(&self, origin: &str) -> Result<Option<String>, audit::Error> {
        let sql = "SELECT note FROM keygate.checkpoints WHERE origin = $1
             ORDER BY size DESC LIMIT 1";
        Ok(self
            .connection
            .query(sql, &[&origin])?
            .first()
            .map(|row| row.get(0)))
    }

    fn keys(&self) -> Result<Vec<KeptKey>, audit::Error> {
        let sql = "SELECT upstream, type, id, issuer, subject, position
             FROM keygate.keys ORDER BY upstream, type, id";
        let rows = self.connection.query(sql, &[])?;
        let keys = rows.iter().map(|row| {
            let text = |at| read(row.get(at)).into_owned();
            KeptKey {
                upstream: text(0),
                resource_type: text(1),
                id: text(2),
                issuer: text(3),
                subject: text(4),
                position: position(row, 5),
            }
        });
        Ok(keys.collect())
    }

    fn indexed(&self) -> Result<Indexed, audit::Error> {
        Ok(Indexed::Fingerprints)
    }

    fn terms(&self, each: &mut dyn FnMut(char, &str, Position)) -> Result<(), audit::Error> {
        let sql = "SELECT fingerprint, position FROM keygate.fingerprints
             WHERE (fingerprint, position) > ($1, $2) ORDER BY fingerprint, position LIMIT $3";
        let (mut last, mut at) = (String::new(), -1_i64);
        loop {
            let rows = self.connection.query(sql, &[&last, &at, &SCAN])?;
            for row in &rows {
                each(FINGERPRINT, row.get(0), position(row, 1));
            }
            let Some(row) = rows.last() else {
                return Ok(());
            };
            (last, at) = (row.get(0), row.get(1));
        }
    }

    fn spans(&self) -> Result<Vec<Span>, audit::Error> {
        let sql = "SELECT number, earliest, latest FROM keygate.spans ORDER BY number";
        let rows = self.connection.query(sql, &[])?;
        let spans = rows.iter().map(|row| Span {
            number: row.get::<_, i64>(0).cast_unsigned(),
            earliest: row.get(1),
            latest: row.get(2),
        });
        Ok(spans.collect())
    }

    fn open(&self) -> Result<Vec<(String, Position)>, audit::Error> {
        let sql = "SELECT call, position FROM keygate.open_intents";
        let rows = self.connection.query(sql, &[])?;
        let open = rows
            .iter()
            .map(|row| (read(row.get(0)).into_owned(), position(row, 1)));
        Ok(open.collect())
    }
}

fn position(row: &Row, column: usize) -> Position {
    Position(row.get::<_, i64>(column).cast_unsigned())
}
