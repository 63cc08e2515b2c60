//! `keygate policy`: what a policy says.

mod cases;
mod explain;
mod key;
mod test;

use std::path::Path;

use self::{explain::Explain, test::Test};
use super::{Error, Exit, Result};
use crate::{contract::Contract, policy::Policy};

/// Ask what a policy says, and test it
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Explain(Box<Explain>),
    Test(Test),
}

impl Args {
    pub(super) fn run(&self) -> Result {
        match &self.command {
            Command::Explain(explain) => explain.run(),
            Command::Test(test) => test.run(),
        }
    }
}

fn load(file: &Path, contract: &Contract) -> std::result::Result<Policy, Error> {
    Policy::load(file, contract).map_err(|it| Error::new(Exit::Config, it))
}
