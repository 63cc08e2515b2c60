//! What can go wrong with a trail in PostgreSQL, told with the server and with
//! what to do.
//!
//! What the server says is kept without its details: they quote rows.

use std::{error, fmt, io};

use tokio_postgres::error::SqlState;

use super::Location;
use crate::{http, upstream::credentials};

/// The oldest version that is supported.
pub(super) const OLDEST: u32 = 14;

/// Why a trail in PostgreSQL can't be opened, written or read.
#[derive(Debug, thiserror::Error)]
#[error("{server}: {kind}")]
pub struct Error {
    server: String,
    kind: Box<Kind>,
    source: Option<Box<Cause>>,
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    /// There is no connection to be had, or it broke.
    #[error(
        "PostgreSQL can't be reached; see that it runs, and that its address and port are right"
    )]
    Unreachable,
    /// It did not answer in time.
    #[error("PostgreSQL does not answer in time")]
    Silent,
    /// TLS can't be spoken with it.
    #[error(
        "there is no TLS with PostgreSQL; see that it offers it, that its certificate names the host as the setting does, and that `ca` names who vouches for that"
    )]
    Tls,
    /// The password is wrong, or the user is not let in at all.
    #[error(
        "PostgreSQL does not let `{user}` in; check the password, and who may connect by pg_hba.conf"
    )]
    Password {
        /// The user.
        user: String,
    },
    /// A password is wanted, and none was given.
    #[error(
        "PostgreSQL wants a password of `{user}`; say where it is: password = {{ file = \"…\" }}"
    )]
    NoPassword {
        /// The user.
        user: String,
    },
    /// The password can't be had from where it should be.
    #[error("there is no password")]
    Credential,
    /// There is no such database.
    #[error("there is no database `{database}`; make it: CREATE DATABASE \"{database}\"")]
    NoDatabase {
        /// Its name.
        database: String,
    },
    /// The user lacks a right.
    #[error(
        "`{user}` lacks a right; `keygate migrate --grant {user}`, run as the owner of the tables, gives it what serving needs"
    )]
    NoRight {
        /// The user.
        user: String,
    },
    /// The server is too old.
    #[error(
        "PostgreSQL {found} is older than keygate supports; version {OLDEST} or newer is needed"
    )]
    Old {
        /// Its version.
        found: String,
    },
    /// The tables are not there, or not as they should be.
    #[error(
        "the tables of the audit trail are not there, or older than this keygate's, and `{user}` may not make them; run `keygate migrate` with a configuration whose user may"
    )]
    NotMigrated {
        /// The user.
        user: String,
    },
    /// A keygate runs with the same origin.
    #[error(
        "another keygate is writing as `{origin}`; give every replica an `audit.origin` of its own"
    )]
    InUse {
        /// The origin.
        origin: String,
    },
    /// A keygate began with the same origin while this one was away.
    #[error(
        "another keygate has begun to write as `{origin}` while this one had no connection; give every replica an `audit.origin` of its own, then restart this one"
    )]
    TakenOver {
        /// The origin.
        origin: String,
    },
    /// The tree is not as it was left.
    #[error(
        "the database holds {found} records of `{origin}`, where {known} were acknowledged, or others than these; it was restored from an older copy or changed by others: find out, then restart keygate"
    )]
    Lost {
        /// The origin.
        origin: String,
        /// How many there are.
        found: u64,
        /// How many there should be.
        known: u64,
    },
    /// The server does not sync.
    #[error("PostgreSQL runs with fsync = off, which loses records with the machine; switch it on")]
    NoSync,
    /// The server takes no writes.
    #[error("PostgreSQL takes no writes: it follows another server, or is set to be read only")]
    ReadOnly,
    /// Anything else that may pass.
    #[error("PostgreSQL refuses")]
    Refused,
    /// Anything else that will not pass by itself.
    #[error("PostgreSQL can't do what keygate asks of it")]
    Unfit,
}

/// What is behind an error.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{message} ({code})")]
    Said { code: String, message: String },
    #[error("the connection is closed")]
    Closed,
    #[error(transparent)]
    Io(io::Error),
    #[error(transparent)]
    Credential(credentials::Error),
    #[error(transparent)]
    Tls(http::Error),
    #[error("{0}")]
    Other(String),
}

