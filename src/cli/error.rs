//! How a command can end: sysexits.

use std::{fmt, process::ExitCode};

use crate::{contract, settings};

/// How a command ended: its exit code, by sysexits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Done = 0,
    /// A test found something to be otherwise than expected.
    Failed = 1,
    /// The command line is wrong.
    Usage = 64,
    /// What it was given to read is wrong.
    Data = 65,
    /// Something that it needs can't be reached.
    Unavailable = 69,
    /// keygate itself is at fault.
    Software = 70,
    /// Reading or writing failed.
    Io = 74,
    /// A permission is missing.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}

/// Why a command failed, and the code that says so.
#[derive(Debug)]
pub struct Error {
    exit: Exit,
    cause: anyhow::Error,
}

impl Error {
    /// A failure that ends with this code.
    pub fn new(exit: Exit, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            cause: cause.into(),
        }
    }

    /// Whether this is what is behind it.
    #[must_use]
    pub fn cause<E: fmt::Display + fmt::Debug + Send + Sync + 'static>(&self) -> bool {
        self.cause.is::<E>()
    }

    /// The code that it ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// The error and its causes on one line: this is the edge, where nothing else
/// prints them.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)
    }
}

impl From<settings::Faults> for Error {
    fn from(faults: settings::Faults) -> Self {
        Self::new(Exit::Config, faults)
    }
}

impl From<contract::Error> for Error {
    fn from(error: contract::Error) -> Self {
        Self::new(Exit::Software, error)
    }
}
