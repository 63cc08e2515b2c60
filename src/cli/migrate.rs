//! `keygate migrate`: the tables of a trail in PostgreSQL.

use std::path::PathBuf;

use super::{Result, output};
use crate::{audit, config};

/// Make or update the tables of an audit trail in PostgreSQL
///
/// Does what `serve` does at its start where it may: so it is for a database whose
/// tables belong to another user than the gateway's. Several may run at once; what is
/// there already is left as it is. A trail in a file needs none of this.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate migrate --config owner.toml
  keygate migrate --config owner.toml --grant keygate_serve")]
pub(super) struct Args {
    /// The configuration, of which nothing matters but where the trail is; the user
    /// that it names makes the tables, and owns them
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    config: PathBuf,
    /// Give this role what serving needs: to add records, not to change them
    #[arg(long, value_name = "ROLE")]
    grant: Option<String>,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let settings = config::Audit::load_store(&self.config)?;
        let migrated = audit::migrate(&settings.store, self.grant.as_deref())?;
        let Some((before, after)) = migrated else {
            return output::print("the audit trail is a file, which `serve` keeps up to date\n");
        };
        let done = match before {
            0 => format!("made, version {after}"),
            _ if before == after => format!("as they should be, version {after}"),
            _ => format!("updated from version {before} to {after}"),
        };
        let granted = self.grant.as_ref();
        let granted = granted.map_or_else(String::new, |it| format!("; `{it}` may serve"));
        output::print(&format!("tables: {done}{granted}\n"))
    }
}