impl Error {
    pub(super) fn new(location: &Location, kind: Kind) -> Self {
        Self {
            server: location.to_string(),
            kind: Box::new(kind),
            source: None,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether it may be over by itself: what was being written can be tried again.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match *self.kind {
            Kind::Unreachable
            | Kind::Silent
            | Kind::Tls
            | Kind::Password { .. }
            | Kind::NoPassword { .. }
            | Kind::Credential
            | Kind::NoDatabase { .. }
            | Kind::NoRight { .. }
            | Kind::NoSync
            | Kind::ReadOnly
            | Kind::Refused => true,
            Kind::Old { .. }
            | Kind::NotMigrated { .. }
            | Kind::InUse { .. }
            | Kind::TakenOver { .. }
            | Kind::Lost { .. }
            | Kind::Unfit => false,
        }
    }

    /// Whether there is no server to speak with.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(*self.kind, Kind::Unreachable | Kind::Silent)
    }

    /// Says of an error of the client what it means here.
    pub(super) fn of(location: &Location) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| {
            let kind = kind(&error, location);
            Self {
                source: Some(Box::new(cause(&error))),
                ..Self::new(location, kind)
            }
        }
    }

    pub(super) fn credential(location: &Location) -> impl Fn(credentials::Error) -> Self {
        move |error| Self {
            source: Some(Box::new(Cause::Credential(error))),
            ..Self::new(location, Kind::Credential)
        }
    }

    pub(super) fn tls(location: &Location) -> impl Fn(http::Error) -> Self {
        move |error| Self {
            source: Some(Box::new(Cause::Tls(error))),
            ..Self::new(location, Kind::Tls)
        }
    }
}

fn kind(error: &tokio_postgres::Error, location: &Location) -> Kind {
    let user = location.user().to_owned();
    if let Some(code) = error.code() {
        return match *code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Kind::Password { user }
            }
            SqlState::INVALID_CATALOG_NAME => Kind::NoDatabase {
                database: location.database().to_owned(),
            },
            SqlState::INSUFFICIENT_PRIVILEGE => Kind::NoRight { user },
            SqlState::READ_ONLY_SQL_TRANSACTION => Kind::ReadOnly,
            // the server ends, begins, or has ended the session
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Kind::Unreachable,
            _ => match code.code().get(..2) {
                Some("08") => Kind::Unreachable,
                // of data, constraints, statements: the same again next time
                Some("22" | "23" | "42" | "XX") => Kind::Unfit,
                _ => Kind::Refused,
            },
        };
    }
    // the client tells some of these by their words alone
    let words = words(error);
    if words.contains("does not allow writes") {
        return Kind::ReadOnly;
    }
    if error.is_closed() || io_error(error).is_some_and(|it| !is_tls(it)) {
        return Kind::Unreachable;
    }
    if words.contains("password missing") {
        Kind::NoPassword { user }
    } else if words.contains("TLS") || io_error(error).is_some_and(is_tls) {
        Kind::Tls
    } else {
        Kind::Unreachable
    }
}

/// Whether TLS failed, and not the connection below.
fn is_tls(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner.is_some_and(|it| it.is::<rustls::Error>()) || error.kind() == io::ErrorKind::InvalidData
}

fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    causes(error).find_map(|it| it.downcast_ref())
}

fn causes(error: &tokio_postgres::Error) -> impl Iterator<Item = &(dyn error::Error + 'static)> {
    std::iter::successors(error::Error::source(error), |it| it.source())
}

/// An error of the client alone, which quotes no row and no password.
fn words(error: &tokio_postgres::Error) -> String {
    let mut words = error.to_string();
    for cause in causes(error) {
        use fmt::Write as _;
        // Writing to a string can't fail.
        let _ = write!(words, ": {cause}");
    }
    words
}

fn cause(error: &tokio_postgres::Error) -> Cause {
    if let Some(said) = error.as_db_error() {
        return Cause::Said {
            code: said.code().code().to_owned(),
            message: said.message().to_owned(),
        };
    }
    if error.is_closed() {
        return Cause::Closed;
    }
    match io_error(error) {
        Some(io) => Cause::Io(io::Error::new(io.kind(), io.to_string())),
        None => Cause::Other(words(error)),
    }
}
