//! One page of records, as SQL.

use tokio_postgres::types::ToSql;

use super::super::text::kept;
use crate::audit::{Filter, Order, Position, record};

/// How far the times of two records may stand against the order of their commits;
/// replicas' clocks differ too.
pub(super) const DISORDER_NS: i64 = 600 * 1_000_000_000;

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
    // positions and times run in one direction, but for a little disorder: what is
    // older or newer by more than that is surely before or behind
    if let Some(since) = filter.since {
        let since = record::nanoseconds_of(since).saturating_sub(DISORDER_NS);
        page.and(
            "position > coalesce((SELECT position FROM keygate.records WHERE time < ?
                 ORDER BY time DESC LIMIT 1), -1)",
            since,
        );
    }
    if let Some(until) = filter.until {
        let until = record::nanoseconds_of(until).saturating_add(DISORDER_NS);
        page.and(
            "position < coalesce((SELECT position FROM keygate.records WHERE time >= ?
                 ORDER BY time LIMIT 1), 9223372036854775807)",
            until,
        );
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
