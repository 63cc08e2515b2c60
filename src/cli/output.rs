//! The only place that writes to the terminal.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;

use super::{Error, Exit, Result};

/// Writes a result to standard output. A reader that has gone, as with
/// `| head`, has seen what it wanted: that is no failure.
pub(super) fn print(text: &str) -> Result {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let cause = Err::<(), _>(error).context("standard output can't be written");
            cause.map_err(|it| Error::new(Exit::Io, it))
        }
        _ => Ok(()),
    }
}

/// Tells something besides, on standard error.
pub(super) fn remark(text: &str) {
    // There is no other place to say that this failed.
    let _ = writeln!(io::stderr(), "keygate: {text}");
}

/// Whether a person looks at both the results and what is told besides.
pub(super) fn is_watched() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Writes a failure to standard error.
pub(super) fn complain(error: &Error) {
    // There is no other place to say that this failed.
    let _ = writeln!(io::stderr(), "keygate: {error}");
}
