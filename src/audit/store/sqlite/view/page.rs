//! Some of the records that a filter asks for, in their order.
//!
//! Where the filter names a term, each run is asked for it; records whose run is not
//! written yet are all handed over, for whoever asked to look at. Where it names none,
//! records are read one after the other, between the times that it names.

use rusqlite::{Connection, ToSql, params_from_iter};

use super::View;
use crate::audit::{
    Filter, Order, Position, record,
    store::{
        self, Kept,
        sqlite::terms,
        terms::{CALL, FINGERPRINT, REQUEST_ID, RESOURCE_ID, SUBJECT},
    },
};

/// What is asked for.
pub(super) struct Asked<'a> {
    pub(super) filter: &'a Filter,
    pub(super) order: Order,
    pub(super) limit: usize,
    pub(super) origin: &'a str,
}

/// A statement that grows.
struct Query {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Query {
    fn new(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            values: Vec::new(),
        }
    }

    fn and(&mut self, condition: &str, values: impl IntoIterator<Item = impl ToSql + 'static>) {
        self.sql += " AND ";
        self.sql += condition;
        let values = values.into_iter();
        self.values.extend(values.map(|it| Box::new(it) as _));
    }

    fn run(self, connection: &Connection, origin: &str) -> rusqlite::Result<Vec<Kept>> {
        connection
            .prepare_cached(&self.sql)?
            .query_map(params_from_iter(self.values), |row| View::kept(row, origin))?
            .collect()
    }
}

/// The next records after a position, at most as many as are asked for.
pub(super) fn page(
    connection: &Connection,
    asked: &Asked<'_>,
    after: Option<Position>,
) -> rusqlite::Result<Vec<Kept>> {
    let start = match asked.order {
        Order::Newest => i64::MAX,
        Order::Oldest => -1,
    };
    let start = after.map_or(start, |it| it.0.cast_signed());
    let Some(terms) = terms_of(asked.filter) else {
        return asked
            .records(0, start, asked.limit)
            .run(connection, asked.origin);
    };
    // Once for both parts: what is written meanwhile moves from one to the other.
    let indexed = terms::indexed(connection)?.cast_signed();
    let length = terms::length(connection)?.cast_signed();
    let tail = |start, limit| {
        let query = asked.records(indexed, start, limit);
        query.run(connection, asked.origin)
    };
    let runs = |mut start: i64, limit: usize| -> rusqlite::Result<Vec<Kept>> {
        let mut found = Vec::<Kept>::new();
        while found.len() < limit {
            let wanted = limit - found.len();
            let query = asked.runs(&terms, indexed, length, start, wanted);
            let more = query.run(connection, asked.origin)?;
            let is_last = more.len() < wanted;
            found.extend(more);
            // a record may have more than one of the terms
            found.dedup_by_key(|it| it.position);
            match found.last() {
                Some(last) if !is_last => start = last.position.0.cast_signed(),
                _ => break,
            }
        }
        Ok(found)
    };
    let mut page = match asked.order {
        Order::Newest => tail(start, asked.limit)?,
        Order::Oldest => runs(start, asked.limit)?,
    };
    let left = asked.limit - page.len();
    if left > 0 {
        page.extend(match asked.order {
            Order::Newest => runs(start, left)?,
            Order::Oldest => tail(start, left)?,
        });
    }
    Ok(page)
}

