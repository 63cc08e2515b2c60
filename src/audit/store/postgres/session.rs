//! A session that writes: it holds the lock of its origin, and ends with it.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, error::SqlState};

use super::{
    Location,
    connect::Connected,
    error::{Error, Kind},
    writing::{self, Statements},
};
use crate::audit::store::Batch;

/// How long a server may take to hear that a session ends.
const CLOSE: Duration = Duration::from_secs(1);

/// Who writes.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    /// Whose tree it is.
    pub(super) origin: String,
    /// The process, by an id of its own.
    pub(super) process: String,
}

/// A session that writes.
pub(super) struct Session {
    pub(super) client: Client,
    connection: JoinHandle<()>,
    pub(super) statements: Statements,
}

/// The number that an origin is locked by.
macro_rules! lock_of {
    ($origin:literal) => {
        concat!(
            "hashtextextended('keygate origin ' || ",
            $origin,
            "::text, 0)"
        )
    };
}

impl Session {
    /// Takes a connection for writing.
    pub(super) async fn new(connected: Connected, location: &Location) -> Result<Self, Error> {
        let Connected { client, connection } = connected;
        let failed = Error::of(location);
        let sync = client.query_one("SELECT current_setting('fsync')", &[]);
        let sync: String = sync.await.map_err(&failed)?.get(0);
        if sync == "off" {
            return Err(Error::new(location, Kind::NoSync));
        }
        let statements = Statements::prepare(&client).await.map_err(&failed)?;
        Ok(Self {
            client,
            connection,
            statements,
        })
    }

    /// Locks an origin, if nobody has.
    pub(super) async fn lock(&self, location: &Location, origin: &str) -> Result<bool, Error> {
        let lock = concat!("SELECT pg_try_advisory_lock(", lock_of!("$1"), ")");
        let locked = self.client.query_one(lock, &[&origin]).await;
        Ok(locked.map_err(Error::of(location))?.get(0))
    }

    /// Lets go of an origin.
    pub(super) async fn unlock(&self, location: &Location, origin: &str) -> Result<(), Error> {
        let unlock = concat!("SELECT pg_advisory_unlock(", lock_of!("$1"), ")");
        let unlocked = self.client.query_one(unlock, &[&origin]).await;
        unlocked.map(drop).map_err(Error::of(location))
    }

    /// Makes a process the writer of its origin, which it has locked.
    pub(super) async fn begin(&self, location: &Location, writer: &Writer) -> Result<(), Error> {
        let begin = "INSERT INTO keygate.origins (origin, size, writer, session)
             VALUES ($1, 0, $2, pg_backend_pid())
             ON CONFLICT (origin) DO UPDATE SET writer = $2, session = pg_backend_pid()";
        let Writer { origin, process } = writer;
        let begun = self.client.execute(begin, &[origin, process]).await;
        begun.map(drop).map_err(Error::of(location))
    }

