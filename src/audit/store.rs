//! Where a trail is kept: what a [`Store`] promises, whatever is behind it.
//!
//! A store takes batches of records that are ready to be written, each with its
//! place in the tree, and gives them back to whoever reads ([`View`]). It knows no
//! queue and no thread, and decides nothing about a record.

use std::{
    collections::HashMap,
    fmt,
    time::{Duration, SystemTime},
};

use self::terms::Indexed;
use super::{
    Error, Filter, Fingerprinter, Location, Order, Owner, Position, Record, Settings,
    tree::{Frontier, Hash, Hashes, STORED_HEIGHT},
};
use crate::{clock::Clock, random::Random};

mod batch;
mod kept;
pub mod postgres;
pub(super) mod sqlite;
pub(super) mod terms;

pub(super) use self::{
    batch::{Batch, Debt, Removal, Row, Step},
    kept::{Columns, Kept, KeptKey, Leaf, Place, SPAN, Span, UPKEEP, since, until},
};

/// A trail that is open for writing.
pub(super) trait Store: fmt::Debug + Send {
    /// The retained fingerprint keys; the first one is made here.
    fn fingerprinter(&mut self, random: &Random) -> Result<Fingerprinter, Error>;

    /// The intents that have no terminal record, in their order.
    fn open_intents(&mut self) -> Result<Vec<Record>, Error>;

    /// Writes a batch in one synced transaction, or nothing of it, and says where
    /// the first of its records is. The others follow it.
    ///
    /// An error that says that there is no room ([`Error::is_full`]) leaves
    /// everything as it was, and room for what is owed.
    ///
    /// After an error that [passes](Error::is_passing) the same batch is written
    /// again, and nothing else. What has become known meanwhile may change it.
    fn write(&mut self, batch: &mut Batch) -> Result<Position, Error>;

    /// The store as one that may go and come back; `None` if it is none.
    fn remote(&mut self) -> Option<&mut dyn Remote> {
        None
    }

    /// Looks after what is written, when nobody waits for it.
    fn tidy(&mut self, debt: Debt) -> Result<(), Error>;

    /// Looks whether it is still there and can be written to.
    fn look(&mut self) -> Result<(), Error>;

    /// Reads what is written here, beside the writer.
    fn view(&self) -> Result<Box<dyn View>, Error>;

    /// Leaves everything as it should be found.
    fn close(self: Box<Self>) -> Result<(), Error>;
}

/// A store that may go and come back.
pub(super) trait Remote {
    /// How long it may be away before nobody waits for it any more.
    fn patience(&self) -> Duration;

    /// Looks after it: whether it is still there, and whether others have left
    /// intents behind that have no terminal record, which nobody else ends until the
    /// next call. These are handed over.
    fn attend(&mut self) -> Result<Vec<Record>, Error>;
}

/// Opens the store that the settings name, and makes it if there is none.
pub(super) fn open(
    settings: &Settings,
    clock: &Clock,
    random: &Random,
) -> Result<Box<dyn Store>, Error> {
    let origin = &settings.origin;
    Ok(match &settings.store {
        Location::Sqlite(path) => Box::new(sqlite::Sqlite::open(path, origin)?),
        Location::Postgres(it) => Box::new(postgres::Postgres::open(it, origin, clock, random)?),
    })
}

/// Opens what the settings name to read it.
pub(super) fn view(settings: &Settings) -> Result<Box<dyn View>, Error> {
    Ok(match &settings.store {
        Location::Sqlite(path) => Box::new(sqlite::view::View::open(path)?),
        Location::Postgres(it) => Box::new(postgres::view::View::open(it)?),
    })
}

/// Brings the tables of a store to the newest version, and gives a role what serving
/// needs. The versions before and after; `None` if the store has none to speak of.
///
/// # Errors
/// [`Error`] if that can't be done.
pub fn migrate(location: &Location, role: Option<&str>) -> Result<Option<(i64, i64)>, Error> {
    match location {
        Location::Sqlite(_) => Ok(None),
        Location::Postgres(it) => postgres::migrate(it, role).map(Some),
    }
}

/// A trail that is open for reading. What it gives is committed.
pub(super) trait View: fmt::Debug + Send {
    /// Where the trail is, to be told to people.
    fn name(&self) -> String;

    /// The retained fingerprint keys; `None` if the trail has none yet.
    fn fingerprinter(&self) -> Result<Option<Fingerprinter>, Error>;

    /// Who made these keys of one type at one upstream.
    fn owners(
        &self,
        upstream: &str,
        resource_type: &str,
        ids: &[String],
    ) -> Result<HashMap<String, Owner>, Error>;

