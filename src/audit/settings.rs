//! Where a trail is kept.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use super::{Error, note::Signer};

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

/// Where records are kept, read from `sqlite:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite database in this file.
    Sqlite(PathBuf),
}

impl Location {
    /// The same place, with a relative path taken from `folder`.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        let Self::Sqlite(path) = self;
        Self::Sqlite(folder.join(path))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        let Self::Sqlite(path) = self;
        path
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.starts_with(':') || path.ends_with('/') {
                    return Err(Error::NoFile);
                }
                Ok(Self::Sqlite(path.into()))
            }
            "postgres" | "postgresql" => Err(Error::PostgresNotBuiltIn),
            _ => Err(Error::UnknownStore {
                scheme: scheme.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PathBuf {
        text.parse::<Location>().unwrap().path().to_owned()
    }

    #[test]
    fn a_path_follows_the_scheme() {
        assert_eq!(path("sqlite:trail.db"), Path::new("trail.db"));
        assert_eq!(path("sqlite:/var/lib/t.db"), Path::new("/var/lib/t.db"));
        assert_eq!(path("sqlite:///var/lib/t.db"), Path::new("/var/lib/t.db"));
    }

    #[test]
    fn a_relative_path_is_taken_from_the_folder() {
        let within = |text: &str| {
            let location: Location = text.parse().unwrap();
            location.within(Path::new("/etc/keygate"))
        };
        assert_eq!(
            within("sqlite:trail.db").path(),
            Path::new("/etc/keygate/trail.db")
        );
        assert_eq!(within("sqlite:/t.db").path(), Path::new("/t.db"));
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
            "postgres://user:hunter2@db/x",
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("sqlite:"), "{error}");
        }
    }
}
