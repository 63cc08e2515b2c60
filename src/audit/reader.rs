//! Reading a trail, also while a server writes to it.
//!
//! A reader changes nothing and holds no long snapshot: it reads page by page, in
//! the order of positions, so that a listing does not keep the log from being
//! moved into the file.

use std::vec;

use super::{
    Error, Filter, Fingerprint, Fingerprinter, Position, Record, Settings,
    filter::Matcher,
    store::{self, Hashed, Kept, View},
    tree::{Frontier, Hash, proof},
};

/// How many records are read at a time.
const PAGE: usize = 512;

/// A trail that is open for reading.
#[derive(Debug)]
pub struct Reader {
    view: Box<dyn View>,
    origin: String,
    fingerprinter: Option<Fingerprinter>,
}

/// Which records to read, in which order, and how many.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// Only records that come, in this order, after this position.
    pub after: Option<Position>,
    /// Only records before this position, whatever the order.
    pub before: Option<Position>,
    /// At most so many; `None` for all.
    pub limit: Option<usize>,
    /// At most so many are looked at, whether they fit or not; `None` for all.
    pub budget: Option<usize>,
}

/// An order of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the trail.
    pub position: Position,
    /// The tree that it is in.
    pub origin: String,
    /// Its place in that tree.
    pub index: u64,
    /// Its hash there.
    pub leaf: Hash,
    /// What it says.
    pub record: Record,
    /// Its exact bytes.
    pub body: Vec<u8>,
}

impl Reader {
    /// Opens a trail to read it.
    ///
    /// # Errors
    /// [`Error`] if there is no trail, or it can't be read.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let view = store::view(settings)?;
        let fingerprinter = view.fingerprinter()?;
        Ok(Self {
            view,
            origin: settings.origin.clone(),
            fingerprinter,
        })
    }

    /// Every fingerprint that records may hold of this secret: one for each key
    /// that the trail has ever had.
    #[must_use]
    pub fn fingerprints(&self, secret: &str) -> Vec<Fingerprint> {
        self.fingerprinter
            .as_ref()
            .map_or_else(Vec::new, |it| it.all(secret))
    }

    /// The records that the query asks for. What is committed while they are read
    /// is among them if it is still to come in the query's order.
    #[must_use]
    pub fn records(&self, query: Query) -> Records<'_> {
        let end = query.before.filter(|_| query.order == Order::Newest);
        let after = query.after.into_iter().chain(end).min();
        Records {
            reader: self,
            matcher: Matcher::new(query.filter),
            order: query.order,
            after: match query.order {
                Order::Newest => after,
                Order::Oldest => query.after,
            },
            before: query.before,
            left: query.limit.unwrap_or(usize::MAX),
            budget: query.budget.unwrap_or(usize::MAX),
            page: Vec::new().into_iter(),
            last_page: false,
            ended: false,
        }
    }

    /// The position behind the last record: all before it are committed, and what is
    /// committed from now on comes there or later.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn end(&self) -> Result<Position, Error> {
        self.view.end()
    }

    /// Where a record is, pruned or not: its tree, its place there, and its hash.
    /// `None` if there is no such record.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn place(&self, position: Position) -> Result<Option<(String, u64, Hash)>, Error> {
        let place = self.view.place(position)?;
        Ok(place.map(|it| (it.origin, it.index, it.leaf)))
    }

    /// A tree as it was when it had so many records, no more than it has.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn tree(&self, origin: &str, size: u64) -> Result<Frontier, Error> {
        Frontier::of(&self.hashed(origin), size)
    }

    /// The trees that the records are in, by their origins, with their sizes.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn origins(&self) -> Result<Vec<(String, u64)>, Error> {
        self.view.origins()
    }

    /// The newest checkpoint of a tree that was published; a signed note.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn checkpoint(&self, origin: &str) -> Result<Option<String>, Error> {
        self.view.checkpoint(origin)
    }

    /// The outcomes `unknown` that nothing has settled yet and that this replica is
    /// to settle, in their order.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn unresolved(&self) -> Result<Vec<Stored>, Error> {
        let kept = self.view.unresolved(Some(&self.origin))?;
        kept.into_iter().map(|it| self.stored(it)).collect()
    }

    /// The hash of a record in its tree; `None` if there is no such record.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn leaf(&self, origin: &str, index: u64) -> Result<Option<Hash>, Error> {
        Ok(self.view.leaves(origin, index, 1)?.pop())
    }

    /// The root of a tree when it had so many records, no more than it has.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn root(&self, origin: &str, size: u64) -> Result<Hash, Error> {
        proof::root(&self.hashed(origin), size)
    }

    /// The proof that a tree of this size holds the record at this place, which has
    /// to be below the size.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn inclusion(&self, origin: &str, index: u64, size: u64) -> Result<Vec<Hash>, Error> {
        proof::inclusion(&self.hashed(origin), index, size)
    }

    /// The proof that a tree of this size began as that of `old` records.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn consistency(&self, origin: &str, old: u64, size: u64) -> Result<Vec<Hash>, Error> {
        proof::consistency(&self.hashed(origin), old, size)
    }

    fn hashed<'a>(&'a self, origin: &'a str) -> Hashed<'a> {
        Hashed {
            view: &*self.view,
            origin,
        }
    }

    pub(super) fn view(&self) -> &dyn View {
        &*self.view
    }

    pub(super) fn stored(&self, kept: Kept) -> Result<Stored, Error> {
        let record = serde_json::from_slice(&kept.body).map_err(|source| Error::Record {
            store: self.view.name(),
            position: kept.position,
            source,
        })?;
        Ok(Stored {
            position: kept.position,
            origin: kept.origin,
            index: kept.index,
            leaf: kept.leaf,
            record,
            body: kept.body,
        })
    }
}

/// The records of a query, one by one.
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a Reader,
    matcher: Matcher,
    order: Order,
    after: Option<Position>,
    before: Option<Position>,
    left: usize,
    budget: usize,
    page: vec::IntoIter<Kept>,
    last_page: bool,
    ended: bool,
}

impl Records<'_> {
    /// After which position it goes on, once there are no more records here: the
    /// limit or the budget was reached. `None` if there are no more at all.
    #[must_use]
    pub fn rest(&self) -> Option<Position> {
        let next = self.page.as_slice().first();
        let is_last = match next {
            None => self.last_page,
            Some(next) => self.before.is_some_and(|it| next.position >= it),
        };
        self.after.filter(|_| !self.ended && !is_last)
    }

    fn step(&mut self) -> Result<Option<Stored>, Error> {
        while self.left > 0 && !self.ended {
            let Some(kept) = self.page.next() else {
                if self.last_page {
                    self.ended = true;
                    break;
                }
                if self.budget == 0 {
                    break;
                }
                let view = &self.reader.view;
                let most = PAGE.min(self.budget);
                let page = view.page(&self.matcher.filter, self.order, self.after, most);
                let page = page.inspect_err(|_| self.left = 0)?;
                self.last_page = page.len() < most;
                self.page = page.into_iter();
                continue;
            };
            if self.before.is_some_and(|it| kept.position >= it) {
                self.ended = true;
                break;
            }
            self.after = Some(kept.position);
            self.budget = self.budget.saturating_sub(1);
            let stored = self.reader.stored(kept)?;
            if self.matcher.matches(&stored.record) {
                self.left -= 1;
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Stored, Error>;

    /// The next record. A record that can't be read is an error, and the ones
    /// behind it can still be asked for.
    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
