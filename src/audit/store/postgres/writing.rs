//! How a batch gets into the tables: in one transaction, all of which is sent before
//! the first answer is waited for.

mod columns;

use tokio_postgres::{Client, Error, Statement, types::ToSql};

use self::columns::{Columns, Round, rounds};
use super::session::Writer;
use crate::audit::store::{Batch, SPAN};

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// The statements, prepared in one session.
pub(super) struct Statements {
    size: Statement,
    head: Statement,
    records: Statement,
    spans: Statement,
    fingerprints: Statement,
    ended: Statement,
    opened: Statement,
    unresolved: Statement,
    settled: Statement,
    created: Statement,
    removed: Statement,
    subtrees: Statement,
    checkpoints: Statement,
    pruned: Statement,
    forgotten: Statement,
    fingerprint_key: Statement,
}

/// Makes the tree longer. If it is not as long as the writer knows it, or another
/// process writes it, there is no size, which the table refuses: all that follows in
/// the transaction fails.
const SIZE: &str = "
    UPDATE keygate.origins
    SET size = CASE WHEN writer = $2 AND size = $3::bigint THEN size + $4::bigint END
    WHERE origin = $1";

/// Takes positions. Whoever else writes waits here until the commit.
const HEAD: &str = "UPDATE keygate.head SET next = next + $1::bigint RETURNING next - $1::bigint";

const RECORDS: &str = "
    INSERT INTO keygate.records (position, origin, leaf_index, leaf, time, call, request_id,
        kind, subject, resource_id, body)
    SELECT head.next - $2::bigint + it.at - 1, $1::text, tree.size - $2::bigint + it.at - 1,
        it.leaf, it.time, it.call, it.request_id, it.kind, it.subject, it.resource_id, it.body
    FROM unnest($3::bytea[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::bytea[]) WITH ORDINALITY
            AS it (leaf, time, call, request_id, kind, subject, resource_id, body, at),
        keygate.head, keygate.origins tree
    WHERE tree.origin = $1::text";

/// The times of the spans that the records are in.
fn spans() -> String {
    format!(
        "INSERT INTO keygate.spans (number, earliest, latest)
         SELECT (head.next - $1::bigint + it.at - 1) / {SPAN}, min(it.time), max(it.time)
         FROM unnest($2::bigint[]) WITH ORDINALITY AS it (time, at), keygate.head
         GROUP BY 1
         ON CONFLICT (number) DO UPDATE SET earliest = least(spans.earliest, excluded.earliest),
             latest = greatest(spans.latest, excluded.latest)"
    )
}

const FINGERPRINTS: &str = "
    INSERT INTO keygate.fingerprints (fingerprint, position)
    SELECT it.fingerprint, head.next - $1::bigint + it.at
    FROM unnest($2::text[], $3::bigint[]) AS it (fingerprint, at), keygate.head
    ON CONFLICT DO NOTHING";

const ENDED: &str = "DELETE FROM keygate.open_intents WHERE call = ANY($1::text[])";

const OPENED: &str = "
    INSERT INTO keygate.open_intents (call, position, origin)
    SELECT it.call, head.next - $1::bigint + it.at, $4::text
    FROM unnest($2::text[], $3::bigint[]) AS it (call, at), keygate.head";

const UNRESOLVED: &str = "
    INSERT INTO keygate.unresolved (record, position, origin)
    SELECT it.record, head.next - $1::bigint + it.at, $4::text
    FROM unnest($2::text[], $3::bigint[]) AS it (record, at), keygate.head";

const SETTLED: &str = "DELETE FROM keygate.unresolved WHERE record = ANY($1::text[])";

/// A key that exists keeps its owner: whoever answers a second create with an id
/// that is in use must not take it over.
const CREATED: &str = "
    INSERT INTO keygate.keys (upstream, type, id, issuer, subject, position)
    SELECT it.upstream, it.type, it.id, it.issuer, it.subject, head.next - $1::bigint + it.at
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
        AS it (upstream, type, id, issuer, subject, at), keygate.head
    ON CONFLICT (upstream, type, id) DO UPDATE SET issuer = excluded.issuer,
        subject = excluded.subject, position = excluded.position, removed = NULL
    WHERE keys.removed IS NOT NULL";

const REMOVED: &str = "
    UPDATE keygate.keys SET removed = head.next - $1::bigint + it.at
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[])
        AS it (upstream, type, id, at), keygate.head
    WHERE keys.upstream = it.upstream AND keys.type = it.type AND keys.id = it.id";

