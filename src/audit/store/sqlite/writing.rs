//! What a batch writes, in one transaction.

use rusqlite::{CachedStatement, Transaction, params};

use super::{
    terms,
    view::{COLUMNS, columns},
};
use crate::audit::{
    Position, Projection,
    store::{Batch, Removal, Row, SPAN, Span, Step},
};

/// Writes a batch into a transaction.
pub(super) fn write(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut statements = Statements::new(transaction)?;
    for row in &batch.rows {
        statements.insert(row)?;
    }
    for rows in batch
        .rows
        .chunk_by(|one, next| one.index / SPAN == next.index / SPAN)
    {
        span(transaction, rows)?;
    }
    for subtree in &batch.subtrees {
        let (level, index) = (subtree.stored_level(), subtree.index.cast_signed());
        transaction
            .prepare_cached("INSERT INTO subtrees (level, idx, hash) VALUES (?1, ?2, ?3)")?
            .execute(params![level, index, subtree.hash.0])?;
    }
    for signed in &batch.checkpoints {
        // of one size there is one tree, however often it was signed
        transaction
            .prepare_cached("INSERT OR IGNORE INTO checkpoints (size, note) VALUES (?1, ?2)")?
            .execute(params![signed.checkpoint.size.cast_signed(), signed.note])?;
    }
    if !batch.removals.is_empty() {
        // what is removed is not to be found in what the file leaves free
        transaction.pragma_update(None, "secure_delete", true)?;
        for removal in &batch.removals {
            remove(transaction, removal)?;
        }
    }
    if let Some((version, key)) = &batch.fingerprint_key {
        transaction.execute(
            "INSERT INTO fingerprint_keys (version, key) VALUES (?1, ?2)",
            params![version, key.as_slice()],
        )?;
    }
    Ok(())
}

/// Keeps the times of some records of one span.
fn span(transaction: &Transaction<'_>, rows: &[Row]) -> rusqlite::Result<()> {
    let spans = rows.iter().map(|it| Span::of(Position(it.index), it.time));
    let Some(span) = spans.reduce(|mut all, one| {
        all.add(one);
        all
    }) else {
        return Ok(());
    };
    transaction
        .prepare_cached(
            "INSERT INTO spans (number, earliest, latest) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET earliest = min(earliest, excluded.earliest),
                 latest = max(latest, excluded.latest)",
        )?
        .execute(params![
            span.number.cast_signed(),
            span.earliest,
            span.latest
        ])
        .map(drop)
}

fn remove(transaction: &Transaction<'_>, removal: &Removal) -> rusqlite::Result<()> {
    let position = removal.position.0.cast_signed();
    let sql = format!("SELECT {COLUMNS} FROM records WHERE position = ?1");
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query([position])?;
    if let Some(row) = rows.next()? {
        let (columns, fingerprints) = (columns(row, 0)?, removal.fingerprints.iter());
        terms::remove(transaction, removal.position.0, columns, fingerprints)?;
    }
    transaction
        .prepare_cached(
            "UPDATE records SET body = NULL, request_id = NULL, subject = NULL, resource_id = NULL
             WHERE position = ?1",
        )?
        .execute([position])
        .map(drop)
}

/// What is run for each record.
struct Statements<'a> {
    record: CachedStatement<'a>,
    opens: CachedStatement<'a>,
    ends: CachedStatement<'a>,
    unresolved: CachedStatement<'a>,
    settles: CachedStatement<'a>,
    created: CachedStatement<'a>,
    removed: CachedStatement<'a>,
}

impl<'a> Statements<'a> {
    fn new(transaction: &'a Transaction<'_>) -> rusqlite::Result<Self> {
        let prepare = |sql| transaction.prepare_cached(sql);
        Ok(Self {
            record: prepare(
                "INSERT INTO records
                     (position, leaf, time, call, request_id, kind, subject, resource_id, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            opens: prepare("INSERT INTO open_intents (call, position) VALUES (?1, ?2)")?,
            ends: prepare("DELETE FROM open_intents WHERE call = ?1")?,
            unresolved: prepare("INSERT INTO unresolved (record, position) VALUES (?1, ?2)")?,
            settles: prepare("DELETE FROM unresolved WHERE record = ?1")?,
            // A key that exists keeps its owner: whoever answers a second create
            // with an id that is in use must not take it over.
            created: prepare(
                "INSERT INTO keys (upstream, type, id, issuer, subject, position)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject,
                     position = excluded.position, removed = NULL
                 WHERE removed IS NOT NULL",
            )?,
            removed: prepare(
                "UPDATE keys SET removed = ?4 WHERE upstream = ?1 AND type = ?2 AND id = ?3",
            )?,
        })
    }

    fn insert(&mut self, row: &Row) -> rusqlite::Result<()> {
        let position = row.index.cast_signed();
        let (said, columns) = (&row.record, row.columns());
        self.record.execute(params![
            position,
            row.leaf.0,
            columns.time,
            columns.call,
            columns.request_id,
            columns.kind,
            columns.subject,
            columns.resource_id,
            row.body,
        ])?;
        let step = row.step();
        match step {
            Step::Opens => self.opens.execute(params![said.call, position])?,
            Step::Ends | Step::EndsUnknown => self.ends.execute([&said.call])?,
            Step::Settles => self.settles.execute([&said.settles])?,
            Step::None => 0,
        };
        if step == Step::EndsUnknown {
            self.unresolved.execute(params![said.id, position])?;
        }
        for projection in &row.projections {
            self.project(projection, position)?;
        }
        Ok(())
    }

    fn project(&mut self, projection: &Projection, position: i64) -> rusqlite::Result<usize> {
        match projection {
            Projection::Created {
                upstream,
                resource_type,
                id,
                owner,
            } => self.created.execute(params![
                upstream,
                resource_type,
                id,
                owner.issuer,
                owner.subject,
                position
            ]),
            Projection::Removed {
                upstream,
                resource_type,
                id,
            } => self
                .removed
                .execute(params![upstream, resource_type, id, position]),
        }
    }
}
