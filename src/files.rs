//! Files that settings name: the one way in which they are opened, and what tells
//! that one is another than it was.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use aws_lc_rs::digest;
use zeroize::Zeroizing;

/// What stands for a content: its SHA-256.
pub type Digest = [u8; 32];

/// Opens a regular file: opening a pipe would wait for its other end.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidInput`] if it is a folder, a pipe
/// or a device.
pub fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    let kind = io::ErrorKind::InvalidInput;
    Err(io::Error::new(kind, "it is not a regular file"))
}

/// All that a regular file holds, in memory that is cleared when it is let go.
///
/// # Errors
/// See [`open`].
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = open(path)?;
    // of the right size from the start: growing would leave copies behind
    let size = file.metadata().map_or(0, |it| it.len());
    let size = usize::try_from(size).unwrap_or(0).saturating_add(1);
    let mut content = Zeroizing::new(Vec::with_capacity(size));
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// The digest of a content.
#[must_use]
pub fn digest(content: &[u8]) -> Digest {
    let mut out = Digest::default();
    out.copy_from_slice(digest::digest(&digest::SHA256, content).as_ref());
    out
}
