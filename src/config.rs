//! The configuration: a TOML file, read into plain settings.
//!
//! Reading either gives a [`Config`] in which every setting has been checked,
//! or all [`Faults`] that the file has, each with the path of the setting, its
//! line and what to do. Files that the settings name have been seen to be
//! readable; credentials are named here and never held. This module starts
//! nothing and knows no caller.

mod audit;
mod auth;
mod braintrust;
mod coveo;
mod credential;
mod datadog;
mod limits;
mod log;
mod policy;
mod server;
mod upstream;
mod values;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub use self::{
    audit::{Audit, Checkpoints},
    auth::Auth,
    limits::Limits,
    log::{Format, Log},
    policy::Policy,
    server::{Server, Tls},
    upstream::{Credential, Upstream},
};
use crate::{
    files::{Digest, digest},
    settings::{Document, Fault, Faults, Table},
};

/// Everything that the configuration says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listening ports and their limits.
    pub server: Server,
    /// Whose tokens are believed.
    pub auth: Auth,
    /// Who may do what.
    pub policy: Policy,
    /// Where the trail is kept.
    pub audit: Audit,
    /// The upstreams that can be reached, of all vendors. No two have the same
    /// name.
    pub upstreams: Vec<Upstream>,
    /// What is logged, and how.
    pub log: Log,
    /// Where it was read from, if that was a file.
    pub origin: Option<Origin>,
}

/// The file that a configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// What it was when it was read.
    pub digest: Digest,
    /// The file itself, and every one that it names.
    pub files: BTreeSet<PathBuf>,
}

impl Config {
    /// Reads a configuration file. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// All the faults that it has.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        Self::load_with_files(path).0
    }

    /// The same, and every file that the configuration consists of or names, as far
    /// as its faults let that be known.
    pub fn load_with_files(path: &Path) -> (Result<Self, Faults>, BTreeSet<PathBuf>) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let fault = Fault {
                    path: path.display().to_string(),
                    line: None,
                    message: format!("the configuration can't be read: {error}"),
                };
                return (Err(Faults(vec![fault])), BTreeSet::from([path.to_owned()]));
            }
        };
        let base_dir = path.parent().unwrap_or(Path::new(""));
        let (read, mut files) = Document::read_with_files(&text, base_dir, Self::read);
        files.insert(path.to_owned());
        let origin = Some(Origin {
            path: path.to_owned(),
            digest: digest(text.as_bytes()),
            files: files.clone(),
        });
        (read.map(|it| Self { origin, ..it }), files)
    }

    /// Reads a configuration from its text. Relative paths in it start from
    /// `base_dir`.
    ///
    /// # Errors
    /// All the faults that it has.
    pub fn parse(text: &str, base_dir: &Path) -> Result<Self, Faults> {
        Document::read(text, base_dir, Self::read)
    }

    fn read(root: &mut Table<'_>) -> Option<Self> {
        let server = root.section("server", Server::read);
        let auth = root.section("auth", Auth::read);
        let policy = root.section("policy", Policy::read);
        let audit = root.section("audit", Audit::read);
        let vendors = [
            ("datadog", datadog::SECTION),
            ("braintrust", braintrust::SECTION),
            ("coveo", coveo::SECTION),
        ];
        let upstreams = vendors
            .into_iter()
            .flat_map(|(name, section)| section.read(root.items(name)))
            .collect();
        let log = root.section("log", Log::read);
        Some(Self {
            server: server?,
            auth: auth?,
            policy: policy?,
            audit: audit?,
            upstreams,
            log: log?,
            origin: None,
        })
    }
}