    /// At most so many records in this order, after a position. The filter may be
    /// used as far as the store can; what does not fit it is left out by others.
    fn page(
        &self,
        filter: &Filter,
        order: Order,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Kept>, Error>;

    /// The outcomes `unknown` that nothing has settled yet, in their order: all, or
    /// those that whoever writes as an origin is to settle.
    fn unresolved(&self, of: Option<&str>) -> Result<Vec<Kept>, Error>;

    /// Which of these outcomes `unknown`, by where they are, whoever writes as an
    /// origin is still to settle: others may have settled them.
    fn still_unresolved(&self, of: &str, at: &[Position]) -> Result<Vec<Position>, Error> {
        // of one writer nobody else does
        let _ = of;
        Ok(at.to_vec())
    }

    /// Takes the turn to look after the trail as a whole, if nobody has it; it is had
    /// until the view is dropped.
    fn take_turn(&self) -> Result<bool, Error> {
        // of one writer it is always the turn
        Ok(true)
    }

    /// Has everything that is read from now on be of one state of the trail.
    fn freeze(&self) -> Result<(), Error>;

    /// The position behind the last record: all before it are committed.
    fn end(&self) -> Result<Position, Error>;

    /// Where a record is, pruned or not; `None` if there is none there.
    fn place(&self, position: Position) -> Result<Option<Place>, Error>;

    /// At most so many records behind a position that are to be pruned if everything
    /// before a time is, oldest first: all but those of calls that are not known to
    /// have ended well or badly, and those that tell of the trail itself.
    fn prunable(
        &self,
        before: SystemTime,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Kept>, Error>;

    /// How many records before a time are kept when everything before it is pruned,
    /// because nobody knows how their calls have ended.
    fn unsettled(&self, before: SystemTime) -> Result<u64, Error>;

    /// The trees that records are in, by their origins, with their sizes.
    fn origins(&self) -> Result<Vec<(String, u64)>, Error>;

    /// Hands over the records of a tree in their order, from a place on, with
    /// the bodies of those that have not been pruned, until it is told `false`.
    fn scan(
        &self,
        origin: &str,
        from: u64,
        each: &mut dyn FnMut(Leaf<'_>) -> bool,
    ) -> Result<(), Error>;

    /// The hashes of these leaves: as many as there are, from the first.
    fn leaves(&self, origin: &str, from: u64, count: u64) -> Result<Vec<Hash>, Error>;

    /// The stored roots of subtrees of a level: as many as there are, from the first.
    fn subtrees(&self, origin: &str, level: u32, from: u64, count: u64)
    -> Result<Vec<Hash>, Error>;

    /// The published checkpoints of a tree, the smallest first: their sizes and notes.
    fn checkpoints(&self, origin: &str) -> Result<Vec<(u64, String)>, Error>;

    /// The newest of them.
    fn checkpoint(&self, origin: &str) -> Result<Option<String>, Error>;

    /// Every key and its maker, as they are kept beside the records.
    fn keys(&self) -> Result<Vec<KeptKey>, Error>;

    /// Which terms are kept apart from the records.
    fn indexed(&self) -> Result<Indexed, Error>;

    /// Hands over every term that is kept apart, with its kind and its record.
    fn terms(&self, each: &mut dyn FnMut(char, &str, Position)) -> Result<(), Error>;

    /// The intents that are kept as open ones: their calls and positions.
    fn open(&self) -> Result<Vec<(String, Position)>, Error>;

    /// The times of neighbouring records, in their order.
    fn spans(&self) -> Result<Vec<Span>, Error>;
}

/// The hashes of a tree as a view gives them: of its leaves, and the roots of
/// subtrees of every stored level. What lies between is made from the level below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed<'a> {
    pub(super) view: &'a dyn View,
    pub(super) origin: &'a str,
}

impl Hashes for Hashed<'_> {
    type Error = Error;

    fn subtree(&self, height: u32, index: u64) -> Result<Hash, Error> {
        let (level, above) = (height / STORED_HEIGHT, height % STORED_HEIGHT);
        let (from, count) = (index << above, 1 << above);
        let found = match level {
            0 => self.view.leaves(self.origin, from, count)?,
            _ => self.view.subtrees(self.origin, level, from, count)?,
        };
        if found.len() as u64 != count {
            return Err(self.view.damaged());
        }
        let mut tree = Frontier::default();
        found.into_iter().for_each(|it| tree.push(it, |_| ()));
        // complete, so its only root
        Ok(tree.root())
    }
}

impl dyn View + '_ {
    /// The right edge of a tree; of one that there is not, the empty one.
    pub(super) fn tree(&self, origin: &str) -> Result<Frontier, Error> {
        let origins = self.origins()?;
        let size = origins
            .iter()
            .find_map(|(known, size)| (known == origin).then_some(*size));
        Frontier::of(&Hashed { view: self, origin }, size.unwrap_or(0))
    }

    pub(super) fn damaged(&self) -> Error {
        Error::Damaged { store: self.name() }
    }
}
