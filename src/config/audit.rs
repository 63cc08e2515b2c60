//! `[audit]`: where the trail is kept, and the key that vouches for it.

use std::path::{Path, PathBuf};

use http::Uri;

use super::values::Endpoint;
use crate::{
    audit::{self, Location, ORIGIN, note},
    settings::{Item, Read, Table},
};

/// Where the trail is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The store, and what its checkpoints are signed with.
    pub store: audit::Settings,
    /// Where checkpoints are sent.
    pub checkpoints: Checkpoints,
}

/// Where checkpoints are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// To standard output, one JSON object a line.
    pub stdout: bool,
    /// To the end of this file.
    pub file: Option<PathBuf>,
    /// To this URL, each in a POST.
    pub url: Option<Uri>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self {
            stdout: true,
            file: None,
            url: None,
        }
    }
}

impl Audit {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let store = table.required("store");
        let origin = table.optional("origin");
        let origin = origin.map_or_else(|| ORIGIN.to_owned(), |Origin(it)| it);
        let signer = table.item("signing_key").and_then(|item| {
            let file = item.table(|it| it.required::<PathBuf>("file"))?;
            let loaded = note::Signer::load(&file, &origin);
            loaded.map_err(|fault| item.fault(fault.to_string())).ok()
        });
        let checkpoints = table
            .item("checkpoints")
            .and_then(|item| item.table(Checkpoints::read));
        Some(Self {
            store: audit::Settings {
                store: store?,
                origin,
                signer,
            },
            checkpoints: checkpoints.unwrap_or_default(),
        })
    }
}

impl Checkpoints {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        let default = Self::default();
        Some(Self {
            stdout: table.optional("stdout").unwrap_or(default.stdout),
            file: table.optional("file"),
            url: table.optional("url").map(|Endpoint(it)| it),
        })
    }
}

struct Origin(String);

impl Read for Origin {
    fn read(item: &Item<'_>) -> Option<Self> {
        let origin = item.string()?;
        match note::Verifier::new(origin, [0; 32]) {
            Ok(_) => Some(Self(origin.to_owned())),
            Err(fault) => {
                item.fault(fault.to_string());
                None
            }
        }
    }
}

impl Read for Location {
    fn read(item: &Item<'_>) -> Option<Self> {
        let location = match item.string()?.parse::<Self>() {
            Ok(location) => location.within(item.base_dir()),
            Err(fault) => {
                item.fault(fault.to_string());
                return None;
            }
        };
        let path = location.path();
        let folder = path.parent().filter(|it| *it != Path::new(""));
        if path.is_dir() {
            item.fault(format!("{} is a folder, not a file", path.display()));
        } else if let Some(folder) = folder.filter(|it| !it.is_dir()) {
            item.fault(format!(
                "the folder {} is not there; make it, and let keygate write to it",
                folder.display()
            ));
        }
        Some(location)
    }
}
