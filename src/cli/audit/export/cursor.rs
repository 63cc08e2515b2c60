//! How far an export has come, in a file that is replaced as a whole.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{Position, Reader},
    cli::{Error, Exit, Result},
};

/// The file.
#[derive(Debug)]
pub(super) struct Cursor(PathBuf);

/// What is in it.
#[derive(Debug, Deserialize, Serialize)]
struct Place {
    /// The position to go on with.
    position: u64,
    /// The hash of the record before, by which the trail is known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf: Option<String>,
}

impl Cursor {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The position to go on with: the first one if there is no file yet.
    pub(super) fn load(&self, reader: &Reader) -> std::result::Result<Position, Error> {
        let path = self.0.display();
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Position(0)),
            Err(error) => {
                let error = anyhow!(error).context(format!("{path}: it can't be read"));
                return Err(Error::new(Exit::Io, error));
            }
        };
        let wrong = |what: &str| Error::new(Exit::Data, anyhow!("{path}: {what}"));
        let place: Place = serde_json::from_str(&text).map_err(|_| {
            wrong("this is no cursor of `audit export`; name another file, or remove it to begin anew")
        })?;
        let end = reader.end()?;
        if place.position > end.0 {
            return Err(wrong(&format!(
                "it says that {} records were exported, and the trail has {end}: this is another \
                 trail, or it was cut",
                place.position
            )));
        }
        if leaf(reader, place.position)? != place.leaf {
            return Err(wrong(
                "the last record that was exported is not the one that the trail has there: this \
                 is another trail, or it was changed",
            ));
        }
        Ok(Position(place.position))
    }

    /// Says that everything before a position has been written out.
    pub(super) fn store(&self, reader: &Reader, next: Position) -> Result {
        let place = Place {
            position: next.0,
            leaf: leaf(reader, next.0)?,
        };
        let text = serde_json::to_string(&place).map_err(|e| Error::new(Exit::Software, e))?;
        let stored = replace(&self.0, format!("{text}\n").as_bytes());
        stored
            .with_context(|| format!("{}: it can't be written", self.0.display()))
            .map_err(|e| Error::new(Exit::Io, e))
    }
}

/// The hash of the record before a position.
fn leaf(reader: &Reader, position: u64) -> std::result::Result<Option<String>, Error> {
    let Some(before) = position.checked_sub(1) else {
        return Ok(None);
    };
    let place = reader.place(Position(before))?;
    Ok(place.map(|(_, _, leaf)| leaf.to_string()))
}

/// Puts a text in the place of a file: whoever reads finds either, and whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|it| *it != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
