//! `keygate audit prune`: records whose time is over go, their hashes stay.

use super::{source::Source, time};
use crate::{
    audit::Mandate,
    cli::{Error, Exit, Result, output, serve::runtime},
    clock::{Clock, rfc3339},
};

/// Remove what old records say, and keep the proof that they were there
///
/// The hashes of the tree stay, so that the rest is proved as before, and so does
/// everything about calls of which nobody knows how they have ended. Who made which
/// key stays known. A record says what was removed, when and by whom.
///
/// A trail has one writer: while a gateway runs, set `retention = "400d"` in
/// `[audit]` instead, which it follows without a restart. In PostgreSQL it has one for
/// each `audit.origin`: with one that no gateway has, this works beside them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit prune --config keygate.toml --before \"400 days ago\" --dry-run
  keygate audit prune --config keygate.toml --before 2025-01-01")]
pub(super) struct Prune {
    #[command(flatten)]
    source: Source,
    /// Remove what was written before this time: "400 days ago", 2025-01-01
    #[arg(long, value_name = "TIME")]
    before: String,
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    pub(super) fn run(&self) -> Result {
        let clock = Clock::system();
        let before = time::parse(&self.before, clock.now()).map_err(|fault| {
            let fault = anyhow::anyhow!("--before {:?}: {fault}", self.before);
            Error::new(Exit::Usage, fault)
        })?;
        let pruning = if self.dry_run {
            self.source.reader()?.pruning(before, None)?
        } else {
            let instead = "set `retention` in its `[audit]`, which it follows at once, or ";
            let trail = self.source.open(clock, instead)?;
            let mandate = Mandate {
                caller: super::user(),
                rule: format!("keygate audit prune --before {}", rfc3339(before)),
            };
            runtime(1)?.block_on(async {
                let pruning = trail.prune(before, None, mandate).await;
                trail.close().await?;
                pruning
            })?
        };
        let (verb, before) = match self.dry_run {
            true => ("would be removed", rfc3339(before)),
            false => ("removed", rfc3339(before)),
        };
        let mut told = match &pruning.pruned {
            None => format!("nothing from before {before} is left to be removed\n"),
            Some(it) => format!(
                "{} records from before {before} {verb}, at positions {} to {}\n",
                it.records,
                it.from,
                it.to.saturating_sub(1),
            ),
        };
        if pruning.unsettled > 0 {
            told += &format!(
                "{} records stay: nobody knows how their calls have ended\n",
                pruning.unsettled
            );
        }
        output::print(&told)
    }
}
