//! One page of records, as SQL.

use tokio_postgres::types::ToSql;

use super::super::text::kept;
use crate::audit::{Filter, Order, Position, record, store};

/// The times of neighbouring records.
pub(super) const SPANS: &str = "keygate.spans";

/// A statement and its parameters.
pub(super) struct Page {
    pub(super) sql: String,
    pub(super) values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Page {
    /// Adds a condition with a value, which stands in it as `?`.
    fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        self.values.push(Box::new(value));
        let mark = format!("${}", self.values.len());
        self.sql += " AND ";
        self.sql += &condition.replace('?', &mark);
    }
}

/// At most so many records in this order, after a position, as far as columns can
/// tell which.
pub(super) fn page(filter: &Filter, order: Order, after: Option<Position>, limit: usize) -> Page {
    let (comparison, direction) = match order {
        Order::Newest => ("position < ?", "DESC"),
        Order::Oldest => ("position > ?", "ASC"),
    };
    let mut page = Page {
        sql: "SELECT position, origin, leaf_index, leaf, body FROM keygate.records
             WHERE body IS NOT NULL"
            .to_owned(),
        values: Vec::new(),
    };
    if let Some(Position(after)) = after {
        page.and(comparison, after.cast_signed());
    }
    if !filter.kinds.is_empty() {
        let kinds: Vec<_> = filter.kinds.iter().map(|it| it.name()).collect();
        page.and("kind = ANY(?)", kinds);
    }
    // a pattern is held against records by others
    let subject = filter.subject.clone().filter(|it| !it.contains('*'));
    for (condition, value) in [
        ("call = ?", &filter.call),
        ("request_id = ?", &filter.request_id),
        ("subject = ?", &subject),
        ("resource_id = ?", &filter.resource_id),
    ] {
        if let Some(value) = value {
            page.and(condition, kept(value).into_owned());
        }
    }
    if let Some(since) = filter.since.map(record::nanoseconds_of) {
        page.and(&format!("position >= {}", store::since(SPANS)), since);
        page.and("time >= ?", since);
    }
    if let Some(until) = filter.until.map(record::nanoseconds_of) {
        page.and(&format!("position < {}", store::until(SPANS)), until);
        page.and("time < ?", until);
    }
    if let Some(fingerprints) = &filter.fingerprints {
        let fingerprints: Vec<_> = fingerprints.iter().map(ToString::to_string).collect();
        page.and(
            "position IN (SELECT position FROM keygate.fingerprints WHERE fingerprint = ANY(?))",
            fingerprints,
        );
    }
    page.sql += &format!(" ORDER BY position {direction} LIMIT {limit}");
    page
}
