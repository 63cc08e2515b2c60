//! The command line: one file a subcommand.
//!
//! A subcommand is a file with its `Args`, which run and give a [`Result`], and
//! a line in `Command` and in [`run`]. Here its end becomes an [`Exit`] and a
//! message on standard error; standard output is for results only.

mod audit;
mod check;
mod error;
mod migrate;
mod output;
mod permissions;
mod policy;
mod sandbox;
mod serve;
mod signals;

use std::ffi::OsString;

use clap::Parser;

pub use self::error::{Error, Exit};

/// What a subcommand gives.
pub type Result = std::result::Result<(), Error>;

/// A gRPC gateway in front of key-management REST APIs.
///
/// Callers show a token; keygate decides whether they may, presents master
/// credentials that they never see, and records what happened.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  a test failed
  64  the command line is wrong
  65  the input is wrong
  69  a service that is needed can't be reached
  70  keygate itself is at fault
  74  reading or writing failed
  77  permission is missing
  78  the configuration is wrong";

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Args),
    Check(check::Args),
    Sandbox(sandbox::Args),
    Permissions(permissions::Args),
    Policy(policy::Args),
    Audit(Box<audit::Args>),
    Migrate(migrate::Args),
}

/// Runs a command line, whose first word is the program's name. Messages go to
/// standard error.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(message) => {
            // Help that was asked for is a result, and nobody may be reading it.
            let _ = message.print();
            return match message.use_stderr() {
                true => Exit::Usage,
                false => Exit::Done,
            };
        }
    };
    let result = match cli.command {
        Command::Serve(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Sandbox(args) => args.run(),
        Command::Permissions(args) => args.run(),
        Command::Policy(args) => args.run(),
        Command::Audit(args) => args.run(),
        Command::Migrate(args) => args.run(),
    };
    match result {
        Ok(()) => Exit::Done,
        Err(error) => {
            output::complain(&error);
            error.exit()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
