//! Typed reading of a TOML tree that keeps every fault, each with its line and the
//! path of its setting. It knows nothing of policies.

use std::{fmt, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// Something wrong with a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// The path of the setting, as `roles.key-admin.permissions[2]`. Empty: the
    /// file can't be read as TOML there.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong with a policy file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", Lines(.0))]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

struct Lines<'a>(&'a [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{fault}")?;
        }
        Ok(())
    }
}

/// Collects faults while a tree is read.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            faults: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, path: &str, span: &Range<usize>, message: impl Into<String>) {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        self.faults.push(Fault {
            line: 1 + before.iter().filter(|it| **it == b'\n').count(),
            path: path.to_owned(),
            message: message.into(),
        });
    }

    pub(super) fn flag(&mut self, table: &DeTable<'_>, path: &str, key: &str) -> bool {
        let Some(value) = table.get(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            let message = format!(
                "must be true or false, and is of type {}",
                value.get_ref().type_str()
            );
            self.fault(&join(path, key), &value.span(), message);
            false
        })
    }

    /// A list of texts, if the key is there; those that are not texts are faults.
    pub(super) fn texts<'t>(
        &mut self,
        table: &'t DeTable<'_>,
        path: &str,
        key: &str,
        needs_one: bool,
    ) -> Option<Vec<(&'t str, Range<usize>, String)>> {
        let value = table.get(key)?;
        let path = join(path, key);
        let Some(items) = self.list(value, &path) else {
            return Some(Vec::new());
        };
        if needs_one && items.is_empty() {
            let message = match key {
                "permissions" => "is empty, so that the role can't permit anything",
                _ => "is empty, so that nothing would fit; for all write [\"*\"], or leave it out",
            };
            self.fault(&path, &value.span(), message);
        }
        let mut texts = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let path = format!("{path}[{at}]");
            if let Some(text) = self.text(item, &path) {
                texts.push((text, item.span(), path));
            }
        }
        Some(texts)
    }

    pub(super) fn text<'t>(&mut self, value: &'t Value<'_>, path: &str) -> Option<&'t str> {
        match value.get_ref().as_str() {
            Some("") => {
                self.fault(path, &value.span(), "is empty");
                None
            }
            Some(text) => Some(text),
            None => self.wrong_type(value, path, "a text in quotes"),
        }
    }

    pub(super) fn list<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        path: &str,
    ) -> Option<&'t [Value<'i>]> {
        match value.get_ref().as_array() {
            Some(items) => Some(items),
            None => self.wrong_type(value, path, "a list"),
        }
    }

    pub(super) fn table<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        path: &str,
    ) -> Option<&'t DeTable<'i>> {
        match value.get_ref().as_table() {
            Some(table) => Some(table),
            None => self.wrong_type(value, path, "a table"),
        }
    }

    fn wrong_type<T>(&mut self, value: &Value<'_>, path: &str, wanted: &str) -> Option<T> {
        let message = format!(
            "must be {wanted}, and is of type {}",
            value.get_ref().type_str()
        );
        self.fault(path, &value.span(), message);
        None
    }

    pub(super) fn known(&mut self, table: &DeTable<'_>, path: &str, known: &[&str]) {
        for key in table.keys().filter(|it| !known.contains(&&**it.get_ref())) {
            let hint = closest(key.get_ref(), known.iter().copied())
                .unwrap_or_else(|| format!("; known are {}", known.join(", ")));
            let message = format!("unknown key{hint}");
            self.fault(&join(path, key.get_ref()), &key.span(), message);
        }
    }
}

/// A setting's path. Keys that TOML wants in quotes are in quotes here too.
pub(super) fn join(path: &str, key: &str) -> String {
    let bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    let dot = if path.is_empty() { "" } else { "." };
    if !key.is_empty() && key.chars().all(bare) {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}

/// A hint at the word that was probably meant, if there is one.
pub(super) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = known.map(|it| (distance(word, it), it));
    let (_, it) = near
        .min()
        .filter(|(far, it)| *far <= 2 && *far < it.len() / 2)?;
    Some(format!("; did you mean {it:?}?"))
}

/// How many letters have to be put in, left out or replaced (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (above, one) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (at, other) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(one != other);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[row.len() - 1]
}
