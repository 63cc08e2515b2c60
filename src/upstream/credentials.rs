//! Master credentials: where they come from, and how they are carried.
//!
//! A value is read into memory that is cleared when it is let go, is fit for an
//! HTTP header, and stands in no error and no `Debug`. Errors name the source.
//! What a command writes to its standard error is thrown away: nobody can say
//! that it holds no secret.

use std::{
    env, fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use http::{
    HeaderName, HeaderValue,
    header::{self, InvalidHeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};
use zeroize::Zeroizing;

use crate::files;

/// The longest credential, in bytes.
pub const MAX_BYTES: usize = 4096;

/// How long a command may take.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// A credential with the end of its line, and one byte that says that it is too
/// long.
const READ_BYTES: usize = MAX_BYTES + 3;

/// Where a credential comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// An environment variable, by its name.
    Env(String),
    /// A file.
    File(PathBuf),
    /// What a program, started with these arguments and no shell, writes to its
    /// standard output.
    Command(Vec<String>),
}

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
#[error("{from}: {reason}")]
pub struct Error {
    /// Where it was to come from.
    from: String,
    /// What is wrong.
    reason: Reason,
    /// What the system said.
    source: Option<io::Error>,
}

/// What to do about a file that can't be read.
fn remedy(fault: &io::ErrorKind) -> &'static str {
    match fault {
        io::ErrorKind::NotFound => "put it there, or name the one that is",
        _ => "give keygate's user the right to read it",
    }
}

/// What can be wrong with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There is no such environment variable.
    #[error("it is not set; set it for keygate's process")]
    NotSet,
    /// The file can't be read, for the reason of this kind.
    #[error("it can't be read ({0}); {remedy}", remedy = remedy(.0))]
    Unreadable(io::ErrorKind),
    /// The file is a folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// The program can't be started, for the reason of this kind.
    #[error("it can't be started ({0}); give its path")]
    NotStarted(io::ErrorKind),
    /// The program's output can't be read, for the reason of this kind.
    #[error("its output can't be read ({0})")]
    Output(io::ErrorKind),
    /// The program says that it failed.
    #[error("it ended with {0}; run it by hand to see why")]
    Failed(ExitStatus),
    /// The program took longer than [`COMMAND_TIMEOUT`].
    #[error("it took longer than {} s", COMMAND_TIMEOUT.as_secs())]
    TimedOut,
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is longer than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It can't stand in an HTTP header.
    #[error("it holds white space, a control character or a letter beyond ASCII")]
    NotVisibleAscii,
}

impl Error {
    /// What is wrong.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl Source {
    /// Reads the credential. One end of line after it is not part of it.
    ///
    /// # Errors
    /// [`Error`] if it can't be had, or is not one line of visible ASCII.
    pub async fn load(&self) -> Result<SecretString, Error> {
        let bytes = match self {
            Self::Env(name) => self.read_env(name)?,
            Self::File(path) => self.read_file(path).await?,
            Self::Command(words) => self.run(words).await?,
        };
        parse(&bytes).map_err(|reason| self.error(reason))
    }

