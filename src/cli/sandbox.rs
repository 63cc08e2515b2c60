//! `keygate sandbox`: the gateway with everything it needs inside.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context as _;

use super::{
    Error, Exit, Result, output,
    serve::{runtime, start_logs},
    signals,
};
use crate::{
    clock::Clock,
    config,
    random::Random,
    sandbox::gateway::{self, Options, Sandbox, Summary},
    telemetry::Logs,
};

/// Run the gateway against simulated vendors, with nothing else needed
///
/// Starts simulated vendors, a token issuer and the gateway on this machine, and
/// prints calls to paste. Nothing leaves the machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate sandbox
  keygate sandbox --grpc 127.0.0.1:0 --http 127.0.0.1:0 --json")]
pub(super) struct Args {
    /// Where to serve gRPC; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
    /// Where to serve metrics and probes
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    http: SocketAddr,
    /// Where configuration, credentials and trail go [default: a new folder
    /// among the system's temporary ones, which is kept]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one line of JSON when ready, and nothing else
    #[arg(long)]
    json: bool,
    /// How long every answer of a vendor takes at least, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    upstream_latency: u64,
    /// Put Datadog's organizations into One-Time Read mode: a key's value is
    /// shown when it is created, and never again
    #[arg(long)]
    one_time_read: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let logs = start_logs(&config::Log {
            level: "warn".to_owned(),
            ..config::Log::default()
        })?;
        runtime(1)?.block_on(self.serve(logs))
    }

    async fn serve(&self, logs: Logs) -> Result {
        let mut end = signals::End::listen()?;
        let random = Random::system();
        let data_dir = self.data_dir.clone().unwrap_or_else(|| {
            let name = format!("keygate-sandbox-{:08x}", u32::from_le_bytes(random.bytes()));
            std::env::temp_dir().join(name)
        });
        let options = Options {
            grpc: self.grpc,
            http: self.http,
            data_dir,
            latency: Duration::from_millis(self.upstream_latency),
            one_time_read: self.one_time_read,
        };
        let sandbox = Sandbox::start(options, logs, Clock::system(), random).await?;
        if self.json {
            let line = serde_json::to_string(sandbox.summary())
                .context("the summary can't be written")
                .map_err(|e| Error::new(Exit::Software, e))?;
            output::print(&(line + "\n"))?;
        } else {
            output::print(&for_people(sandbox.summary()))?;
        }
        tokio::select! {
            _ = end.next() => {}
            () = sandbox.ended() => {}
        }
        Ok(sandbox.shutdown().await?)
    }
}

fn for_people(it: &Summary) -> String {
    let token = |name| it.tokens.get(name).map_or("", |it| it.expose());
    let organization = |vendor: &str| {
        let known = it.masters.get(vendor);
        known.and_then(|it| it.get("organization_id").map(|it| it.expose()))
    };
    let service_account = |vendor: &str| it.service_accounts.get(vendor).map(String::as_str);
    let upstreams: String = it
        .upstreams
        .iter()
        .map(|(name, url)| {
            let known = match (organization(name), service_account(name)) {
                (Some(id), _) => format!("   organization {id}"),
                (None, Some(id)) => format!("   service account {id}"),
                (None, None) => String::new(),
            };
            format!("    {name:<18} {url}{known}\n")
        })
        .collect();
    let roles: String = it
        .tokens
        .iter()
        .map(|(name, token)| format!("  {name}: {}\n\n", token.expose()))
        .collect();
    let (grpc, http, config) = (it.grpc, &it.http, it.config.display());
    // as it can be called from here, whether it is on the path or not
    let program = std::env::current_exe().unwrap_or_else(|_| "keygate".into());
    let program = program.display();
    format!(
        r#"keygate sandbox: the gateway against simulated vendors, on this machine only.

  gRPC       {grpc}
  metrics    {http}/metrics
  files      {data_dir}
  vendors
{upstreams}
Tokens (each for the role of its name; nobody has none):

{roles}Make a key or token with each vendor, with grpcurl:

  export TOKEN={admin}

  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \
    -d '{{"site": "SITE_US1", "name": "my first key"}}' \
    {grpc} keygate.datadog.v2.ApiKeyService/CreateApiKey

  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \
    -d '{{"service_account_id": "{account}", "name": "my first token"}}' \
    {grpc} keygate.braintrust.v1.ServiceTokenService/CreateServiceToken

  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \
    -d '{{"organization_id": "{organization}", "display_name": "my first key"}}' \
    {grpc} keygate.coveo.v1.ApiKeyService/CreateApiKey

or with Python (pip install grpcio-tools), from the repository's folder:

  python3 examples/python/create_api_key.py {grpc} "$TOKEN"

Then see the two records of each call in the trail:

  {program} audit list --config {config}

Ctrl-C ends the sandbox; the files stay.
"#,
        data_dir = it.data_dir.display(),
        admin = token("admin"),
        account = service_account("braintrust/default").unwrap_or_default(),
        organization = organization("coveo/us").unwrap_or_default(),
    )
}

impl From<gateway::Error> for Error {
    fn from(error: gateway::Error) -> Self {
        match error {
            gateway::Error::Server(error) => error.into(),
            gateway::Error::Config(faults) => faults.into(),
            gateway::Error::File(..) => Self::new(Exit::Io, error),
            gateway::Error::Vendor(_) => Self::new(Exit::Unavailable, error),
            gateway::Error::Issuer(_) | gateway::Error::Key => Self::new(Exit::Software, error),
        }
    }
}
