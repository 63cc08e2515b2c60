//! Where a trail is kept.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{Error, note::Signer, postgres};

/// The origin of a trail whose settings name none.
pub const ORIGIN: &str = "keygate";

/// What a trail needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the records are kept.
    pub store: Location,
    /// The name of the tree: checkpoints begin with it, and keys are named after it.
    pub origin: String,
    /// What signs checkpoints, under the origin's name. Without it there are none.
    pub signer: Option<Signer>,
}

impl Settings {
    /// What whoever only reads needs to know.
    #[must_use]
    pub fn at(store: Location) -> Self {
        Self {
            store,
            origin: ORIGIN.to_owned(),
            signer: None,
        }
    }
}

/// Where records are kept: `sqlite:PATH`, or `postgres://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite database in this file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, for several replicas.
    Postgres(Box<postgres::Location>),
}

impl Location {
    /// Reads it. Relative paths are taken from `folder`.
    ///
    /// # Errors
    /// [`Error`] if it is no place that there can be.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.starts_with(':') || path.ends_with('/') {
                    return Err(Error::NoFile);
                }
                Ok(Self::Sqlite(folder.join(path)))
            }
            "postgres" | "postgresql" => {
                let location = postgres::Location::parse(text, folder)?;
                Ok(Self::Postgres(Box::new(location)))
            }
            _ => Err(Error::UnknownStore {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

/// Relative paths are taken from where the process is.
impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text, Path::new(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathBuf {
        let location = Location::parse(text, Path::new("/etc/keygate")).unwrap();
        location.path().unwrap().to_owned()
    }

    #[test]
    fn a_path_follows_the_scheme() {
        assert_eq!(path("sqlite:trail.db"), Path::new("/etc/keygate/trail.db"));
        assert_eq!(path("sqlite:/var/lib/t.db"), Path::new("/var/lib/t.db"));
        assert_eq!(path("sqlite:///var/lib/t.db"), Path::new("/var/lib/t.db"));
    }

    #[test]
    fn anything_else_is_refused_without_its_password() {
        for text in [
            "",
            "trail.db",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:folder/",
            "mysql://user:hunter2@db/x",
            "postgres://user:hunter2@db",
        ] {
            let error = Location::parse(text, Path::new(""))
                .unwrap_err()
                .to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(
                error.contains("sqlite:") || error.contains("postgres:"),
                "{error}"
            );
        }
    }
}
