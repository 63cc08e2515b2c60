//! `keygate check`: whether the gateway would start.

use std::path::PathBuf;

use super::{Error, Exit, Result, output, serve::runtime};
use crate::{clock::Clock, config, contract::Contract, policy, random::Random, server};

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
                if let Some(Err(fault)) = self.policy(&contract) {
                    all += &format!("\n{fault}");
                }
                return Err(Error::new(Exit::Config, anyhow::anyhow!(all)));
            }
        };
        let (clock, random) = (Clock::system(), Random::system());
        let check = server::check(&config, &contract, &clock, &random);
        let faults = runtime(1)?.block_on(check);
        if !faults.is_empty() {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
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

    /// The policy of a configuration that has faults, if it can be told where the
    /// policy is.
    fn policy(
        &self,
        contract: &Contract,
    ) -> Option<std::result::Result<policy::Policy, server::Error>> {
        let text = std::fs::read_to_string(&self.config).ok()?;
        let settings: toml::Table = text.parse().ok()?;
        let file = settings.get("policy")?.get("file")?.as_str()?;
        let file = self.config.parent()?.join(file);
        // a file that is not there is among the configuration's own faults
        file.exists().then(|| server::load_policy(&file, contract))
    }
}