impl Asked<'_> {
    fn comparison(&self) -> (&'static str, &'static str) {
        match self.order {
            Order::Newest => ("<", "DESC"),
            Order::Oldest => (">", "ASC"),
        }
    }

    /// All records from a position on that the filter's columns let through.
    fn records(&self, from: i64, start: i64, limit: usize) -> Query {
        let (_, direction) = self.comparison();
        let mut query =
            Query::new("SELECT position, leaf, body FROM records WHERE body IS NOT NULL");
        let (first, last) = match self.order {
            Order::Newest => (from, start.saturating_sub(1)),
            Order::Oldest => (from.max(start.saturating_add(1)), i64::MAX),
        };
        self.between(&mut query, "position", 1, first, last);
        self.limit_to(&mut query);
        query.sql += &format!(" ORDER BY position {direction} LIMIT {limit}");
        query
    }

    /// The records of all runs that have one of these terms.
    fn runs(&self, terms: &[String], indexed: i64, length: i64, start: i64, limit: usize) -> Query {
        let (comparison, direction) = self.comparison();
        let marks = vec!["?"; terms.len()].join(", ");
        let mut query = Query::new(&format!(
            "SELECT records.position, leaf, body FROM runs
                 CROSS JOIN terms ON run = number AND term IN ({marks})
                 CROSS JOIN records ON records.position = terms.position
             WHERE body IS NOT NULL"
        ));
        let values = terms.iter().cloned();
        query.values.extend(values.map(|it| Box::new(it) as _));
        let run = start.div_euclid(length);
        let (first, last) = match self.order {
            Order::Newest => (0, run),
            Order::Oldest => (run, i64::MAX),
        };
        self.between(&mut query, "number", length, first, last);
        query.and(&format!("terms.position {comparison} ?"), [start]);
        query.and("terms.position < ?", [indexed]);
        self.limit_to(&mut query);
        query.sql += &format!(" ORDER BY number {direction}, terms.position {direction}");
        query.sql += &format!(" LIMIT {limit}");
        query
    }

    /// From the first to the last of what has so many records each, as far as they may
    /// be of the filter's times. One bound on each side: of more, a table would be
    /// searched by the first.
    fn between(&self, query: &mut Query, column: &str, records: i64, first: i64, last: i64) {
        let Filter { since, until, .. } = self.filter;
        match since.map(record::nanoseconds_of) {
            Some(time) => query.and(
                &format!("{column} >= max(?, {} / ?)", store::since("spans")),
                [first, time, records],
            ),
            None => query.and(&format!("{column} >= ?"), [first]),
        }
        match until.map(record::nanoseconds_of) {
            Some(time) => query.and(
                &format!("{column} <= min(?, ({} - 1) / ?)", store::until("spans")),
                [last, time, records],
            ),
            None => query.and(&format!("{column} <= ?"), [last]),
        }
    }

    /// What the columns that every record has can tell.
    fn limit_to(&self, query: &mut Query) {
        let Filter {
            kinds,
            since,
            until,
            ..
        } = self.filter;
        if !kinds.is_empty() {
            let marks = vec!["?"; kinds.len()].join(", ");
            let kinds: Vec<_> = kinds.iter().map(|it| it.name()).collect();
            query.and(&format!("kind IN ({marks})"), kinds);
        }
        if let Some(since) = since.map(record::nanoseconds_of) {
            query.and("time >= ?", [since]);
        }
        if let Some(until) = until.map(record::nanoseconds_of) {
            query.and("time < ?", [until]);
        }
    }
}

/// Terms of which each record that fits has one: those that the fewest have.
fn terms_of(filter: &Filter) -> Option<Vec<String>> {
    let term = |kind: char, text: &String| format!("{kind}{text}");
    if let Some(fingerprints) = &filter.fingerprints {
        let all = fingerprints.iter().map(|it| format!("{FINGERPRINT}{it}"));
        return Some(all.collect());
    }
    if let Some(call) = &filter.call {
        return Some(vec![term(CALL, call)]);
    }
    if let Some(id) = &filter.request_id {
        // where it is the call's id, it is kept as that alone
        return Some(vec![term(CALL, id), term(REQUEST_ID, id)]);
    }
    if let Some(id) = &filter.resource_id {
        return Some(vec![term(RESOURCE_ID, id)]);
    }
    let subject = filter.subject.as_ref().filter(|it| !it.contains('*'));
    subject.map(|it| vec![term(SUBJECT, it)])
}
