//! The tables of a trail in PostgreSQL, which version of them a database has, and
//! who may do what with them.

use tokio_postgres::Client;

use super::{
    Location,
    error::{Error, Kind},
};
use crate::audit;

/// The newest version of the tables, kept in `keygate.meta`.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// What brings the tables from each version to the next, from none on.
const STEPS: &[&str] = &[TO_1];

/// The same tables as in SQLite, but that each replica has a tree of its own: what
/// belongs to a tree names its origin.
///
/// `origins` says how long each tree is, and which process writes it. `head` is the
/// next position over all of them: whoever writes locks it until the commit, so
/// positions are in the order of commits, and a reader never sees a gap that is
/// filled later. Records of a time are found by `spans`, as in SQLite: clocks of
/// replicas may be apart.
///
/// Text is kept as it is, but for NUL, which PostgreSQL can't keep.
const TO_1: &str = r#"
    CREATE SCHEMA keygate;
    CREATE TABLE keygate.meta (
        name text COLLATE "C" PRIMARY KEY,
        value text NOT NULL
    );
    CREATE TABLE keygate.head (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        next bigint NOT NULL
    );
    INSERT INTO keygate.head (next) VALUES (0);
    CREATE TABLE keygate.origins (
        origin text COLLATE "C" PRIMARY KEY,
        size bigint NOT NULL,
        writer text NOT NULL,
        session integer NOT NULL
    );
    CREATE TABLE keygate.records (
        position bigint PRIMARY KEY,
        origin text COLLATE "C" NOT NULL,
        leaf_index bigint NOT NULL,
        leaf bytea NOT NULL,
        time bigint NOT NULL,
        call text COLLATE "C" NOT NULL,
        request_id text COLLATE "C",
        kind text COLLATE "C" NOT NULL,
        subject text COLLATE "C",
        resource_id text COLLATE "C",
        body bytea
    );
    CREATE UNIQUE INDEX records_leaf ON keygate.records (origin, leaf_index);
    CREATE INDEX records_call ON keygate.records (call);
    CREATE INDEX records_request_id ON keygate.records (request_id)
        WHERE request_id IS NOT NULL;
    CREATE INDEX records_subject ON keygate.records (subject, position)
        WHERE subject IS NOT NULL;
    CREATE INDEX records_resource_id ON keygate.records (resource_id, position)
        WHERE resource_id IS NOT NULL;
    CREATE TABLE keygate.spans (
        number bigint PRIMARY KEY,
        earliest bigint NOT NULL,
        latest bigint NOT NULL
    );
    CREATE TABLE keygate.subtrees (
        origin text COLLATE "C" NOT NULL,
        level integer NOT NULL,
        idx bigint NOT NULL,
        hash bytea NOT NULL,
        PRIMARY KEY (origin, level, idx)
    );
    CREATE TABLE keygate.checkpoints (
        origin text COLLATE "C" NOT NULL,
        size bigint NOT NULL,
        note text NOT NULL,
        PRIMARY KEY (origin, size)
    );
    CREATE TABLE keygate.keys (
        upstream text COLLATE "C" NOT NULL,
        type text COLLATE "C" NOT NULL,
        id text COLLATE "C" NOT NULL,
        issuer text COLLATE "C" NOT NULL,
        subject text COLLATE "C" NOT NULL,
        position bigint NOT NULL,
        removed bigint,
        PRIMARY KEY (upstream, type, id)
    );
    CREATE TABLE keygate.open_intents (
        call text COLLATE "C" NOT NULL,
        position bigint NOT NULL,
        origin text COLLATE "C" NOT NULL,
        PRIMARY KEY (call, position)
    );
    CREATE INDEX open_intents_origin ON keygate.open_intents (origin);
    CREATE TABLE keygate.unresolved (
        record text COLLATE "C" PRIMARY KEY,
        position bigint NOT NULL,
        origin text COLLATE "C" NOT NULL
    );
    CREATE INDEX unresolved_origin ON keygate.unresolved (origin);
    CREATE TABLE keygate.fingerprints (
        fingerprint text COLLATE "C" NOT NULL,
        position bigint NOT NULL,
        PRIMARY KEY (fingerprint, position)
    );
    CREATE TABLE keygate.fingerprint_keys (
        version integer PRIMARY KEY,
        key bytea NOT NULL
    );

    CREATE FUNCTION keygate.records_stay() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.body IS NULL
                AND (NEW.position, NEW.origin, NEW.leaf_index, NEW.leaf, NEW.time, NEW.call, NEW.kind)
                    = (OLD.position, OLD.origin, OLD.leaf_index, OLD.leaf, OLD.time, OLD.call, OLD.kind)
                AND coalesce(NEW.request_id = OLD.request_id, NEW.request_id IS NULL)
                AND coalesce(NEW.subject = OLD.subject, NEW.subject IS NULL)
                AND coalesce(NEW.resource_id = OLD.resource_id, NEW.resource_id IS NULL)
            THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'records of an audit trail are neither changed nor deleted; only their bodies may go'
            USING ERRCODE = 'insufficient_privilege';
    END $$;
    CREATE TRIGGER records_stay BEFORE UPDATE OR DELETE ON keygate.records
        FOR EACH ROW EXECUTE FUNCTION keygate.records_stay();
    CREATE TRIGGER records_all_stay BEFORE TRUNCATE ON keygate.records
        FOR EACH STATEMENT EXECUTE FUNCTION keygate.records_stay();
