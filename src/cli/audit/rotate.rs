//! `keygate audit rotate-fingerprint-key`: fingerprints are made with a new key.

use super::source::Source;
use crate::{
    audit::Mandate,
    cli::{Result, output, serve::runtime},
    clock::Clock,
};

/// Make a new key for fingerprints
///
/// From the gateway's next start on, fingerprints are made with it. Older keys are
/// kept, so that `audit list --secret` finds old records as before. The gateway has
/// to be stopped: a trail has one writer. In PostgreSQL it has one for each
/// `audit.origin`: with one that no gateway has, this works beside them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit rotate-fingerprint-key --config keygate.toml")]
pub(super) struct Rotate {
    #[command(flatten)]
    source: Source,
}

impl Rotate {
    pub(super) fn run(&self) -> Result {
        let trail = self.source.open(Clock::system(), "")?;
        let mandate = Mandate {
            caller: super::user(),
            rule: "keygate audit rotate-fingerprint-key".to_owned(),
        };
        let version = runtime(1)?.block_on(async {
            let version = trail.rotate_fingerprint_key(mandate).await;
            trail.close().await?;
            version
        })?;
        output::print(&format!(
            "fingerprints are made with key version {version} from now on; {} older are kept\n",
            version - 1
        ))
    }
}
