//! `keygate serve`: the gateway, until it is told to stop.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::{runtime, signal::unix};

use super::{Error, Exit, Result};
use crate::{clock::Clock, config, random::Random, server, telemetry};

/// Run the gateway
///
/// It serves until SIGTERM or SIGINT, then lets running calls finish. Logs go to
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
        start_logs(&config.log)?;
        runtime(config.server.worker_threads)?.block_on(serve(config))
    }
}

async fn serve(config: config::Config) -> Result {
    let signals = Signals::listen()?;
    let server = server::Server::start(config, Clock::system(), Random::system()).await?;
    tracing::info!(grpc = %server.grpc(), http = %server.http(), "serving");
    tokio::select! {
        signal = signals.next() => tracing::info!(signal, "shutting down"),
        () = server.ended() => tracing::error!("the audit trail can't be written: shutting down"),
    }
    Ok(server.shutdown().await?)
}

pub(super) fn start_logs(log: &config::Log) -> Result {
    let json = log.format == config::Format::Json;
    telemetry::init_logs(&log.level, json).map_err(|e| Error::new(Exit::Software, e))
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

/// The signals that end a server.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    pub(super) fn listen() -> std::result::Result<Self, Error> {
        let listen = |kind| {
            unix::signal(kind)
                .context("signals can't be waited for")
                .map_err(|e| Error::new(Exit::Software, e))
        };
        Ok(Self {
            terminate: listen(unix::SignalKind::terminate())?,
            interrupt: listen(unix::SignalKind::interrupt())?,
        })
    }

    /// Waits for one, and names it.
    pub(super) async fn next(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl From<server::Error> for Error {
    fn from(error: server::Error) -> Self {
        let exit = match &error {
            server::Error::Contract(_) | server::Error::Transport(_) => Exit::Software,
            server::Error::Listen { .. } => Exit::Unavailable,
            server::Error::Audit(_) => Exit::Io,
            _ => Exit::Config,
        };
        Self::new(exit, error)
    }
}
