//! `keygate serve`: the gateway, until it is told to stop.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::runtime;

use super::{Error, Exit, Result, signals};
use crate::{audit, clock::Clock, config, random::Random, server, telemetry::Logs};

/// Run the gateway
///
/// It serves until SIGTERM or SIGINT, then lets running calls finish. It follows
/// changes of the configuration and of every file that this names; SIGHUP makes it
/// read everything anew, commands that give credentials included. Logs go to
/// standard error, one JSON object a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate check --config keygate.toml && keygate serve --config keygate.toml")]
pub(super) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "KEYGATE_CONFIG")]
    config: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> Result {
        let config = config::Config::load(&self.config)?;
        let logs = start_logs(&config.log)?;
        runtime(config.server.worker_threads)?.block_on(serve(config, logs))
    }
}

async fn serve(config: config::Config, logs: Logs) -> Result {
    let (mut end, mut reload) = (signals::End::listen()?, signals::Reload::listen()?);
    let (clock, random) = (Clock::system(), Random::system());
    let server = server::Server::start(config, logs, clock, random).await?;
    tracing::info!(grpc = %server.grpc(), http = %server.http(), "serving");
    loop {
        tokio::select! {
            () = reload.next() => {
                tracing::info!("everything is read anew, as SIGHUP asks");
                server.reload();
            }
            signal = end.next() => {
                tracing::info!(signal, "shutting down");
                break;
            }
            () = server.ended() => {
                tracing::error!("the audit trail can't be written: shutting down");
                break;
            }
        }
    }
    Ok(server.shutdown().await?)
}

pub(super) fn start_logs(log: &config::Log) -> std::result::Result<Logs, Error> {
    let json = log.format == config::Format::Json;
    Logs::init(&log.level, json).map_err(|e| Error::new(Exit::Software, e))
}

pub(super) fn runtime(worker_threads: usize) -> std::result::Result<runtime::Runtime, Error> {
    // one thread for everything costs the least a call
    let mut builder = if worker_threads == 1 {
        runtime::Builder::new_current_thread()
    } else {
        runtime::Builder::new_multi_thread()
    };
    builder
        .worker_threads(worker_threads)
        .enable_all()
        .build()
        .context("the runtime can't be started")
        .map_err(|e| Error::new(Exit::Software, e))
}

impl From<server::Error> for Error {
    fn from(error: server::Error) -> Self {
        let exit = match &error {
            server::Error::Contract(_) | server::Error::Transport(_) => Exit::Software,
            server::Error::Listen { .. } => Exit::Unavailable,
            server::Error::Audit(audit::Error::Postgres(it)) if it.is_unreachable() => {
                Exit::Unavailable
            }
            server::Error::Audit(_) => Exit::Io,
            _ => Exit::Config,
        };
        Self::new(exit, error)
    }
}
