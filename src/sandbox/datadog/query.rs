//! The query of a list: page, sort, filters and includes. A value that makes
//! no sense is 400; a parameter that is not known is ignored.

use std::{sync::Arc, time::SystemTime};

use axum::{
    extract::{self, FromRequestParts},
    http::request::Parts,
};

use super::{Simulator, document::Refusal, time};

const MAX_PAGE: usize = 100;

/// All parameters, in order.
pub(super) struct Query(Vec<(String, String)>);

impl FromRequestParts<Arc<Simulator>> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Simulator>) -> Result<Self, Refusal> {
        extract::Query::try_from_uri(&parts.uri)
            .map(|extract::Query(pairs)| Self(pairs))
            .map_err(|_| Refusal::bad("Malformed query string"))
    }
}

impl Query {
    /// A parameter's value. An empty one counts as absent.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// A parameter's values, however often it is given.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// `page[size]`, `page[number]`.
    pub(super) fn page(&self, default: usize) -> Result<Page, Refusal> {
        let size = self.number("page[size]")?.unwrap_or(default);
        if size == 0 || size > MAX_PAGE {
            return Err(invalid("page[size]"));
        }
        let number = self.number("page[number]")?.unwrap_or(0);
        Ok(Page { size, number })
    }

    /// `sort`, by `name` unless asked otherwise.
    pub(super) fn sort(&self, keys: &[&'static str]) -> Result<Sort, Refusal> {
        let text = self.one("sort").unwrap_or("name");
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let key = keys.iter().find(|key| **key == name);
        key.map(|key| Sort { key, descending })
            .ok_or_else(|| invalid("sort"))
    }

    /// Whether `filter` lets a name through: it is a part of it, in any case.
    pub(super) fn lets_through(&self, name: &str) -> bool {
        self.one("filter")
            .is_none_or(|filter| name.to_lowercase().contains(&filter.to_lowercase()))
    }

    /// `filter[<field>][start]`, `filter[<field>][end]`.
    pub(super) fn period(&self, field: &str) -> Result<Period, Refusal> {
        let bound = |end: &str| {
            let name = format!("filter[{field}][{end}]");
            self.one(&name)
                .map(|text| time::parse(text).ok_or_else(|| invalid(&name)))
                .transpose()
        };
        Ok(Period {
            start: bound("start")?,
            end: bound("end")?,
        })
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.one(name)
            .map(|text| text.parse().map_err(|_| invalid(name)))
            .transpose()
    }

    /// `include`: comma-separated, repeated, or both.
    pub(super) fn include(&self, known: &[&str]) -> Result<Vec<&str>, Refusal> {
        let named: Vec<_> = self
            .all("include")
            .flat_map(|text| text.split(','))
            .collect();
        match named.iter().all(|name| known.contains(name)) {
            true => Ok(named),
            false => Err(invalid("include")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        self.one(name)
            .map(|text| text.parse().map_err(|_| invalid(name)))
            .transpose()
    }
}

fn invalid(name: &str) -> Refusal {
    Refusal::bad(format!("Invalid value for query parameter {name}"))
}

/// Which part of a list is wanted. Pages count from 0.
pub(super) struct Page {
    size: usize,
    number: usize,
}

impl Page {
    pub(super) fn of<'r, T>(&self, rows: &'r [T]) -> &'r [T] {
        let begin = self.number.saturating_mul(self.size).min(rows.len());
        let end = begin.saturating_add(self.size).min(rows.len());
        &rows[begin..end]
    }
}

/// What rows are ordered by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank<'r> {
    Flag(bool),
    Text(&'r str),
    Time(Option<SystemTime>),
    /// Later than any time.
    Never,
}

/// An order.
pub(super) struct Sort {
    key: &'static str,
    descending: bool,
}

impl Sort {
    /// Orders rows by the sort key's rank. Rows of equal rank stay as they
    /// were, in order of creation, so that pages neither repeat nor skip one.
    pub(super) fn order<T>(&self, rows: &mut [&T], rank: impl for<'r> Fn(&'r T, &str) -> Rank<'r>) {
        rows.sort_by(|a, b| {
            let ordering = rank(a, self.key).cmp(&rank(b, self.key));
            if self.descending {
                ordering.reverse()
            } else {
                ordering
            }
        });
    }
}

/// A period, its ends included.
pub(super) struct Period {
    start: Option<SystemTime>,
    end: Option<SystemTime>,
}

impl Period {
    pub(super) fn contains(&self, time: SystemTime) -> bool {
        self.start.is_none_or(|start| start <= time) && self.end.is_none_or(|end| time <= end)
    }
}
