//! `keygate policy explain`: one question to a policy.

use std::{path::PathBuf, time::SystemTime};

use serde_json::json;

use super::{key::KeyFacts, load};
use crate::{
    auth::Caller,
    cli::{Error, Exit, Result, output},
    config::Config,
    contract::Contract,
    policy::{Explanation, Pattern, Policy, Question, certificate_name},
    upstream::registry::{Addresses, Choice},
};

/// Tell whether a call would be permitted, and which rule decides
///
/// What roles say of keys is left aside, unless something is told of the key.
/// Ends with 0 if the call is permitted and with 77 if it is denied.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate policy explain --config keygate.toml --claim key-admin \\
    keygate.datadog.v2.ApiKeyService/CreateApiKey datadog/us1/main
  keygate policy explain --policy policy.toml \\
    --subject system:serviceaccount:payments:api ListPersonalAccessTokens
  keygate policy explain --policy policy.toml --claim payments \\
    --own --key-name payments-api --new-name api UpdateApplicationKey datadog/us1/main")]
pub(super) struct Explain {
    /// The configuration that names the policy
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    #[arg(required_unless_present = "policy", conflicts_with = "policy")]
    config: Option<PathBuf>,
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    caller: CallerArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The RPC: its full name, or as much of its end as only one has
    rpc: String,
    /// The upstream, as datadog/us1/main; any if left out. With a configuration it
    /// may be as short as in requests: datadog/us1 for the default there
    upstream: Option<String>,
}

/// Who would call.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who calls")]
struct CallerArgs {
    /// The caller's issuer
    #[arg(long, default_value = "")]
    issuer: String,
    /// The caller's subject
    #[arg(long, default_value = "")]
    subject: String,
    /// The token's id
    #[arg(long, value_name = "ID")]
    token_id: Option<String>,
    /// A value of the caller's roles claim; any number of times
    #[arg(long)]
    claim: Vec<String>,
    /// A name in the caller's client certificate, as spiffe://example.org/api or
    /// api.example.org; any number of times
    #[arg(long, value_name = "NAME")]
    certificate: Vec<String>,
}

/// What the call is about.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which key")]
struct KeyArgs {
    /// The key's name; that of a new key too
    #[arg(long, value_name = "NAME")]
    key_name: Option<String>,
    /// The caller made the key through the gateway
    #[arg(long)]
    own: bool,
    /// The name that the key, or its copy, is given
    #[arg(long, value_name = "NAME")]
    new_name: Option<String>,
    /// A scope that the key has afterwards; any number of times
    #[arg(long)]
    scope: Vec<String>,
    /// The key has no scopes afterwards, and all its owner's rights
    #[arg(long, conflicts_with = "scope")]
    unscoped: bool,
}

impl CallerArgs {
    fn caller(&self) -> Caller {
        let names = self.certificate.iter();
        Caller {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
            claims: self.claim.clone(),
            token_id: self.token_id.clone(),
            expires_at: SystemTime::UNIX_EPOCH,
            certificate_names: names.map(|it| certificate_name(it)).collect(),
        }
    }
}

impl KeyArgs {
    /// What is told of a key, if anything is.
    fn facts(&self) -> Option<KeyFacts> {
        let facts = KeyFacts {
            name: self.key_name.clone(),
            own: self.own.then_some(true),
            new_name: self.new_name.clone(),
            scopes: Some(self.scope.clone()).filter(|it| !it.is_empty()),
            unscoped: self.unscoped,
        };
        Some(facts).filter(|it| *it != KeyFacts::default())
    }
}

impl Explain {
    pub(super) fn run(&self) -> Result {
        let contract = Contract::load()?;
        let (policy, addresses) = self.load(&contract)?;
        let wrong = |fault| Error::new(Exit::Usage, anyhow::anyhow!("{fault}"));
        let operation = contract.find(&self.rpc);
        let operation = operation.map_err(|fault| wrong(format!("{}: {fault}", self.rpc)))?;
        let choice = match &self.upstream {
            Some(name) => {
                Pattern::check_name(name).map_err(wrong)?;
                Some(addresses.choose(name))
            }
            None => None,
        };
        let key = self.key.facts();
        let explained = policy.explain(&Question {
            caller: &self.caller.caller(),
            operation,
            upstreams: choice.as_ref().map_or(&[], Choice::names),
            touch: key.as_ref().map(|it| it.touch(operation.effect)),
        });
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

    /// The policy, and what addresses mean as far as a configuration tells.
    fn load(&self, contract: &Contract) -> std::result::Result<(Policy, Addresses), Error> {
        let mut addresses = Addresses::default();
        let file = match (&self.policy, &self.config) {
            (Some(file), _) => file.clone(),
            (None, Some(config)) => {
                let config = Config::load(config)?;
                for it in &config.upstreams {
                    addresses.add(&it.name, &it.address, it.default);
                }
                config.policy.file
            }
            (None, None) => PathBuf::new(), // clap asks for one of them
        };
        Ok((load(&file, contract)?, addresses))
    }
}

fn for_people(it: &Explanation) -> String {
    let decision = if it.permitted { "permitted" } else { "denied" };
    let mut text = format!("{decision}\n  rule        {}\n", it.rule);
    if let Some(permission) = &it.permission {
        text += &format!("  permission  {permission}\n");
    }
    if !it.missing.is_empty() {
        text += &format!("  missing     {}\n", it.missing.join(" or "));
    }
    text + &format!("  policy      {}\n", it.policy_version)
}

fn as_json(it: &Explanation) -> String {
    let value = json!({
        "permitted": it.permitted,
        "rule": it.rule,
        "permission": it.permission,
        "missing": it.missing,
        "policy_version": it.policy_version,
    });
    format!("{value}\n")
}
