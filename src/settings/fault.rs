//! What is wrong with a file of settings.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting: `datadog[1].api_key`; the file's path if the file as a whole
    /// is meant, and empty where no setting can be named.
    pub path: String,
    /// The line, from 1, where there is one.
    pub line: Option<usize>,
    /// What is wrong, and what to do. Never a secret.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.as_str(), self.line) {
            ("", None) => f.write_str(&self.message),
            ("", Some(line)) => write!(f, "line {line}: {}", self.message),
            (path, None) => write!(f, "{path}: {}", self.message),
            (path, Some(line)) => write!(f, "{path} (line {line}): {}", self.message),
        }
    }
}

/// All that is wrong, in the order of the lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the settings have a fault:")?,
            many => write!(f, "the settings have {many} faults:")?,
        }
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
