//! Reads TOML setting by setting, and collects every fault on the way.
//!
//! A [`Table`] is asked for its settings by name; a setting that nothing asked
//! for is a fault. A read that finds a fault reports it and gives `None`, so
//! that a caller reads all it needs before it gives up. No message repeats a
//! value unless a [`Read`] puts it there: a value may be a misplaced secret.

use std::{cell::RefCell, fmt::Display, ops::Range, ops::RangeInclusive, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::{Fault, Faults};

/// A kind of setting.
pub trait Read: Sized {
    /// Reads it. `None` if it has a fault, which has then been reported.
    fn read(item: &Item<'_>) -> Option<Self>;
}

/// A text that is being read.
#[derive(Debug)]
pub struct Document<'d> {
    text: &'d str,
    base_dir: &'d Path,
    faults: RefCell<Vec<Fault>>,
}

impl<'d> Document<'d> {
    /// Reads a text. Relative paths in it start from `base_dir`.
    ///
    /// # Errors
    /// All the faults that were reported. If it is not TOML, only that is: what
    /// is left of a broken text would say things that nobody wrote.
    pub fn read<T>(
        text: &'d str,
        base_dir: &'d Path,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Result<T, Faults> {
        let document = Document {
            text,
            base_dir,
            faults: RefCell::default(),
        };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let message = format!("this is not TOML: {}", error.message().trim_end());
            document.fault("", error.span().map(|it| document.line(&it)), message);
        }
        let value = if document.faults.borrow().is_empty() {
            Table::new(&document, String::new(), None, Some(root.get_ref())).read(read)
        } else {
            None
        };
        let mut faults = document.faults.into_inner();
        faults.sort_by_key(|fault| fault.line);
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(Faults(faults)),
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    fn fault(&self, path: &str, line: Option<usize>, message: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            path: path.to_owned(),
            line,
            message: message.into(),
        });
    }
}

/// A table of settings: a section.
#[derive(Debug)]
pub struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    line: Option<usize>,
    entries: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    fn new(
        document: &'d Document<'d>,
        path: String,
        line: Option<usize>,
        entries: Option<&'d DeTable<'d>>,
    ) -> Self {
        Self {
            document,
            path,
            line,
            entries,
            known: Vec::new(),
        }
    }

    fn read<T>(mut self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Option<T> {
        let value = read(&mut self);
        for key in self.entries.into_iter().flat_map(DeTable::keys) {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let line = self.document.line(&key.span());
                self.document
                    .fault(&self.path_of(name), Some(line), self.unknown(name));
            }
        }
        value
    }

    fn unknown(&self, name: &str) -> String {
        let near = self
            .known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(name, known), known))
            .min()
            .filter(|(distance, known)| *distance <= known.len().div_ceil(3));
        match near {
            Some((_, known)) => format!("there is no such setting; did you mean `{known}`?"),
            None => format!(
                "there is no such setting; the ones here are {}",
                list(&self.known)
            ),
        }
    }

    fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// The item of a name, if it is given.
    pub fn item(&mut self, name: &'static str) -> Option<Item<'d>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let (key, value) = self.entries?.get_key_value(name)?;
        // The value of a section starts in another place than its header.
        let line = self.document.line(&key.span());
        Some(Item::new(self.document, self.path_of(name), line, value))
    }

    /// A setting that may be left out.
    pub fn optional<T: Read>(&mut self, name: &'static str) -> Option<T> {
        T::read(&self.item(name)?)
    }

    /// A setting that has to be given.
    pub fn required<T: Read>(&mut self, name: &'static str) -> Option<T> {
        match self.item(name) {
            Some(item) => T::read(&item),
            None => {
                self.fault(name, "this is missing, and has no default");
                None
            }
        }
    }

    /// A setting with a default.
    pub fn or<T: Read>(&mut self, name: &'static str, default: T) -> T {
        self.optional(name).unwrap_or(default)
    }

    /// A whole number with a default and bounds.
    pub fn number<T>(&mut self, name: &'static str, default: T, bounds: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let Some(item) = self.item(name) else {
            return default;
        };
        let Some(number) = item.integer() else {
            return default;
        };
        let number = number.and_then(|it| T::try_from(it).ok());
        number.filter(|it| bounds.contains(it)).unwrap_or_else(|| {
            let (least, most) = bounds.into_inner();
            item.fault(format!("this must be from {least} to {most}"));
            default
        })
    }

    /// A section of this one. One that is left out is read as an empty one.
    pub fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.item(name) {
            Some(item) => item.table(read),
            None => Table::new(self.document, self.path_of(name), self.line, None).read(read),
        }
    }

    /// The elements of an array; none if it is left out.
    pub fn items(&mut self, name: &'static str) -> Vec<Item<'d>> {
        self.item(name)
            .and_then(|item| item.items())
            .unwrap_or_default()
    }

    /// Reports a fault of the table as a whole.
    pub fn report(&self, message: impl Into<String>) {
        self.document.fault(&self.path, self.line, message);
    }

    /// Reports a fault of a setting, at its line if it is given and at the
    /// section's if not.
    pub fn fault(&mut self, name: &'static str, message: impl Into<String>) {
        let line = self.item(name).map(|item| item.line).or(self.line);
        self.document.fault(&self.path_of(name), line, message);
    }
}

/// One value, and where it stands.
#[derive(Debug)]
pub struct Item<'d> {
    document: &'d Document<'d>,
    path: String,
    line: usize,
    value: &'d DeValue<'d>,
}

impl<'d> Item<'d> {
    fn new(
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
    fn integer(&self) -> Option<Option<i64>> {
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

/// Names as a sentence lists them: `a`, `b`.
pub(super) fn list(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}
