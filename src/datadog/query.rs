//! Queries as Datadog writes them: pages, sort orders, related resources.

use prost_types::Timestamp;

pub use crate::gateway::request::Query;

impl Query<'_> {
    /// `page[size]` and `page[number]`.
    #[must_use]
    pub fn page(mut self, size: Option<i32>, number: Option<i32>) -> Self {
        match size {
            Some(size) if (1..=100).contains(&size) => self.push("page[size]", &size.to_string()),
            Some(_) => self.violate("page_size", "must be from 1 to 100"),
            None => {}
        }
        self.count("page_number", "page[number]", number)
    }

    /// `filter`: a part of the name.
    #[must_use]
    pub fn filter(self, part: Option<&str>) -> Self {
        self.text("filter", "filter", part)
    }

    /// `filter[created_at][start]` and `filter[created_at][end]`.
    #[must_use]
    pub fn created_at(self, start: Option<&Timestamp>, end: Option<&Timestamp>) -> Self {
        self.time("created_at_start", "filter[created_at][start]", start)
            .time("created_at_end", "filter[created_at][end]", end)
    }

    /// A value of a closed set by its number; 0 is none. `known` gives upstream's
    /// spelling.
    #[must_use]
    pub fn sort<E: TryFrom<i32>>(
        mut self,
        value: i32,
        known: impl Fn(E) -> Option<&'static str>,
    ) -> Self {
        match E::try_from(value).ok().and_then(known) {
            Some(sort) => self.push("sort", sort),
            None if value == 0 => {}
            None => self.violate("sort", "is not a sort order that this version knows"),
        }
        self
    }

    /// Related resources by their numbers, comma-separated.
    #[must_use]
    pub fn include<E: TryFrom<i32>>(
        mut self,
        values: &[i32],
        known: impl Fn(E) -> Option<&'static str>,
    ) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for value in values {
            match E::try_from(*value).ok().and_then(&known) {
                Some(name) if names.contains(&name) => {}
                Some(name) => names.push(name),
                None => self.violate("include", "is not an include that this version knows"),
            }
        }
        if !names.is_empty() {
            self.push("include", &names.join(","));
        }
        self
    }
}
