//! `keygate policy`: what a policy says.

use std::{path::PathBuf, time::SystemTime};

use serde_json::json;

use super::{Error, Exit, Result, output};
use crate::{
    auth::Caller,
    config::Config,
    contract::Contract,
    policy::{Explanation, Policy, certificate_name},
    settings::list,
};

/// Ask what a policy says
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Explain(Explain),
}

/// Tell whether a call would be permitted, and which rule decides
///
/// Ends with 0 if the call is permitted and with 77 if it is denied.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate policy explain --config keygate.toml --claim key-admin \\
    keygate.datadog.v2.ApiKeyService/CreateApiKey datadog/us1/main
  keygate policy explain --policy policy.toml \\
    --subject system:serviceaccount:payments:api ListPersonalAccessTokens")]
struct Explain {
    /// The configuration that names the policy
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    #[arg(required_unless_present = "policy", conflicts_with = "policy")]
    config: Option<PathBuf>,
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The caller's issuer
    #[arg(long, default_value = "")]
    issuer: String,
    /// The caller's subject
    #[arg(long, default_value = "")]
    subject: String,
    /// A value of the caller's roles claim; any number of times
    #[arg(long)]
    claim: Vec<String>,
    /// A name in the caller's client certificate, as spiffe://example.org/api or
    /// api.example.org; any number of times
    #[arg(long, value_name = "NAME")]
    certificate: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The RPC: its full name, or its own where only one service has it
    rpc: String,
    /// The upstream, as datadog/us1/main; any if left out
    upstream: Option<String>,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let Command::Explain(explain) = &self.command;
        explain.run()
    }
}

impl Explain {
    fn run(&self) -> Result {
        let contract = Contract::load()?;
        let policy = self.load(&contract)?;
        let operation = self.operation(&contract)?;
        let names = self.certificate.iter();
        let caller = Caller {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            claims: self.claim.clone(),
            token_id: None,
            expires_at: SystemTime::UNIX_EPOCH,
            certificate_names: names.map(|it| certificate_name(it)).collect(),
        };
        let explained = policy.explain(&caller, operation, self.upstream.as_deref());
        output::print(&if self.json {
            as_json(&explained)
        } else {
            for_people(&explained)
        })?;
        if explained.permitted {
            Ok(())
        } else {
            Err(Error::new(Exit::NoPermission, anyhow::anyhow!("denied")))
        }
    }

    fn load(&self, contract: &Contract) -> std::result::Result<Policy, Error> {
        let file = match (&self.policy, &self.config) {
            (Some(file), _) => file.clone(),
            (None, Some(config)) => Config::load(config)?.policy.file,
            (None, None) => PathBuf::new(), // clap asks for one of them
        };
        Policy::load(&file, contract).map_err(|e| Error::new(Exit::Config, e))
    }

    fn operation<'c>(
        &self,
        contract: &'c Contract,
    ) -> std::result::Result<&'c crate::contract::Operation, Error> {
        if let Some(operation) = contract.operation(self.rpc.trim_start_matches('/')) {
            return Ok(operation);
        }
        let all = contract.operations().iter();
        let own: Vec<_> = all.filter(|it| it.rpc == self.rpc).collect();
        let fault = match own.as_slice() {
            [operation] => return Ok(operation),
            [] => "there is no such RPC; `keygate permissions` lists them".to_owned(),
            several => {
                let names = list(several.iter().map(|it| it.method.as_str()));
                format!("several services have it; name one of {names}")
            }
        };
        let fault = anyhow::anyhow!("{}: {fault}", self.rpc);
        Err(Error::new(Exit::Usage, fault))
    }
}

fn for_people(it: &Explanation) -> String {
    let decision = if it.permitted { "permitted" } else { "denied" };
    let mut text = format!("{decision}\n  rule     {}\n", it.rule);
    if !it.missing.is_empty() {
        text += &format!("  missing  {}\n", it.missing.join(" or "));
    }
    text + &format!("  policy   {}\n", it.policy_version)
}

fn as_json(it: &Explanation) -> String {
    let value = json!({
        "permitted": it.permitted,
        "rule": it.rule,
        "missing": it.missing,
        "policy_version": it.policy_version,
    });
    format!("{value}\n")
}
