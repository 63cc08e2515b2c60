//! What requests to upstream are made of: ids and names that are checked, paths
//! and queries that are encoded so that nothing in them reaches another route,
//! and bodies.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost_types::Timestamp;
use serde::Serialize;

use crate::{status::Violation, upstream::registry};

/// Everything but RFC 3986's unreserved characters.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The longest id and filter that are sent on, in bytes.
const LONGEST_ID: usize = 128;
const LONGEST_FILTER: usize = 1024;

/// Checks an id that becomes a part of a path. Ids of upstream's are UUIDs; what
/// could be read as anything but one part of a path is refused.
pub fn check_id(field: &'static str, id: &str, violations: &mut Vec<Violation>) {
    let fault = if id.is_empty() {
        "is required"
    } else if id.len() > LONGEST_ID {
        "is longer than 128 characters"
    } else if !id
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
    {
        "may hold letters, digits, `-` and `_` only"
    } else {
        return;
    };
    violations.push(Violation::new(field, fault));
}

/// Checks a text that goes into a body and may be left out.
pub fn check_text(field: &'static str, text: Option<&str>, violations: &mut Vec<Violation>) {
    if text.is_some_and(|it| it.len() > LONGEST_FILTER) {
        violations.push(Violation::new(field, "is longer than 1024 bytes"));
    }
}

/// Checks the configured name of an upstream, or of a part of one, which may be
/// empty. It stands in records and statuses, so it is bounded.
///
/// # Errors
/// The violation, if nothing can be configured under such a name.
pub fn check_place(field: &'static str, name: &str) -> Result<(), Violation> {
    if name.is_empty() || registry::is_last_part(name) {
        return Ok(());
    }
    let fault = format!("must be {}", registry::LAST_PART);
    Err(Violation::new(field, fault))
}

/// Checks a name that upstream requires.
pub fn check_name(name: Option<&str>, violations: &mut Vec<Violation>) {
    match name {
        None => violations.push(Violation::new("name", "is required by upstream")),
        Some(name) => check_new_name(Some(name), violations),
    }
}

/// Checks a name that may be left out.
pub fn check_new_name(name: Option<&str>, violations: &mut Vec<Violation>) {
    check_name_in("name", name, violations);
}

/// Checks a name that may be left out, in a field of this name.
pub fn check_name_in(field: &'static str, name: Option<&str>, violations: &mut Vec<Violation>) {
    // it stands in records, so it is bounded
    const LONGEST: usize = 1024;
    let fault = match name {
        Some(name) if name.trim().is_empty() => "must not be empty",
        Some(name) if name.len() > LONGEST => "is longer than 1024 bytes",
        _ => return,
    };
    violations.push(Violation::new(field, fault));
}

/// The JSON body of a value whose parts all serialize: strings, numbers, lists of
/// them, and structs of these.
pub fn body(value: &impl Serialize) -> Bytes {
    // such a value always serializes
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// One parameter of a query.
#[must_use]
pub fn parameter(name: &str, value: &str) -> String {
    let encode = |text| utf8_percent_encode(text, ENCODED);
    format!("{}={}", encode(name), encode(value))
}

/// A path with a query, in the making.
#[derive(Debug)]
pub struct Query<'v> {
    path: String,
    violations: &'v mut Vec<Violation>,
}

impl<'v> Query<'v> {
    /// A path without a query yet. What is wrong with its parameters goes into
    /// `violations`.
    pub fn new(path: impl Into<String>, violations: &'v mut Vec<Violation>) -> Self {
        Self {
            path: path.into(),
            violations,
        }
    }

    /// The path and query.
    #[must_use]
    pub fn finish(self) -> String {
        self.path
    }

    /// Notes what is wrong with a parameter.
    pub fn violate(&mut self, field: &'static str, fault: &str) {
        self.violations.push(Violation::new(field, fault));
    }

    /// Adds a parameter as it is.
    pub fn push(&mut self, name: &str, value: &str) {
        self.path
            .push(if self.path.contains('?') { '&' } else { '?' });
        self.path += &parameter(name, value);
    }

    /// A text.
    #[must_use]
    pub fn text(mut self, field: &'static str, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) if value.len() > LONGEST_FILTER => {
                self.violate(field, "is longer than 1024 bytes");
            }
            Some(value) => self.push(name, value),
            None => {}
        }
        self
    }

    /// An id.
    #[must_use]
    pub fn id(mut self, field: &'static str, name: &str, value: Option<&str>) -> Self {
        if let Some(id) = value {
            check_id(field, id, self.violations);
            self.push(name, id);
        }
        self
    }

    /// A number, 0 or more.
    #[must_use]
    pub fn count(mut self, field: &'static str, name: &str, value: Option<i32>) -> Self {
        match value {
            Some(number) if number >= 0 => self.push(name, &number.to_string()),
            Some(_) => self.violate(field, "must not be negative"),
            None => {}
        }
        self
    }

    /// A truth.
    #[must_use]
    pub fn flag(mut self, name: &str, value: Option<bool>) -> Self {
        if let Some(value) = value {
            self.push(name, if value { "true" } else { "false" });
        }
        self
    }

    /// A time, in RFC 3339.
    #[must_use]
    pub fn time(mut self, field: &'static str, name: &str, value: Option<&Timestamp>) -> Self {
        match value.map(|it| rfc3339(*it)) {
            Some(Some(time)) => self.push(name, &time),
            Some(None) => self.violate(field, "is not a time from year 1 to 9999"),
            None => {}
        }
        self
    }

    /// A text, any number of times.
    #[must_use]
    pub fn texts(self, field: &'static str, name: &str, values: &[String]) -> Self {
        self.all(field, values, |query, it| query.text(field, name, Some(it)))
    }

    /// An id, any number of times.
    #[must_use]
    pub fn ids(self, field: &'static str, name: &str, values: &[String]) -> Self {
        self.all(field, values, |query, it| query.id(field, name, Some(it)))
    }

    fn all(
        mut self,
        field: &'static str,
        values: &[String],
        add: impl Fn(Self, &str) -> Self,
    ) -> Self {
        if values.len() > 100 {
            self.violate(field, "has more than 100 values");
            return self;
        }
        values.iter().fold(self, |query, it| add(query, it))
    }
}

/// A time in RFC 3339; `None` if it is not one of years 1 to 9999.
#[must_use]
pub fn rfc3339(time: Timestamp) -> Option<String> {
    const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    let valid = YEARS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos);
    valid.then(|| time.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_id_reaches_another_route(id in ".*") {
            let mut violations = Vec::new();
            check_id("id", &id, &mut violations);
            let plain = !id.is_empty() && id.len() <= 128
                && id.chars().all(|it| it.is_ascii_alphanumeric() || it == '-' || it == '_');
            prop_assert_eq!(violations.is_empty(), plain);
        }

        #[test]
        fn no_text_leaves_its_parameter(text in ".{0,200}") {
            let mut violations = Vec::new();
            let path = Query::new("/a", &mut violations).text("f", "filter[x]", Some(&text)).finish();
            let uri: http::Uri = path.parse().unwrap();
            prop_assert_eq!(uri.path(), "/a");
            let query = uri.query().unwrap();
            prop_assert!(!query.contains(['&', '#', ' ', '+']));
            let (name, value) = query.split_once('=').unwrap();
            prop_assert_eq!(name, "filter%5Bx%5D");
            let value = percent_encoding::percent_decode_str(value).decode_utf8().unwrap();
            prop_assert_eq!(value, text);
        }
    }
}