const SUBTREES: &str = "
    INSERT INTO keygate.subtrees (origin, level, idx, hash)
    SELECT $1::text, it.level, it.idx, it.hash
    FROM unnest($2::int[], $3::bigint[], $4::bytea[]) AS it (level, idx, hash)";

/// Of one size there is one tree, however often it was signed.
const CHECKPOINTS: &str = "
    INSERT INTO keygate.checkpoints (origin, size, note)
    SELECT $1::text, it.size, it.note FROM unnest($2::bigint[], $3::text[]) AS it (size, note)
    ON CONFLICT DO NOTHING";

/// What is removed leaves its hash.
const PRUNED: &str = "
    UPDATE keygate.records
    SET body = NULL, request_id = NULL, subject = NULL, resource_id = NULL
    WHERE position = ANY($1::bigint[])";

const FORGOTTEN: &str = "
    DELETE FROM keygate.fingerprints kept
    USING unnest($1::text[], $2::bigint[]) AS it (fingerprint, position)
    WHERE kept.fingerprint = it.fingerprint AND kept.position = it.position";

/// Of a version there is one key: replicas that make it at once share the first.
const FINGERPRINT_KEY: &str =
    "INSERT INTO keygate.fingerprint_keys (version, key) VALUES ($1::int, $2::bytea)
     ON CONFLICT DO NOTHING";

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let spans = spans();
        let prepared = tokio::try_join!(
            client.prepare(SIZE),
            client.prepare(HEAD),
            client.prepare(RECORDS),
            client.prepare(&spans),
            client.prepare(FINGERPRINTS),
            client.prepare(ENDED),
            client.prepare(OPENED),
            client.prepare(UNRESOLVED),
            client.prepare(SETTLED),
            client.prepare(CREATED),
            client.prepare(REMOVED),
            client.prepare(SUBTREES),
            client.prepare(CHECKPOINTS),
            client.prepare(PRUNED),
            client.prepare(FORGOTTEN),
            client.prepare(FINGERPRINT_KEY),
        )?;
        Ok(Self {
            size: prepared.0,
            head: prepared.1,
            records: prepared.2,
            spans: prepared.3,
            fingerprints: prepared.4,
            ended: prepared.5,
            opened: prepared.6,
            unresolved: prepared.7,
            settled: prepared.8,
            created: prepared.9,
            removed: prepared.10,
            subtrees: prepared.11,
            checkpoints: prepared.12,
            pruned: prepared.13,
            forgotten: prepared.14,
            fingerprint_key: prepared.15,
        })
    }
}

