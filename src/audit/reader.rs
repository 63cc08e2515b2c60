//! Reading a trail, also while a server writes to it.
//!
//! A reader changes nothing and holds no long snapshot: it reads page by page, in
//! the order of positions, so that a listing does not keep the log from being
//! moved into the file.

use std::{path::PathBuf, vec};

use rusqlite::{Connection, ToSql, params_from_iter};

use super::{
    Error, Filter, Fingerprint, Fingerprinter, Position, Record, Settings, filter::Matcher, owners,
    schema, store,
};

/// How many records are read at a time.
const PAGE: usize = 512;

/// A trail that is open for reading.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
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
    /// At most so many; `None` for all.
    pub limit: Option<usize>,
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
        let path = settings.store.path().to_owned();
        if !path.exists() {
            return Err(Error::Missing { path });
        }
        let connection = owners::read_only(&path)?;
        if schema::version(&connection, &path)? == 0 {
            return Err(Error::NotATrail { path });
        }
        let fingerprinter = store::fingerprinter(&connection, &path)?;
        Ok(Self {
            connection,
            path,
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
        Records {
            reader: self,
            matcher: Matcher::new(query.filter),
            order: query.order,
            after: query.after,
            left: query.limit.unwrap_or(usize::MAX),
            page: Vec::new().into_iter(),
            last_page: false,
        }
    }

    /// The next page: what SQL can choose is chosen here.
    fn page(
        &self,
        filter: &Filter,
        order: Order,
        after: Option<Position>,
    ) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let (comparison, direction, start) = match order {
            Order::Newest => ("<", "DESC", i64::MAX),
            Order::Oldest => (">", "ASC", -1),
        };
        let start = after.map_or(start, |it| it.0.cast_signed());
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(start)];
        let mut conditions = format!("position {comparison} ?");
        if let Some(kind) = filter.kind {
            conditions += " AND kind = ?";
            values.push(Box::new(kind.name()));
        }
        if let Some(call) = &filter.call {
            conditions += " AND call = ?";
            values.push(Box::new(call.clone()));
        }
        if let Some(fingerprints) = &filter.fingerprints {
            let marks = vec!["?"; fingerprints.len()].join(", ");
            conditions += &format!(
                " AND position IN (SELECT position FROM fingerprints WHERE fingerprint IN ({marks}))"
            );
            for fingerprint in fingerprints {
                values.push(Box::new(fingerprint.to_string()));
            }
        }
        let sql = format!(
            "SELECT position, body FROM records WHERE {conditions}
             ORDER BY position {direction} LIMIT {PAGE}"
        );
        self.connection
            .prepare_cached(&sql)?
            .query_map(params_from_iter(values), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect()
    }
}

/// The records of a query, one by one.
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a Reader,
    matcher: Matcher,
    order: Order,
    after: Option<Position>,
    left: usize,
    page: vec::IntoIter<(i64, Vec<u8>)>,
    last_page: bool,
}

impl Records<'_> {
    fn step(&mut self) -> Result<Option<Stored>, Error> {
        while self.left > 0 {
            let Some((position, body)) = self.page.next() else {
                if self.last_page {
                    break;
                }
                let page = self
                    .reader
                    .page(&self.matcher.filter, self.order, self.after)
                    .map_err(Error::database(&self.reader.path, "read"))?;
                self.last_page = page.len() < PAGE;
                self.page = page.into_iter();
                continue;
            };
            let position = Position(position.cast_unsigned());
            self.after = Some(position);
            let record = serde_json::from_slice(&body).map_err(|source| Error::Record {
                path: self.reader.path.clone(),
                position,
                source,
            })?;
            if self.matcher.matches(&record) {
                self.left -= 1;
                return Ok(Some(Stored {
                    position,
                    record,
                    body,
                }));
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
        let step = self.step();
        if matches!(step, Err(Error::Database { .. })) {
            self.left = 0;
        }
        step.transpose()
    }
}