"#;

/// What serving needs, and no more: records can be added and, when their time is over,
/// pruned to their hashes; they can't be changed otherwise, nor deleted.
const GRANTS: &str = "
    GRANT USAGE ON SCHEMA keygate TO {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA keygate TO {role};
    GRANT INSERT ON keygate.origins, keygate.records, keygate.spans, keygate.subtrees,
        keygate.checkpoints, keygate.keys, keygate.open_intents, keygate.unresolved,
        keygate.fingerprints, keygate.fingerprint_keys TO {role};
    GRANT UPDATE (next) ON keygate.head TO {role};
    GRANT UPDATE (size, writer, session) ON keygate.origins TO {role};
    GRANT UPDATE (earliest, latest) ON keygate.spans TO {role};
    GRANT UPDATE ON keygate.keys TO {role};
    GRANT UPDATE (origin) ON keygate.unresolved TO {role};
    GRANT UPDATE (body, request_id, subject, resource_id) ON keygate.records TO {role};
    GRANT DELETE ON keygate.open_intents, keygate.unresolved, keygate.fingerprints TO {role};
";

/// The version of the tables in this database; 0 if there are none.
///
/// # Errors
/// [`audit::Error`] if they can't be read, or are those of a newer keygate.
pub(super) async fn version(client: &Client, location: &Location) -> Result<i64, audit::Error> {
    let failed = Error::of(location);
    let there = "SELECT pg_catalog.to_regclass('keygate.meta') IS NOT NULL";
    let there = client.query_one(there, &[]).await.map_err(&failed)?;
    if !there.get::<_, bool>(0) {
        return Ok(0);
    }
    let found = "SELECT value::bigint FROM keygate.meta WHERE name = 'version'";
    let found = client.query_one(found, &[]).await.map_err(&failed)?;
    match found.get(0) {
        newer if newer > VERSION => Err(audit::Error::Newer {
            store: location.to_string(),
            found: newer,
            known: VERSION,
        }),
        found => Ok(found),
    }
}

/// Brings the tables to the newest version. The version before.
///
/// # Errors
/// [`audit::Error`] if that can't be done, as when the user may not.
pub(super) async fn migrate(client: &Client, location: &Location) -> Result<i64, audit::Error> {
    let failed = Error::of(location);
    // others wait, and then find it done; what is large takes its time
    let begin = "BEGIN; SET LOCAL statement_timeout = 0; SELECT pg_catalog.pg_advisory_xact_lock(7738141612023869811)";
    client.batch_execute(begin).await.map_err(&failed)?;
    let migrated = steps(client, location).await;
    let end = if migrated.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    client.batch_execute(end).await.map_err(&failed)?;
    migrated
}

async fn steps(client: &Client, location: &Location) -> Result<i64, audit::Error> {
    let failed = Error::of(location);
    let found = version(client, location).await?;
    let done = usize::try_from(found).unwrap_or_default();
    for step in &STEPS[done..] {
        client.batch_execute(step).await.map_err(&failed)?;
    }
    if found < VERSION {
        let note = format!(
            "INSERT INTO keygate.meta (name, value) VALUES ('version', '{VERSION}')
             ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        );
        client.batch_execute(&note).await.map_err(&failed)?;
    }
    Ok(found)
}

/// Brings the tables to the newest version if they are not and the user may do
/// that.
///
/// # Errors
/// [`audit::Error`] if they can't be used.
pub(super) async fn ensure(client: &Client, location: &Location) -> Result<(), audit::Error> {
    if version(client, location).await? == VERSION {
        return Ok(());
    }
    match migrate(client, location).await {
        Err(audit::Error::Postgres(error)) if matches!(error.kind(), Kind::NoRight { .. }) => {
            let user = location.user().to_owned();
            Err(Error::new(location, Kind::NotMigrated { user }).into())
        }
        Err(error) => Err(error),
        Ok(before) => {
            tracing::info!(store = %location, before, version = VERSION, "tables were made");
            Ok(())
        }
    }
}

/// Gives a role what serving needs.
///
/// # Errors
/// [`Error`] if there is no such role, or the user may not.
pub(super) async fn grant(client: &Client, location: &Location, role: &str) -> Result<(), Error> {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let grants = GRANTS.replace("{role}", &role);
    let granted = client.batch_execute(&grants).await;
    granted.map_err(Error::of(location))
}
