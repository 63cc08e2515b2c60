//! `keygate audit prove`: that one record was in the trail, without the trail.

use std::path::PathBuf;

use anyhow::Context as _;

use super::verify::{keys, read, receipt};
use crate::{
    audit::verify,
    cli::{Error, Exit, Result, output},
};

/// Prove one record by its receipt, without the trail
///
/// The receipt came with the answer to the call, as `keygate-receipt-bin`; the
/// record is a line of `keygate audit export`. Neither a trail nor a server is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit prove --key trail.pub --receipt receipt record.json")]
pub(super) struct Prove {
    /// The public key, or a file with public keys, one a line, as `keygate audit key`
    /// prints them
    #[arg(long, value_name = "KEY|FILE", required = true)]
    key: Vec<String>,
    /// A file with the receipt, as it came
    #[arg(long, value_name = "FILE")]
    receipt: PathBuf,
    /// A file with the record's bytes; `-` for standard input
    #[arg(value_name = "FILE")]
    record: PathBuf,
}

impl Prove {
    pub(super) fn run(&self) -> Result {
        let (keys, receipt) = (keys(&self.key)?, receipt(&self.receipt)?);
        let text = read(&self.record)?;
        // a line ends with a newline, which is none of the record's bytes
        let record = text.strip_suffix('\n').unwrap_or(&text);
        let proved = verify::proves(&receipt, record.as_bytes(), &keys);
        let proved = proved.with_context(|| self.record.display().to_string());
        let it = proved.map_err(|e| Error::new(Exit::Data, e))?;
        let (index, origin, size) = (receipt.index, it.origin, it.size);
        output::print(&format!(
            "this is record {index} of {origin}, in a signed checkpoint of {size} records\n"
        ))
    }
}