    /// Whether the variable is set or the file can be opened. No command is run.
    ///
    /// # Errors
    /// [`Error`] if not.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Env(name) => self.read_env(name).map(drop),
            Self::File(path) => files::open(path)
                .map(drop)
                .map_err(|it| self.file_error(it)),
            Self::Command(_) => Ok(()),
        }
    }

    fn read_env(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let value = env::var_os(name).ok_or_else(|| self.error(Reason::NotSet))?;
        Ok(Zeroizing::new(value.into_encoded_bytes()))
    }

    async fn read_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        let path = path.to_owned();
        // Not `tokio::fs`: its buffers are not cleared.
        let reading = tokio::task::spawn_blocking(move || {
            let mut bytes = buffer();
            let file = files::open(&path)?;
            warn_if_exposed(&path, &file);
            file.take(READ_BYTES as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let read = reading.await.unwrap_or_else(|it| Err(it.into()));
        read.map_err(|it| self.file_error(it))
    }

    async fn run(&self, words: &[String]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let not_started = |it: io::Error| self.caused(Reason::NotStarted(it.kind()), it);
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| not_started(io::ErrorKind::InvalidInput.into()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let mut bytes = buffer();
        let output = child.stdout.take();
        let work = async {
            if let Some(output) = output {
                let mut output = output.take(READ_BYTES as u64);
                while output.read_buf(&mut *bytes).await? > 0 {}
            }
            // More would block the program for want of a reader.
            match bytes.len() {
                READ_BYTES => Ok(None),
                _ => child.wait().await.map(Some),
            }
        };
        match timeout(COMMAND_TIMEOUT, work).await {
            Err(_) => Err(self.error(Reason::TimedOut)),
            Ok(Err(error)) => Err(self.caused(Reason::Output(error.kind()), error)),
            Ok(Ok(Some(status))) if !status.success() => Err(self.error(Reason::Failed(status))),
            Ok(Ok(_)) => Ok(bytes),
        }
    }

    fn error(&self, reason: Reason) -> Error {
        Error {
            from: self.to_string(),
            reason,
            source: None,
        }
    }

    fn caused(&self, reason: Reason, source: io::Error) -> Error {
        Error {
            source: Some(source),
            ..self.error(reason)
        }
    }

    fn file_error(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::InvalidInput => self.error(Reason::NotAFile),
            kind => self.caused(Reason::Unreadable(kind), error),
        }
    }
}

/// The source, by name: no arguments, since one of them can be a secret.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Command(words) => {
                write!(f, "command {}", words.first().map_or("", String::as_str))
            }
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({self})")
    }
}

/// How a credential is presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// As it is, in a header of this name.
    Plain(HeaderName),
    /// As a bearer token (RFC 6750, section 2.1).
    Bearer,
}

impl Header {
    /// The header's name.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Plain(name) => name,
            Self::Bearer => &header::AUTHORIZATION,
        }
    }

    /// The header's value. Its `Debug` does not show the credential, and HTTP/2
    /// does not put it into a compression table.
    ///
    /// # Errors
    /// If it can't stand in a header; what [`Source::load`] gives can.
    pub fn value(&self, credential: &SecretString) -> Result<HeaderValue, InvalidHeaderValue> {
        let credential = credential.expose_secret();
        let mut value = match self {
            Self::Plain(_) => HeaderValue::from_str(credential)?,
            Self::Bearer => {
                let text = Zeroizing::new(["Bearer ", credential].concat());
                HeaderValue::from_str(&text)?
            }
        };
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Large enough never to grow: growing would leave copies behind.
fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES))
}

/// Says so in the log if others than the file's owner and group may read it, or
/// others than its owner may write it.
#[cfg(unix)]
fn warn_if_exposed(path: &Path, file: &fs::File) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(found) = file.metadata() else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = %format_args!("{mode:04o}"),
            "a credential's file is open to other users; its mode should be 0640 or less",
        );
    }
}

#[cfg(not(unix))]
fn warn_if_exposed(_: &Path, _: &fs::File) {}

fn parse(bytes: &[u8]) -> Result<SecretString, Reason> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Reason::Empty);
    }
    if line.len() > MAX_BYTES {
        return Err(Reason::TooLong);
    }
    if !line.iter().all(u8::is_ascii_graphic) {
        return Err(Reason::NotVisibleAscii);
    }
    let text = str::from_utf8(line).map_err(|_| Reason::NotVisibleAscii)?;
    // A box of the right size: a `String` might be copied to shrink it.
    Ok(SecretString::new(Box::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> Result<String, Reason> {
        parse(bytes).map(|it| it.expose_secret().to_owned())
    }

    #[test]
    fn one_end_of_line_is_not_part_of_it() {
        for given in ["key", "key\n", "key\r\n"] {
            assert_eq!(parsed(given.as_bytes()), Ok("key".to_owned()), "{given:?}");
        }
        assert_eq!(parsed(b"key\n\n"), Err(Reason::NotVisibleAscii));
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        for given in [
            &b"a b"[..],
            b" a",
            b"a\tb",
            b"a\0",
            b"a\x7f",
            "schl\u{fc}ssel".as_bytes(),
            b"\xff\xfe",
        ] {
            assert_eq!(parsed(given), Err(Reason::NotVisibleAscii), "{given:?}");
        }
        for given in [&b""[..], b"\n", b"\r\n"] {
            assert_eq!(parsed(given), Err(Reason::Empty));
        }
        assert_eq!(parsed(&[b'a'; MAX_BYTES + 1]), Err(Reason::TooLong));
        assert!(parsed(&[b'a'; MAX_BYTES]).is_ok());
    }
}
