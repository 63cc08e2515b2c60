//! The trail in PostgreSQL, for several replicas: each has a tree of its own, and
//! all search and own together.
//!
//! A tree is written from one session at a time, which holds the lock of its origin
//! until it ends. A commit whose answer was lost is looked up from the next session,
//! which can't begin before the one before has ended: nothing is written twice, and
//! nothing is acknowledged that is not there.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use self::{
    connect::Driver,
    error::Kind,
    session::{Session, Writer},
    view::View,
};
use super::{Batch, Debt, Remote, Step, Store};
use crate::{
    audit::{self, Fingerprinter, Position, Record, tree::Frontier},
    clock::Clock,
    random::Random,
};

mod connect;
mod error;
mod left;
mod location;
mod measure;
mod schema;
mod session;
mod text;
pub(super) mod view;
mod writing;

pub use error::{Error, Kind as ErrorKind};
pub use location::{Fault, Location, RECONNECT, TAKE_OVER};
#[doc(hidden)]
pub use measure::Measure;

/// How long the lock of an origin is waited for when a process starts: one that was
/// killed leaves a session behind, which ends when the server notices.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long is waited between two looks at a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// A trail in PostgreSQL that is open for writing.
pub(super) struct Postgres {
    // Dropped in this order: a session ends within its driver.
    session: Option<Session>,
    driver: Driver,
    location: Location,
    writer: Writer,
    view: View,
    /// What is known to be committed.
    tree: Frontier,
    /// Calls in this tree that have no terminal record yet.
    open: HashSet<String>,
    /// Calls of this process that another replica has ended as `unknown`, with the
    /// ids of the records that say so.
    ended_by_others: HashMap<String, String>,
    /// Other origins that nobody writes as, and since when that is known.
    away: HashMap<String, Instant>,
    /// Other origins that are locked while their intents are ended.
    held: Vec<String>,
    clock: Clock,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("location", &self.location)
            .field("origin", &self.writer.origin)
            .finish_non_exhaustive()
    }
}

/// Brings the tables to the newest version, and gives a role what serving needs. The
/// versions before and after.
pub(super) fn migrate(location: &Location, role: Option<&str>) -> Result<(i64, i64), audit::Error> {
    let driver = Driver::new().map_err(audit::Error::Thread)?;
    driver.run(async {
        let connected = connect::connect(location).await?;
        let client = &connected.client;
        let before = schema::migrate(client, location).await?;
        if let Some(role) = role {
            schema::grant(client, location, role).await?;
        }
        Ok((before, schema::VERSION))
    })
}

impl Postgres {
    /// Opens the trail of an origin, and makes it if there is none.
    pub(super) fn open(
        location: &Location,
        origin: &str,
        clock: &Clock,
        random: &Random,
    ) -> Result<Self, audit::Error> {
        let driver = Driver::new().map_err(audit::Error::Thread)?;
        let writer = Writer {
            origin: origin.to_owned(),
            process: random.uuid_at(clock.now()).to_string(),
        };
        let begun = clock.instant();
        let session = driver.run(async {
            let connected = connect::connect(location).await?;
            schema::ensure(&connected.client, location).await?;
            let session = Session::new(connected, location).await?;
            while !session.lock(location, origin).await? {
                if clock.instant().duration_since(begun) > PATIENCE {
                    let origin = origin.to_owned();
                    return Err(Error::new(location, Kind::InUse { origin }).into());
                }
                tokio::time::sleep(PAUSE).await;
            }
            session.begin(location, &writer).await?;
            Ok::<_, audit::Error>(session)
        })?;
        let view = View::open(location)?;
        let tree = (&view as &dyn super::View).tree(origin)?;
        Ok(Self {
            session: Some(session),
            driver,
            location: location.clone(),
            writer,
            view,
            tree,
            open: HashSet::new(),
            ended_by_others: HashMap::new(),
            away: HashMap::new(),
            held: Vec::new(),
            clock: clock.clone(),
        })
    }

    fn is_connected(&mut self) -> bool {
        let Some(session) = &self.session else {
            return false;
        };
        // what has come in meanwhile tells whether it still is
        self.driver.run(tokio::task::yield_now());
        !session.client.is_closed()
    }

