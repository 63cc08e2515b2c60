//! `keygate audit key`: the public key that a trail is verified with.

use std::path::PathBuf;

use crate::{
    audit::{ORIGIN, note::Signer},
    cli::{Error, Exit, Result, output},
};

/// Print the public key that checkpoints are verified with
///
/// Give it to whoever is to check the trail, once, and by a way that does not lead
/// over the trail's disk.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  openssl genpkey -algorithm ed25519 -out signing-key.pem
  keygate audit key --signing-key signing-key.pem --origin keygate.example/trail > trail.pub")]
pub(super) struct Key {
    /// The private key (Ed25519, PKCS#8 PEM) that audit.signing_key names
    #[arg(long, value_name = "FILE")]
    signing_key: PathBuf,
    /// The origin that audit.origin names
    #[arg(long, value_name = "NAME", default_value = ORIGIN)]
    origin: String,
}

impl Key {
    pub(super) fn run(&self) -> Result {
        let signer = Signer::load(&self.signing_key, &self.origin);
        let signer = signer.map_err(|e| Error::new(Exit::Data, e))?;
        output::print(&format!("{}\n", signer.verifier()))
    }
}
