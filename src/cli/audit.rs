//! `keygate audit`: what the trail says.

use std::{
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::Context as _;

use super::{Error, Exit, Result, output};
use crate::{
    audit::{self, Filter, Kind, Order, Outcome, Query, Reader},
    config::Config,
    json::timestamp,
};

/// Read the audit trail
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
}

/// List records, also while the gateway runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit list --config keygate.toml
  keygate audit list --config keygate.toml --kind denied --since 2026-11-20T00:00:00Z
  keygate audit list --config keygate.toml --secret - < leaked-key")]
struct List {
    /// The configuration that names the trail
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    config: PathBuf,
    /// Only records of this subject
    #[arg(long)]
    subject: Option<String>,
    /// Only records of this RPC, by its full name or the end of it
    #[arg(long)]
    rpc: Option<String>,
    /// Only records of this upstream, as datadog/us1/main or datadog/us1
    #[arg(long)]
    upstream: Option<String>,
    /// Only records of this kind
    #[arg(long, value_parser = ["intent", "refused", "denied", "outcome", "reconciled"])]
    kind: Option<String>,
    /// Only outcomes of this sort
    #[arg(long, value_parser = ["succeeded", "rejected", "not_sent", "unknown"])]
    outcome: Option<String>,
    /// Only records about the key or token with this id
    #[arg(long)]
    resource: Option<String>,
    /// Only records of this call
    #[arg(long)]
    call: Option<String>,
    /// Only records of this request id
    #[arg(long)]
    request_id: Option<String>,
    /// Only records from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only records before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only records of a secret, which is read from standard input
    #[arg(long, value_name = "-", value_parser = ["-"])]
    secret: Option<String>,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print the records themselves, one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let Command::List(list) = &self.command;
        list.run()
    }
}

impl List {
    fn run(&self) -> Result {
        let config = Config::load(&self.config)?;
        let io = |e| Error::new(Exit::Io, anyhow::Error::from(e));
        let reader = Reader::open(&config.audit.store).map_err(io)?;
        let query = self.query(&reader)?;
        for stored in reader.records(query) {
            let stored = stored.map_err(io)?;
            let line = if self.json {
                String::from_utf8_lossy(&stored.body).into_owned()
            } else {
                audit::line(&stored.record)
            };
            output::print(&(line + "\n"))?;
        }
        Ok(())
    }

    fn query(&self, reader: &Reader) -> std::result::Result<Query, Error> {
        let time = |flag: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => {
                match timestamp(text).map(|(time, _)| std::time::SystemTime::try_from(time)) {
                    Some(Ok(time)) => Ok(Some(time)),
                    _ => Err(Error::new(
                        Exit::Usage,
                        anyhow::anyhow!("{flag}: write a time as 2026-11-20T21:00:00Z"),
                    )),
                }
            }
        };
        let mut filter = Filter {
            since: time("--since", &self.since)?,
            until: time("--until", &self.until)?,
            subject: self.subject.clone(),
            rpc: self.rpc.clone(),
            upstream: self.upstream.clone(),
            // clap lets only the known names through
            kind: self.kind.as_deref().and_then(|it| it.parse::<Kind>().ok()),
            outcome: self
                .outcome
                .as_deref()
                .and_then(|it| it.parse::<Outcome>().ok()),
            resource_id: self.resource.clone(),
            call: self.call.clone(),
            request_id: self.request_id.clone(),
            ..Filter::default()
        };
        if self.secret.is_some() {
            filter.fingerprints = Some(reader.fingerprints(&secret()?));
        }
        Ok(Query {
            filter,
            order: if self.oldest {
                Order::Oldest
            } else {
                Order::Newest
            },
            limit: Some(self.limit),
            ..Query::default()
        })
    }
}

fn secret() -> std::result::Result<zeroize::Zeroizing<String>, Error> {
    const LONGEST: u64 = 64 * 1024;
    let mut text = zeroize::Zeroizing::new(String::new());
    io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("standard input can't be read")
        .map_err(|e| Error::new(Exit::Io, e))?;
    Ok(zeroize::Zeroizing::new(text.trim().to_owned()))
}
