//! `keygate check`: whether the gateway would start.

use std::{path::PathBuf, sync::Arc};

use super::{Error, Exit, Result, output, serve::runtime};
use crate::{clock::Clock, config, contract::Contract, policy::Policy, random::Random, server};

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
        let contract = Contract::load()?;
        let config = match config::Config::load(&self.config) {
            Ok(config) => config,
            Err(faults) => {
                let mut all = faults.to_string();
                if let Some(fault) = self.policy(&contract) {
                    all += &format!("\n{:#}", anyhow::Error::new(fault));
                }
                return Err(Error::new(Exit::Config, anyhow::anyhow!(all)));
            }
        };
        let (clock, random) = (Clock::system(), Random::system());
        let contract = Arc::new(contract);
        let check = server::check(&config, contract.clone(), clock, random);
        for remark in runtime(1)?.block_on(check)? {
            output::print(&format!("{remark}\n"))?;
        }
        output::print(&format!(
            "{}: no faults; {} operations, {} upstreams, {} issuers\n",
            self.config.display(),
            contract.operations().len(),
            config.upstreams.len(),
            config.auth.issuers.len(),
        ))
    }

    /// What is wrong with the policy of a configuration that has faults, as far as
    /// it can be told where the policy is.
    fn policy(&self, contract: &Contract) -> Option<server::Error> {
        let text = std::fs::read_to_string(&self.config).ok()?;
        let settings: toml::Table = text.parse().ok()?;
        let file = settings.get("policy")?.get("file")?.as_str()?;
        let file = self.config.parent()?.join(file);
        // a file that is not there is among the configuration's own faults
        let policy = file.exists().then(|| Policy::load(&file, contract))?;
        policy.err().map(server::Error::from)
    }
}
