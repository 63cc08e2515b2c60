//! One value of a file, and the kinds of value that any file has.

use std::{fmt, path::Path, path::PathBuf};

use toml::{Spanned, de::DeValue};

use super::{Document, Table};

/// A kind of setting.
pub trait Read: Sized {
    /// Reads it. `None` if it has a fault, which has then been reported.
    fn read(item: &Item<'_>) -> Option<Self>;
}

impl Read for String {
    fn read(item: &Item<'_>) -> Option<Self> {
        item.string().map(str::to_owned)
    }
}

impl Read for bool {
    fn read(item: &Item<'_>) -> Option<Self> {
        item.boolean()
    }
}

impl<T: Read> Read for Vec<T> {
    /// All elements are read before one with a fault ends it.
    fn read(item: &Item<'_>) -> Option<Self> {
        let all: Vec<_> = item.items()?.iter().map(T::read).collect();
        all.into_iter().collect()
    }
}

/// A path. A relative one starts from the file's folder.
impl Read for PathBuf {
    fn read(item: &Item<'_>) -> Option<Self> {
        let path = item.base_dir().join(item.string()?);
        item.document.names(&path);
        Some(path)
    }
}

/// One value, and where it stands.
pub struct Item<'d> {
    document: &'d Document<'d>,
    path: String,
    line: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Item<'d> {
    pub(super) fn new(
        document: &'d Document<'d>,
        path: String,
        line: usize,
        value: &'d Spanned<DeValue<'d>>,
    ) -> Self {
        Self {
            document,
            path,
            line,
            value: value.get_ref(),
        }
    }

    /// The line it stands on, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The folder that relative paths start from.
    #[must_use]
    pub fn base_dir(&self) -> &'d Path {
        self.document.base_dir
    }

    /// Reports a fault of it.
    pub fn fault(&self, message: impl Into<String>) {
        self.document.fault(&self.path, Some(self.line), message);
    }

    /// Whether it is a string.
    #[must_use]
    pub fn is_string(&self) -> bool {
        self.value.is_str()
    }

    /// The text of a string that is not empty.
    #[must_use]
    pub fn string(&self) -> Option<&'d str> {
        let Some(text) = self.value.as_str() else {
            return self.mistyped("a string");
        };
        if text.is_empty() {
            self.fault("this must not be empty");
            return None;
        }
        Some(text)
    }

    /// True or false.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        self.value
            .as_bool()
            .or_else(|| self.mistyped("true or false"))
    }

    /// A whole number: the inner `None` is one too large for 64 bits.
    pub(super) fn integer(&self) -> Option<Option<i64>> {
        let Some(number) = self.value.as_integer() else {
            return self.mistyped("a whole number");
        };
        Some(i64::from_str_radix(number.as_str(), number.radix()).ok())
    }

    /// The elements of an array.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Item<'d>>> {
        let Some(array) = self.value.as_array() else {
            let header = self.value.is_table() && !self.path.contains('[');
            return match header {
                true => self.mistyped(&format!("an array: write `[[{}]]`", self.path)),
                false => self.mistyped("an array"),
            };
        };
        let element = |(at, value): (usize, &'d Spanned<DeValue<'d>>)| {
            let line = self.document.line(&value.span());
            Item::new(self.document, format!("{}[{at}]", self.path), line, value)
        };
        Some(array.iter().enumerate().map(element).collect())
    }

    /// A table, read by `read`. What it did not ask for is a fault.
    pub fn table<T>(&self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Option<T> {
        let Some(table) = self.value.as_table() else {
            return self.mistyped("a table");
        };
        Table::new(
            self.document,
            self.path.clone(),
            Some(self.line),
            Some(table),
        )
        .read(read)
    }

    fn mistyped<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.fault(format!("this is {found}, and must be {expected}"));
        None
    }
}

/// Says nothing of the value.
impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Item").field(&self.path).finish()
    }
}
