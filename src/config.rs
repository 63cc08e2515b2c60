//! The configuration: a TOML file, read into plain settings.
//!
//! Reading either gives a [`Config`] in which every setting has been checked,
//! or all [`Faults`] that the file has, each with the path of the setting, its
//! line and what to do. Files that the settings name have been seen to be
//! readable; credentials are named here and never held. This module starts
//! nothing and knows no caller.

mod audit;
mod auth;
mod credential;
pub mod datadog;
mod log;
mod policy;
mod server;
mod values;

use std::{fs, path::Path};

pub use self::{
    audit::Audit,
    auth::Auth,
    log::{Format, Log},
    policy::Policy,
    server::{Server, Tls},
};
use crate::settings::{Document, Fault, Faults, Table};

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
    /// The Datadog organizations that can be reached. No two have the same site
    /// and name.
    pub datadog: Vec<datadog::Org>,
    /// What is logged, and how.
    pub log: Log,
}

impl Config {
    /// Reads a configuration file. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// All the faults that it has.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let text = fs::read_to_string(path).map_err(|error| {
            Faults(vec![Fault {
                path: path.display().to_string(),
                line: None,
                message: format!("the configuration can't be read: {error}"),
            }])
        })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")))
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
        let datadog = datadog::read(root.items("datadog"));
        let log = root.section("log", Log::read);
        Some(Self {
            server: server?,
            auth: auth?,
            policy: policy?,
            audit: audit?,
            datadog,
            log: log?,
        })
    }
}
