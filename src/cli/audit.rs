//! `keygate audit`: what the trail says.

mod export;
mod filter;
mod key;
mod list;
mod prove;
mod prune;
mod rotate;
mod secret;
mod source;
mod time;
mod verify;

use super::{Error, Exit, Result};
use crate::audit;

/// Read the audit trail, hand it on, and keep it in order
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::List),
    Verify(verify::Verify),
    Prove(prove::Prove),
    Key(key::Key),
    Export(export::Export),
    Prune(prune::Prune),
    RotateFingerprintKey(rotate::Rotate),
}

impl Args {
    pub(super) fn run(&self) -> Result {
        match &self.command {
            Command::List(list) => list.run(),
            Command::Verify(verify) => verify.run(),
            Command::Prove(prove) => prove.run(),
            Command::Key(key) => key.run(),
            Command::Export(export) => export.run(),
            Command::Prune(prune) => prune.run(),
            Command::RotateFingerprintKey(rotate) => rotate.run(),
        }
    }
}

/// A fault of the trail.
impl From<audit::Error> for Error {
    fn from(error: audit::Error) -> Self {
        let exit = match &error {
            audit::Error::InUse { .. } => Exit::Unavailable,
            audit::Error::Postgres(it) if it.is_unreachable() => Exit::Unavailable,
            _ => Exit::Io,
        };
        Self::new(exit, error)
    }
}

/// Who runs the command, as far as the system vouches for it.
fn user() -> Option<audit::Caller> {
    #[cfg(unix)]
    let uid = {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata("/proc/self").ok().map(|it| it.uid())
    };
    #[cfg(not(unix))]
    let uid: Option<u32> = None;
    Some(audit::Caller {
        issuer: "operating system".to_owned(),
        subject: format!("uid:{}", uid?),
        ..audit::Caller::default()
    })
}
