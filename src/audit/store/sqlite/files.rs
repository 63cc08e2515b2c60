//! The files of a trail: made for their owner alone, locked for one writer, and
//! watched so that writes don't go into a file that is no longer there.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::Error;

/// Makes the file if there is none, readable by its owner only, and says where
/// it really is.
pub(super) fn create(path: &Path) -> Result<PathBuf, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    match options.open(path) {
        Ok(file) => {
            file.sync_all().map_err(Error::file(path, "synced"))?;
            sync_name(path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::file(path, "created")(error)),
    }
    // One name whatever the link it was reached by, so that there is one lock.
    path.canonicalize().map_err(Error::file(path, "opened"))
}

/// Syncs a file's folder: a name that is not on disk takes the file with it.
pub(super) fn sync_name(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|it| it.sync_all())
        .map_err(Error::file(path, "synced into its folder"))
}

/// Locks the trail for this process. The lock lasts as long as the file is open.
pub(super) fn lock(path: &Path) -> Result<(PathBuf, File), Error> {
    let lock = with_suffix(path, ".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    owner_only(&mut options);
    let file = options.open(&lock).map_err(Error::file(&lock, "opened"))?;
    match file.try_lock() {
        Ok(()) => Ok((lock, file)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::file(&lock, "locked")(error)),
    }
}

/// `trail.db-wal` for `trail.db` and `-wal`.
pub(in crate::audit) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
pub(super) fn owner_only(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
pub(super) fn owner_only(_: &mut OpenOptions) {}

/// Files that have to stay what they were.
///
/// They are looked at by name and never opened: closing a second handle of a
/// database would drop the locks that SQLite holds on it.
#[derive(Debug)]
pub(super) struct Watched(Vec<(PathBuf, Identity)>);

impl Watched {
    /// Remembers which files have these names now.
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, Error> {
        paths
            .into_iter()
            .map(|path| {
                let identity = identity(&path).map_err(Error::file(&path, "opened"))?;
                Ok((path, identity))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Fails if a name stands for another file, or for none.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (path, known) in &self.0 {
            match identity(path) {
                Ok(found) if found == *known => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file(path, "looked at")(error));
                }
                _ => return Err(Error::Replaced { path: path.clone() }),
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map(|it| (it.dev(), it.ino()))
}

#[cfg(not(unix))]
type Identity = ();

/// Elsewhere an open file can't be deleted or replaced.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|_| ())
}
