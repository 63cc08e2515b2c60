//! The query of a list: cursors, limit and filters. A value that makes no sense
//! is 400; a parameter that is not known is ignored.

use std::sync::Arc;

use axum::{
    Json,
    extract::{self, FromRequestParts},
    http::request::Parts,
};
use serde_json::{Value, json};

use super::{Simulator, refusal::Refusal};

/// How many objects a list has that nobody limits.
const PAGE: usize = 100;

/// What can be listed.
pub(super) trait Listed {
    fn id(&self) -> &str;
    fn name(&self) -> &str;
}

/// What is asked for.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    limit: usize,
}

impl FromRequestParts<Arc<Simulator>> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Simulator>) -> Result<Self, Refusal> {
        let extract::Query(pairs) =
            extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
                .map_err(|_| Refusal::bad("Malformed query string"))?;
        let mut query = Self { pairs, limit: PAGE };
        if let Some(limit) = query.one("limit") {
            let number = limit.parse();
            query.limit = number.map_err(|_| Refusal::bad("limit must be an integer >= 0"))?;
        }
        if query.one("starting_after").is_some() && query.one("ending_before").is_some() {
            let words = "You may only pass one of starting_after and ending_before";
            return Err(Refusal::bad(words));
        }
        Ok(query)
    }
}

impl Query {
    /// A parameter's value. An empty one counts as absent.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// A parameter's values, however often it is given.
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.pairs.iter();
        pairs
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The page of what is there, oldest first, that is asked for: newest first.
    /// `name` is the parameter that filters by name.
    pub(super) fn page<'r, T: Listed>(
        &self,
        rows: &'r [T],
        name: &str,
    ) -> Result<Vec<&'r T>, Refusal> {
        let place = |cursor: &str| {
            let at = rows.iter().position(|row| row.id() == cursor);
            at.ok_or_else(|| Refusal::bad(format!("No object with id {cursor}")))
        };
        // The reference repeats the parameter, the vendor's Python client joins.
        let ids: Vec<_> = self.all("ids").flat_map(|it| it.split(',')).collect();
        let lets_through = |row: &&T| {
            (ids.is_empty() || ids.contains(&row.id()))
                && self.one(name).is_none_or(|wanted| row.name() == wanted)
        };
        if let Some(cursor) = self.one("ending_before") {
            // The ones next to the cursor, and yet the newest of them first.
            let newer = rows[place(cursor)? + 1..].iter();
            let mut page: Vec<_> = newer.filter(lets_through).take(self.limit).collect();
            page.reverse();
            return Ok(page);
        }
        let end = self.one("starting_after").map_or(Ok(rows.len()), place)?;
        let older = rows[..end].iter().rev();
        Ok(older.filter(lets_through).take(self.limit).collect())
    }
}

/// The answer to a list.
pub(super) fn objects(objects: impl Iterator<Item = Value>) -> Json<Value> {
    Json(json!({ "objects": objects.collect::<Value>() }))
}
