//! A table of settings, which is asked for them by name.

use std::{fmt, ops::RangeInclusive};

use toml::{
    Spanned,
    de::{DeString, DeTable},
};

use super::{
    Item, Read, closest,
    document::{Document, join},
    list,
};

/// A table of settings: a section.
pub struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    line: Option<usize>,
    entries: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    /// Whether whoever wrote the file chooses the names.
    open: bool,
}

impl<'d> Table<'d> {
    pub(super) fn new(
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
            open: false,
        }
    }

    pub(super) fn read<T>(mut self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Option<T> {
        let value = read(&mut self);
        let names = self.entries.into_iter().flat_map(DeTable::keys);
        for key in names.filter(|it| !self.is_known(it.get_ref())) {
            let name = key.get_ref();
            let line = self.document.line(&key.span());
            let message = match closest(name, self.known.iter().copied()) {
                Some(meant) => format!("there is no such setting; did you mean `{meant}`?"),
                None => format!(
                    "there is no such setting; the ones here are {}",
                    list(self.known.iter().copied())
                ),
            };
            let path = join(&self.path, name);
            self.document.fault(&path, Some(line), message);
        }
        value
    }

    fn is_known(&self, name: &str) -> bool {
        self.open || self.known.contains(&name)
    }

    /// All its items, each with its name: a table whose names are not known
    /// beforehand.
    pub fn entries(&mut self) -> Vec<(&'d str, Item<'d>)> {
        self.open = true;
        let entry = |(key, value): (&'d Spanned<DeString<'d>>, _)| {
            let name = key.get_ref().as_ref();
            let line = self.document.line(&key.span());
            let path = join(&self.path, name);
            (name, Item::new(self.document, path, line, value))
        };
        self.entries.into_iter().flatten().map(entry).collect()
    }

    /// The item of a name, if it is given.
    pub fn item(&mut self, name: &'static str) -> Option<Item<'d>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let (key, value) = self.entries?.get_key_value(name)?;
        // The value of a section starts in another place than its header.
        let line = self.document.line(&key.span());
        Some(Item::new(
            self.document,
            join(&self.path, name),
            line,
            value,
        ))
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
        T: TryFrom<i64> + PartialOrd + fmt::Display,
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
            None => Table::new(self.document, join(&self.path, name), self.line, None).read(read),
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
        let line = self.item(name).map(|item| item.line()).or(self.line);
        self.document.fault(&join(&self.path, name), line, message);
    }
}

/// Says nothing of the values.
impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.path).finish()
    }
}
