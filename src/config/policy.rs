//! `[policy]`: where the policy is. What it says is not read here.

use std::path::PathBuf;

use super::values::Readable;
use crate::settings::Table;

/// Where the policy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A file of roles and grants.
    pub file: PathBuf,
}

impl Policy {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let Readable(file) = table.required("file")?;
        Some(Self { file })
    }
}