/// Writes a batch behind a tree of this size. The position of its first record.
///
/// Everything is sent at once, so that whoever waits for positions waits for as long
/// as the server takes, and not for as long as the way to it.
pub(super) async fn write(
    client: &Client,
    statements: &Statements,
    writer: &Writer,
    batch: &Batch,
    size: u64,
) -> Result<u64, Error> {
    let count = i64::try_from(batch.rows.len()).unwrap_or(i64::MAX);
    let columns = Columns::of(batch);
    let mut rounds = rounds(batch).into_iter();
    let first_round = rounds.next().unwrap_or_default();
    let further: Vec<_> = rounds.collect();
    let size = size.cast_signed();
    let origin = &writer.origin;
    let all = &columns;
    let Round { created, removed } = &first_round;
    let head = async {
        let row = client.query_one(&statements.head, &[&count]).await?;
        row.try_get::<_, i64>(0)
    };
    let commit = async {
        match further.is_empty() {
            true => client.batch_execute("COMMIT").await,
            false => Ok(()),
        }
    };
    let run = Run { client };
    let (key_version, key) = match &batch.fingerprint_key {
        Some((version, key)) => (version.cast_signed(), key.as_slice()),
        None => (0, &[][..]),
    };
    let upkeep = async {
        let (pruned, forgotten, rotated) = tokio::join!(
            biased;
            run.any(&statements.pruned, [&all.pruned], !all.pruned.is_empty()),
            run.any(&statements.forgotten, [
                &all.forgotten.0, &all.forgotten.1,
            ], !all.forgotten.0.is_empty()),
            run.any(&statements.fingerprint_key, [&key_version, &key], !key.is_empty()),
        );
        pruned.and(forgotten).and(rotated)
    };
    // polled in this order, and each is sent when it is polled first
    let (begun, grown, first, written) = tokio::join!(
        biased;
        client.batch_execute("BEGIN"),
        run.one(&statements.size, [origin, &writer.process, &size, &count]),
        head,
        async {
            tokio::join!(
                biased;
                run.any(&statements.records, [
                    origin, &count, &all.leaves, &all.times, &all.calls, &all.request_ids,
                    &all.kinds, &all.subjects, &all.resource_ids, &all.bodies,
                ], !all.leaves.is_empty()),
                run.any(&statements.spans, [&count, &all.times], !all.times.is_empty()),
                run.any(&statements.fingerprints, [
                    &count, &all.fingerprints.0, &all.fingerprints.1,
                ], !all.fingerprints.0.is_empty()),
                run.any(&statements.ended, [&all.ended], !all.ended.is_empty()),
                run.any(&statements.opened, [
                    &count, &all.opened.0, &all.opened.1, origin,
                ], !all.opened.0.is_empty()),
                run.any(&statements.unresolved, [
                    &count, &all.unresolved.0, &all.unresolved.1, origin,
                ], !all.unresolved.0.is_empty()),
                run.any(&statements.settled, [&all.settled], !all.settled.is_empty()),
                run.any(&statements.created, created.parameters(&count), created.any()),
                run.any(&statements.removed, removed.parameters(&count), removed.any()),
                run.any(&statements.subtrees, [
                    origin, &all.subtrees.0, &all.subtrees.1, &all.subtrees.2,
                ], !all.subtrees.0.is_empty()),
                run.any(&statements.checkpoints, [
                    origin, &all.checkpoints.0, &all.checkpoints.1,
                ], !all.checkpoints.0.is_empty()),
                upkeep,
                commit,
            )
        },
    );
    // the first that failed is why the others did
    begun?;
    grown?;
    let first = first?;
    let (a, b, c, d, e, f, g, h, i, j, k, l, committed) = written;
    [a, b, c, d, e, f, g, h, i, j, k, l, committed]
        .into_iter()
        .collect::<Result<(), _>>()?;
    if !further.is_empty() {
        for Round { created, removed } in &further {
            let parameters = created.parameters(&count);
            run.any(&statements.created, parameters, created.any())
                .await?;
            let parameters = removed.parameters(&count);
            run.any(&statements.removed, parameters, removed.any())
                .await?;
        }
        client.batch_execute("COMMIT").await?;
    }
    Ok(first.cast_unsigned())
}

/// Runs statements.
#[derive(Clone, Copy)]
struct Run<'a> {
    client: &'a Client,
}

impl Run<'_> {
    async fn one<const N: usize>(
        self,
        statement: &Statement,
        parameters: [Parameter<'_>; N],
    ) -> Result<(), Error> {
        self.client.execute(statement, &parameters).await.map(drop)
    }

    /// Runs it if there is anything for it to do.
    async fn any<const N: usize>(
        self,
        statement: &Statement,
        parameters: [Parameter<'_>; N],
        any: bool,
    ) -> Result<(), Error> {
        if any {
            return self.one(statement, parameters).await;
        }
        Ok(())
    }
}