    /// Makes a new session, and sees what became of what was being written. Where it
    /// is there, its first position.
    fn reconnect(&mut self, batch: Option<&Batch>) -> Result<Option<Position>, audit::Error> {
        self.session = None;
        // they were locked in that session
        self.held.clear();
        let (location, writer) = (&self.location, &self.writer);
        let begun = self.clock.instant();
        let session = self.driver.run(async {
            let connected = connect::connect(location).await?;
            if schema::version(&connected.client, location).await? < schema::VERSION {
                let user = location.user().to_owned();
                return Err(Error::new(location, Kind::NotMigrated { user }).into());
            }
            let session = Session::new(connected, location).await?;
            while !session.resume(location, writer).await? {
                if self.clock.instant().duration_since(begun) > location.reconnect {
                    return Err(Error::new(location, Kind::Silent).into());
                }
                tokio::time::sleep(PAUSE).await;
            }
            Ok::<_, audit::Error>(session)
        })?;
        let found = (&self.view as &dyn super::View).tree(&self.writer.origin)?;
        let before = self.tree.size();
        let written = match batch {
            _ if found == self.tree => None,
            Some(batch) if found == batch.tree => {
                let first = self
                    .driver
                    .run(session.position(location, writer, before))?;
                Some(Position(first))
            }
            _ => return Err(self.lost(found.size())),
        };
        self.session = Some(session);
        if let (Some(_), Some(batch)) = (written, batch) {
            self.committed(batch);
        }
        self.note_ended_by_others()?;
        tracing::info!(store = %self.location, "the audit store is connected again");
        Ok(written)
    }

    fn lost(&self, found: u64) -> audit::Error {
        let kind = Kind::Lost {
            origin: self.writer.origin.clone(),
            found,
            known: self.tree.size(),
        };
        Error::new(&self.location, kind).into()
    }

    fn committed(&mut self, batch: &Batch) {
        self.tree = batch.tree.clone();
        for row in &batch.rows {
            let call = &row.record.call;
            match row.step() {
                Step::Opens => drop(self.open.insert(call.clone())),
                Step::Ends | Step::EndsUnknown => drop(self.open.remove(call)),
                Step::Settles => drop(self.ended_by_others.remove(call)),
                Step::None => {}
            }
        }
    }

    fn write_once(&mut self, batch: &mut Batch) -> Result<Position, audit::Error> {
        if !self.is_connected()
            && let Some(position) = self.reconnect(Some(batch))?
        {
            return Ok(position);
        }
        self.settle_in(batch)?;
        let Some(session) = &self.session else {
            return Err(Error::new(&self.location, Kind::Unreachable).into());
        };
        let (location, writer) = (&self.location, &self.writer);
        let before = self.tree.size();
        let limit = location.reconnect;
        let written = self.driver.run(async {
            let writing = session.write(location, writer, batch, before);
            let written = tokio::time::timeout(limit, writing).await;
            written.unwrap_or_else(|_| Err(Error::new(location, Kind::Silent)))
        });
        match written {
            Ok(first) => {
                self.committed(batch);
                self.let_go()?;
                Ok(Position(first))
            }
            Err(error) => {
                // whatever it was, only another session can tell what became of it
                self.session = None;
                Err(error.into())
            }
        }
    }
}

impl Store for Postgres {
    fn fingerprinter(&mut self, random: &Random) -> Result<Fingerprinter, audit::Error> {
        let key = Zeroizing::new(random.bytes::<32>());
        if let Some(session) = &self.session {
            // of several that start, one makes it
            let make = "INSERT INTO keygate.fingerprint_keys (version, key)
                 SELECT 1, $1 WHERE NOT EXISTS (SELECT FROM keygate.fingerprint_keys)
                 ON CONFLICT DO NOTHING";
            let made = async { session.client.execute(make, &[&key.as_slice()]).await };
            let made = self.driver.run(made);
            made.map_err(Error::of(&self.location))?;
        }
        let known = super::View::fingerprinter(&self.view)?;
        known.ok_or_else(|| (&self.view as &dyn super::View).damaged())
    }

    fn open_intents(&mut self) -> Result<Vec<Record>, audit::Error> {
        let origin = self.writer.origin.clone();
        let intents = self.view.open_intents(&origin)?;
        self.open.extend(intents.iter().map(|it| it.call.clone()));
        Ok(intents)
    }

    fn write(&mut self, batch: &mut Batch) -> Result<Position, audit::Error> {
        match self.write_once(batch) {
            // a session may end for reasons of its own: a new one, at once
            Err(error) if error.is_passing() => self.write_once(batch),
            result => result,
        }
    }

    fn tidy(&mut self, _debt: Debt) -> Result<(), audit::Error> {
        // the server does that, and keeps room for itself
        Ok(())
    }

    fn look(&mut self) -> Result<(), audit::Error> {
        // `attend` does
        Ok(())
    }

    fn view(&self) -> Result<Box<dyn super::View>, audit::Error> {
        Ok(Box::new(View::open(&self.location)?))
    }

    fn remote(&mut self) -> Option<&mut dyn Remote> {
        Some(self)
    }

    fn close(mut self: Box<Self>) -> Result<(), audit::Error> {
        // the lock goes with the session, once the server has heard of its end
        if let Some(session) = self.session.take() {
            self.driver.run(session.close());
        }
        Ok(())
    }
}