    /// Lets a process go on as the writer of its origin, after its session before has
    /// ended. False if that has not ended yet.
    ///
    /// # Errors
    /// [`Kind::TakenOver`] if another process has begun to write meanwhile.
    pub(super) async fn resume(&self, location: &Location, writer: &Writer) -> Result<bool, Error> {
        let failed = Error::of(location);
        let taken_over = || {
            let origin = writer.origin.clone();
            Error::new(location, Kind::TakenOver { origin })
        };
        if self.lock(location, &writer.origin).await? {
            let resume = "UPDATE keygate.origins SET session = pg_backend_pid()
                 WHERE origin = $1 AND writer = $2";
            let Writer { origin, process } = writer;
            let resumed = self.client.execute(resume, &[origin, process]).await;
            return match resumed.map_err(&failed)? {
                0 => Err(taken_over()),
                _ => Ok(true),
            };
        }
        let holder = "SELECT writer, session FROM keygate.origins WHERE origin = $1";
        let holder = self.client.query_opt(holder, &[&writer.origin]).await;
        let holder = holder.map_err(&failed)?.ok_or_else(taken_over)?;
        if holder.get::<_, &str>(0) != writer.process {
            return Err(taken_over());
        }
        // the server has not noticed yet that its own session before is gone; or
        // another replica ends its intents just now, and will let go of it
        let end = concat!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND pid = $2 AND objsubid = 1
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (classid::bigint << 32 | objid::bigint) = ",
            lock_of!("$1")
        );
        let former: i32 = holder.get(1);
        let ended = self.client.query(end, &[&writer.origin, &former]).await;
        ended.map_err(&failed)?;
        Ok(false)
    }

    /// Where the record at this place of a tree is.
    pub(super) async fn position(
        &self,
        location: &Location,
        writer: &Writer,
        index: u64,
    ) -> Result<u64, Error> {
        let position = "SELECT coalesce(max(position), (SELECT next FROM keygate.head))
             FROM keygate.records WHERE origin = $1 AND leaf_index = $2";
        let index = index.cast_signed();
        let position = self
            .client
            .query_one(position, &[&writer.origin, &index])
            .await;
        let row = position.map_err(Error::of(location))?;
        Ok(row.get::<_, i64>(0).cast_unsigned())
    }

    /// Writes a batch behind a tree of this size. The position of its first record.
    pub(super) async fn write(
        &self,
        location: &Location,
        writer: &Writer,
        batch: &Batch,
        size: u64,
    ) -> Result<u64, Error> {
        let (client, statements) = (&self.client, &self.statements);
        let written = writing::write(client, statements, writer, batch, size).await;
        let error = match written {
            Ok(first) => return Ok(first),
            Err(error) => error,
        };
        if error.code() != Some(&SqlState::NOT_NULL_VIOLATION) {
            return Err(Error::of(location)(error));
        }
        // the tree is not what it should be: see why
        let origin = writer.origin.clone();
        Err(match self.writer(location, &origin).await? {
            Some((process, found)) if process == writer.process => {
                let known = size;
                Error::new(
                    location,
                    Kind::Lost {
                        origin,
                        found,
                        known,
                    },
                )
            }
            _ => Error::new(location, Kind::TakenOver { origin }),
        })
    }

    /// Other origins that nobody writes as, and that have left something open.
    pub(super) async fn away(&self, location: &Location, mine: &str) -> Result<Vec<String>, Error> {
        let away = concat!(
            "SELECT origin FROM (
                 SELECT origin FROM keygate.open_intents UNION SELECT origin FROM keygate.unresolved
             ) AS left_open
             WHERE origin <> $1 AND NOT EXISTS (
                 SELECT FROM pg_locks
                 WHERE locktype = 'advisory' AND granted AND objsubid = 1
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                     AND (classid::bigint << 32 | objid::bigint) = ",
            lock_of!("origin"),
            ")"
        );
        let away = self.client.query(away, &[&mine]).await;
        let rows = away.map_err(Error::of(location))?;
        Ok(rows.iter().map(|it| it.get(0)).collect())
    }

    /// Takes over what another origin has left unresolved, after it was locked.
    pub(super) async fn adopt(
        &self,
        location: &Location,
        mine: &str,
        other: &str,
    ) -> Result<(), Error> {
        let adopt = "UPDATE keygate.unresolved SET origin = $1 WHERE origin = $2";
        let adopted = self.client.execute(adopt, &[&mine, &other]).await;
        adopted.map(drop).map_err(Error::of(location))
    }

    /// Ends the session, and waits until the server has heard of it.
    pub(super) async fn close(self) {
        let Self {
            client, connection, ..
        } = self;
        drop(client);
        // a server that does not answer is not waited for
        let _ = tokio::time::timeout(CLOSE, connection).await;
    }

    /// Who writes as an origin by now, and how many records that has.
    pub(super) async fn writer(
        &self,
        location: &Location,
        origin: &str,
    ) -> Result<Option<(String, u64)>, Error> {
        let writer = "SELECT writer, size FROM keygate.origins WHERE origin = $1";
        let writer = self.client.query_opt(writer, &[&origin]).await;
        let row = writer.map_err(Error::of(location))?;
        Ok(row.map(|it| (it.get(0), it.get::<_, i64>(1).cast_unsigned())))
    }
}
