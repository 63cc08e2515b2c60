//! How a batch gets into the tables: in one transaction, all of which is sent before
//! the first answer is waited for.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use tokio_postgres::{Client, Error, Statement, types::ToSql};

use super::{session::Writer, text::kept};
use crate::audit::{
    Projection,
    store::{Batch, Step},
};

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// The statements, prepared in one session.
pub(super) struct Statements {
    size: Statement,
    head: Statement,
    records: Statement,
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
        let prepared = tokio::try_join!(
            client.prepare(SIZE),
            client.prepare(HEAD),
            client.prepare(RECORDS),
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
            fingerprints: prepared.3,
            ended: prepared.4,
            opened: prepared.5,
            unresolved: prepared.6,
            settled: prepared.7,
            created: prepared.8,
            removed: prepared.9,
            subtrees: prepared.10,
            checkpoints: prepared.11,
            pruned: prepared.12,
            forgotten: prepared.13,
            fingerprint_key: prepared.14,
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
    let (a, b, c, d, e, f, g, h, i, j, k, committed) = written;
    [a, b, c, d, e, f, g, h, i, j, k, committed]
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

/// A batch, column by column.
#[derive(Default)]
struct Columns<'a> {
    leaves: Vec<&'a [u8]>,
    times: Vec<i64>,
    calls: Vec<Cow<'a, str>>,
    request_ids: Vec<Option<Cow<'a, str>>>,
    kinds: Vec<&'static str>,
    subjects: Vec<Option<Cow<'a, str>>>,
    resource_ids: Vec<Option<Cow<'a, str>>>,
    bodies: Vec<&'a [u8]>,
    fingerprints: (Vec<String>, Vec<i64>),
    opened: (Vec<Cow<'a, str>>, Vec<i64>),
    ended: Vec<Cow<'a, str>>,
    unresolved: (Vec<Cow<'a, str>>, Vec<i64>),
    settled: Vec<Cow<'a, str>>,
    subtrees: (Vec<i32>, Vec<i64>, Vec<&'a [u8]>),
    checkpoints: (Vec<i64>, Vec<&'a str>),
    pruned: Vec<i64>,
    forgotten: (Vec<String>, Vec<i64>),
}

impl<'a> Columns<'a> {
    fn of(batch: &'a Batch) -> Self {
        let mut all = Self::default();
        let mut opened: Vec<(&str, i64)> = Vec::new();
        let mut ended = HashSet::new();
        for (at, row) in (0_i64..).zip(&batch.rows) {
            let said = &row.record;
            all.leaves.push(&row.leaf.0);
            all.times.push(row.time);
            all.calls.push(kept(&said.call));
            all.request_ids.push(said.request_id.as_deref().map(kept));
            all.kinds.push(said.kind.name());
            all.subjects.push(row.subject().map(kept));
            all.resource_ids.push(row.resource_id().map(kept));
            all.bodies.push(&row.body);
            for fingerprint in &said.fingerprints {
                all.fingerprints.0.push(fingerprint.to_string());
                all.fingerprints.1.push(at);
            }
            let step = row.step();
            match step {
                Step::Opens => opened.push((&said.call, at)),
                Step::Ends | Step::EndsUnknown => {
                    opened.retain(|(call, _)| *call != said.call);
                    if ended.insert(&said.call) {
                        all.ended.push(kept(&said.call));
                    }
                }
                Step::Settles => all.settled.extend(said.settles.as_deref().map(kept)),
                Step::None => {}
            }
            if step == Step::EndsUnknown {
                all.unresolved.0.push(kept(&said.id));
                all.unresolved.1.push(at);
            }
        }
        for (call, at) in opened {
            all.opened.0.push(kept(call));
            all.opened.1.push(at);
        }
        for subtree in &batch.subtrees {
            let level = subtree.stored_level().unwrap_or_default();
            all.subtrees.0.push(level.cast_signed());
            all.subtrees.1.push(subtree.index.cast_signed());
            all.subtrees.2.push(&subtree.hash.0);
        }
        for signed in &batch.checkpoints {
            all.checkpoints.0.push(signed.checkpoint.size.cast_signed());
            all.checkpoints.1.push(&signed.note);
        }
        for removal in &batch.removals {
            let position = removal.position.0.cast_signed();
            all.pruned.push(position);
            for fingerprint in &removal.fingerprints {
                all.forgotten.0.push(fingerprint.to_string());
                all.forgotten.1.push(position);
            }
        }
        all
    }
}

/// Keys that were made or removed, each once: a statement changes a row but once.
#[derive(Default)]
struct Round<'a> {
    created: Created<'a>,
    removed: Removed<'a>,
}

#[derive(Default)]
struct Created<'a>([Vec<Cow<'a, str>>; 5], Vec<i64>);

#[derive(Default)]
struct Removed<'a>([Vec<Cow<'a, str>>; 3], Vec<i64>);

impl Created<'_> {
    fn any(&self) -> bool {
        !self.1.is_empty()
    }

    fn parameters<'p>(&'p self, count: &'p i64) -> [Parameter<'p>; 7] {
        let Self([upstream, kind, id, issuer, subject], at) = self;
        [count, upstream, kind, id, issuer, subject, at]
    }
}

impl Removed<'_> {
    fn any(&self) -> bool {
        !self.1.is_empty()
    }

    fn parameters<'p>(&'p self, count: &'p i64) -> [Parameter<'p>; 5] {
        let Self([upstream, kind, id], at) = self;
        [count, upstream, kind, id, at]
    }
}

/// What a batch says about keys, in rounds that follow each other: what is said of
/// one key stays in its order.
fn rounds(batch: &Batch) -> Vec<Round<'_>> {
    let mut rounds: Vec<Round<'_>> = Vec::new();
    let mut said: HashMap<(&str, &str, &str), usize> = HashMap::new();
    for (at, row) in (0_i64..).zip(&batch.rows) {
        for projection in &row.projections {
            let (Projection::Created {
                upstream,
                resource_type,
                id,
                ..
            }
            | Projection::Removed {
                upstream,
                resource_type,
                id,
            }) = projection;
            let times = said.entry((upstream, resource_type, id)).or_default();
            if rounds.len() == *times {
                rounds.push(Round::default());
            }
            let round = &mut rounds[*times];
            *times += 1;
            let key = [upstream, resource_type, id].map(|it| kept(it));
            if let Projection::Created { owner, .. } = projection {
                let [upstream, kind, id] = key;
                let row = [
                    upstream,
                    kind,
                    id,
                    kept(&owner.issuer),
                    kept(&owner.subject),
                ];
                for (column, value) in round.created.0.iter_mut().zip(row) {
                    column.push(value);
                }
                round.created.1.push(at);
            } else {
                for (column, value) in round.removed.0.iter_mut().zip(key) {
                    column.push(value);
                }
                round.removed.1.push(at);
            }
        }
    }
    rounds
}
