//! Exit codes, nothing else.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    keygate::cli::run(env::args_os()).into()
}
