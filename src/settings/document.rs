//! A text, and the faults that are found while it is read.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{Fault, Faults, Table};

/// A text that is being read.
pub struct Document<'d> {
    pub(super) base_dir: &'d Path,
    /// Where each line ends.
    line_ends: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
    files: RefCell<BTreeSet<PathBuf>>,
}

impl Document<'_> {
    /// Reads a text. Relative paths in it start from `base_dir`.
    ///
    /// # Errors
    /// All the faults that were reported. If it is not TOML, only that is: what
    /// is left of a broken text would say things that nobody wrote.
    pub fn read<T>(
        text: &str,
        base_dir: &Path,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Result<T, Faults> {
        Self::read_with_files(text, base_dir, read).0
    }

    /// The same, and the files that its settings name, as far as they were read.
    pub fn read_with_files<T>(
        text: &str,
        base_dir: &Path,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> (Result<T, Faults>, BTreeSet<PathBuf>) {
        let document = Document {
            base_dir,
            line_ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            faults: RefCell::default(),
            files: RefCell::default(),
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
        let result = match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(Faults(faults)),
        };
        (result, document.files.into_inner())
    }

    /// The line on which something begins, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start) + 1
    }

    /// Notes that a setting names this file.
    pub(super) fn names(&self, file: &Path) {
        self.files.borrow_mut().insert(file.to_owned());
    }

    pub(super) fn fault(&self, path: &str, line: Option<usize>, message: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            path: path.to_owned(),
            line,
            message: message.into(),
        });
    }
}

/// Says nothing of the text.
impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// A setting's path. A name that TOML wants in quotes is in quotes here too.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    let dot = if path.is_empty() { "" } else { "." };
    if !name.is_empty() && name.chars().all(is_bare) {
        format!("{path}{dot}{name}")
    } else {
        format!("{path}{dot}{name:?}")
    }
}
