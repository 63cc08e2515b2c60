//! Why a server can't start, or had to end, or can't take a configuration.

use std::net::SocketAddr;

use super::{tls, upstreams};
use crate::{audit, contract, http, policy, settings};

/// Why a server can't start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has faults.
    #[error(transparent)]
    Config(settings::Faults),
    /// The contract is not classified.
    #[error("the contract can't be served")]
    Contract(#[from] contract::Error),
    /// There is no policy.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// Issuers' keys can't be loaded.
    #[error(transparent)]
    Auth(settings::Faults),
    /// The trail can't be used.
    #[error("the audit trail can't be used")]
    Audit(#[from] audit::Error),
    /// Checkpoints can't be sent where they are to go.
    #[error("audit.checkpoints can't be sent out")]
    Checkpoints(#[source] http::Error),
    /// Upstreams can't be called.
    #[error(transparent)]
    Upstream(#[from] upstreams::Error),
    /// What the configuration names can't be used: everything that is wrong.
    #[error("{}", lines(.0))]
    Faults(Vec<Error>),
    /// The program ends.
    #[error("loading was interrupted")]
    Interrupted,
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// A port can't be had.
    #[error("{setting}: {address} can't be listened on: {fault}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        fault: std::io::Error,
    },
    /// The transport failed.
    #[error("the server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// One a line, each with its causes: an error can't have several.
fn lines(errors: &[Error]) -> String {
    let line = |error: &Error| {
        let first: &dyn std::error::Error = error;
        let all = std::iter::successors(Some(first), |it| it.source());
        let all: Vec<_> = all.map(ToString::to_string).collect();
        all.join(": ")
    };
    let lines: Vec<_> = errors.iter().map(line).collect();
    lines.join("\n")
}
