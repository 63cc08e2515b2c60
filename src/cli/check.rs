//! `keygate check`: whether the gateway would start.

use std::path::PathBuf;

use super::{Error, Exit, Result, output, serve::runtime};
use crate::{clock::Clock, config, contract::Contract, random::Random, server};

/// Check a configuration and everything that it names
///
/// Reads the configuration, the policy, certificates, files of keys and every
/// credential, as `serve` would, and tells all that is wrong. Commands that give
/// credentials are run. Nothing is listened on, and no upstream is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate check --config keygate.toml")]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    config: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let config = config::Config::load(&self.config)?;
        let contract = Contract::load()?;
        let (clock, random) = (Clock::system(), Random::system());
        let check = server::check(&config, &contract, &clock, &random);
        let faults = runtime(1)?.block_on(check);
        if !faults.is_empty() {
            let with_causes = |it| format!("{:#}", anyhow::Error::new(it));
            let faults: Vec<_> = faults.into_iter().map(with_causes).collect();
            let all = anyhow::anyhow!(faults.join("\n"));
            return Err(Error::new(Exit::Config, all));
        }
        output::print(&format!(
            "{}: no faults; {} operations, {} upstreams, {} issuers\n",
            self.config.display(),
            contract.operations().len(),
            config.datadog.len(),
            config.auth.issuers.len(),
        ))
    }
}
