//! Where an export goes: to standard output, or to the end of a file.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use anyhow::anyhow;

use crate::cli::{Error, Exit, Result};

#[derive(Debug)]
pub(super) enum Output {
    Standard,
    File(PathBuf, File),
}

/// Whoever read standard output has gone.
#[derive(Debug, thiserror::Error)]
#[error("whoever reads standard output has gone: the cursor stays where it was")]
struct Gone;

/// Whether an export failed because nobody reads it any more.
pub(super) fn is_gone(error: &Error) -> bool {
    error.cause::<Gone>()
}

impl Output {
    /// Opens it, so that what is written begins on a line of its own.
    pub(super) fn open(path: Option<&Path>) -> std::result::Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self::Standard);
        };
        let file = append_to(path).map_err(failed(path))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Writes, and returns when that is with the reader, or on disk.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result {
        if lines.is_empty() {
            return Ok(());
        }
        match self {
            Self::Standard => {
                let mut out = io::stdout().lock();
                let written = out.write_all(lines).and_then(|()| out.flush());
                written.map_err(|error| match error.kind() {
                    io::ErrorKind::BrokenPipe => Error::new(Exit::Io, Gone),
                    _ => {
                        let error = anyhow!(error).context("standard output can't be written");
                        Error::new(Exit::Io, error)
                    }
                })
            }
            Self::File(path, file) => {
                let mut write = || -> io::Result<()> {
                    // it may have been moved away to begin another one
                    if !is_there(path, file) {
                        *file = append_to(path)?;
                    }
                    file.write_all(lines)?;
                    file.sync_data()
                };
                write().map_err(failed(path))
            }
        }
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| {
        let error = anyhow!(error).context(format!("{}: it can't be written", path.display()));
        Error::new(Exit::Io, error)
    }
}

/// Opens a file to write to its end, for this process alone. A line without an end,
/// as an export leaves that was killed, goes: it is written again.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(file);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let busy = "another export is writing to it";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, busy));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let whole = end_of_last_line(&mut file)?;
    if whole < file.metadata()?.len() {
        file.set_len(whole)?;
    }
    Ok(file)
}

/// How long a file is up to the end of its last whole line.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(STEP);
        file.seek(SeekFrom::Start(start))?;
        let mut part = Vec::new();
        file.take(end - start).read_to_end(&mut part)?;
        if let Some(at) = part.iter().rposition(|it| *it == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Whether a path still names the file that is open.
fn is_there(path: &Path, file: &File) -> bool {
    let (Ok(named), Ok(open)) = (path.metadata(), file.metadata()) else {
        return false;
    };
    is_same(&named, &open)
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere an open file can't be moved away.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_line_that_was_begun_goes_and_whole_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let long = "x".repeat(200_000);
        for (before, after) in [
            (String::new(), ""),
            ("a\n".to_owned(), "a\n"),
            ("a\nb".to_owned(), "a\n"),
            ("begun".to_owned(), ""),
            (format!("a\n{long}"), "a\n"),
            (long.clone(), ""),
        ] {
            fs::write(&path, before).unwrap();
            let mut output = Output::open(Some(&path)).unwrap();
            output.write(b"new\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{after}new\n"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_moved_away_is_begun_anew_and_two_exports_do_not_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("out"), folder.path().join("out.1"));
        let mut output = Output::open(Some(&path)).unwrap();
        output.write(b"1\n").unwrap();
        let error = Output::open(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("another export"), "{error}");
        fs::rename(&path, &moved).unwrap();
        output.write(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "1\n");
    }
}
