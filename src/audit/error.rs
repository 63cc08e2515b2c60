//! What can go wrong with a trail, told with the file and with what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::ErrorCode;

use super::{Position, postgres};

/// Why a trail can't be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The setting names no store that there is. Only its scheme is told: the
    /// rest may hold a password.
    #[error(
        "`{scheme}` is not a kind of audit store; write `sqlite:` and the path of a file, as in `sqlite:trail.db`, or `postgres://user@host/database`"
    )]
    UnknownStore {
        /// What stands before the first `:`, or the whole setting if there is none.
        scheme: String,
    },
    /// The setting names no server of PostgreSQL.
    #[error(transparent)]
    Url(#[from] postgres::Fault),
    /// The store in PostgreSQL can't be used.
    #[error(transparent)]
    Postgres(#[from] Box<postgres::Error>),
    /// The store has been away for too long to be waited for. It may come back.
    #[error("the audit store is away, and nothing is done that can't be recorded")]
    Away(#[source] Arc<Error>),
    /// The setting names no file.
    #[error("the audit store `sqlite:` names no file on disk; write it as in `sqlite:trail.db`")]
    NoFile,
    /// Another process holds the trail.
    #[error(
        "{}: another keygate is writing to this audit trail; a trail has one writer, so stop that one or give this one a file of its own",
        path.display()
    )]
    InUse {
        /// The trail's file.
        path: PathBuf,
    },
    /// The file is a database of something else.
    #[error("{}: this file is not an audit trail of keygate; name another file", path.display())]
    NotATrail {
        /// The file.
        path: PathBuf,
    },
    /// The trail was written by a newer keygate.
    #[error(
        "{store}: the audit trail has schema version {found}, and this keygate knows versions up to {known}; use the newer keygate that wrote it"
    )]
    Newer {
        /// Where the trail is.
        store: String,
        /// Its schema version.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// The trail was written by an older keygate, and has not been opened by this one.
    #[error(
        "{}: the audit trail has schema version {found}, and this keygate reads version {known}; start `keygate serve` on it once, which brings it up to date",
        path.display()
    )]
    Older {
        /// The trail's file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version that this build reads.
        known: i64,
    },
    /// The trail was begun under another origin.
    #[error(
        "{}: this audit trail was begun as `{known}`, and its checkpoints say so; set `audit.origin` to that, or name another file to begin as `{wanted}`",
        path.display()
    )]
    Origin {
        /// The trail's file.
        path: PathBuf,
        /// Its origin.
        known: String,
        /// The origin that the settings want.
        wanted: String,
    },
    /// Hashes of the tree are missing or wrong.
    #[error(
        "{store}: the audit trail is damaged or was changed by others; keep it for the investigation, see what `keygate audit verify` says of it, and restore the newest copy"
    )]
    Damaged {
        /// Where the trail is.
        store: String,
    },
    /// There is no trail to read.
    #[error("{}: there is no audit trail here", path.display())]
    Missing {
        /// The trail's file.
        path: PathBuf,
    },
    /// A file can't be made, opened or synced.
    #[error("{}: the audit trail's file can't be {action}: {}", path.display(), Advice::from(source))]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried: `opened`, `locked`.
        action: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The database can't be read or written.
    #[error("{}: the audit trail can't be {action}: {advice}", path.display())]
    Database {
        /// The trail's file.
        path: PathBuf,
        /// What was tried: `written`, `read`.
        action: &'static str,
        /// What is wrong and what to do.
        advice: Advice,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A file of the trail was deleted or replaced while it was open.
    #[error(
        "{}: this file of the audit trail was deleted, moved or replaced while keygate was writing to it; put it back or find out who did that, then restart keygate",
        path.display()
    )]
    Replaced {
        /// The file that is not the one that was opened.
        path: PathBuf,
    },
    /// A stored record can't be read.
    #[error("{store}: record {position} of the audit trail can't be read")]
    Record {
        /// Where the trail is.
        store: String,
        /// The record's place.
        position: Position,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A record can't be written down.
    #[error("an audit record can't be encoded")]
    Encode(#[source] serde_json::Error),
    /// Records came in faster than the disk takes them, where none may wait.
    #[error("more audit records are waiting for the disk than keygate can hold")]
    Overrun,
    /// A thread of the trail can't be started.
    #[error("a thread for the audit trail can't be started")]
    Thread(#[source] io::Error),
    /// A thread of the trail ended on its own.
    #[error("a thread of the audit trail has ended unexpectedly")]
    ThreadEnded,
    /// The trail has failed before, and nothing is accepted since.
    #[error(
        "the audit trail has failed and accepts no more records; restart keygate once the cause is gone"
    )]
    Failed(#[source] Arc<Error>),
    /// The trail was closed.
    #[error("the audit trail is closed")]
    Closed,
}

/// What is wrong with a database, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// No space is left.
    DiskFull,
    /// The file or its file system takes no writes.
    ReadOnly,
    /// The disk fails.
    Io,
    /// The content is damaged.
    Corrupt,
    /// Another process holds a lock.
    Locked,
    /// The file can't be opened.
    CannotOpen,
    /// Anything else.
    Other,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full; free some space, then restart keygate",
            Self::ReadOnly => {
                "the file or its file system is read-only; make it writable for keygate, then restart it"
            }
            Self::Io => {
                "the disk reports an error; look into the system's log, and restore the trail elsewhere if the disk is failing"
            }
            Self::Corrupt => {
                "its content is damaged; keep the file for the investigation, and restore the newest copy"
            }
            Self::Locked => "another program holds a lock on it; end that program",
            Self::CannotOpen => {
                "the file can't be opened; check its path, its owner and the permissions of its folder"
            }
            Self::Other => "the database refuses",
        })
    }
}

impl From<&io::Error> for Advice {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Self::CannotOpen,
            _ => Self::Io,
        }
    }
}

impl From<&rusqlite::Error> for Advice {
    fn from(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::SystemIoFailure) => Self::Io,
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt,
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Locked,
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::CannotOpen,
            _ => Self::Other,
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Box::new(error).into()
    }
}

impl Error {
    /// Whether it may be over by itself, and nothing was written.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Postgres(it) if it.is_passing())
    }

    /// Whether there is no space left. Then nothing was written, and what has its
    /// space already can still be.
    pub(super) fn is_full(&self) -> bool {
        let advice = match self {
            Self::Database { advice, .. } => *advice,
            Self::File { source, .. } => Advice::from(source),
            _ => return false,
        };
        advice == Advice::DiskFull
    }

    /// Says of an error of SQLite which file it is about and what was tried.
    pub(super) fn database(path: &Path, action: &'static str) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            if source.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
                return Self::NotATrail { path };
            }
            Self::Database {
                path,
                action,
                advice: Advice::from(&source),
                source,
            }
        }
    }

    /// Says of an error of the operating system which file it is about.
    pub(super) fn file(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File {
            path: path.to_owned(),
            action,
            source,
        }
    }
}
