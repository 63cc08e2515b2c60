//! Which files have changed.
//!
//! They are looked at a few times a second. Notifications of the system would be
//! quicker, and would be missed where they matter: on network and overlay file
//! systems, and where a file is a link into a folder that is replaced, as
//! Kubernetes does it. A look costs a system call a file; contents are read only
//! where what the system tells of a file has changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

use crate::files::{self, Digest};

/// Time between two looks.
pub(super) const PERIOD: Duration = Duration::from_millis(200);

/// For how many looks a file is read again whose stamp has changed: the times that
/// file systems keep are too coarse to show two changes in a row.
const AFTERWARDS: u8 = 16;

/// What files hold; `None` where one can't be read.
pub(super) type Seen = BTreeMap<PathBuf, Option<Digest>>;

/// Files that are looked at.
#[derive(Debug, Default)]
pub(super) struct Watch(BTreeMap<PathBuf, Watched>);

#[derive(Clone, Debug, Default)]
struct Watched {
    stamp: Option<Stamp>,
    digest: Option<Digest>,
    /// For how many looks it is read whatever its stamp says.
    again: u8,
}

impl Watch {
    /// Looks at these files from now on, and at no others.
    pub(super) fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        self.0.retain(|path, _| files.contains(path));
        for path in files {
            self.0.entry(path.clone()).or_default();
        }
    }

    /// What the files hold now. `anew`: whatever their stamps say. `None` if the
    /// program ends.
    pub(super) async fn look(&mut self, anew: bool) -> Option<Seen> {
        // a copy, should nobody wait for the end
        let mut files = self.0.clone();
        // a file system may take its time
        let looking = spawn_blocking(move || {
            for (path, file) in &mut files {
                file.look(path, anew);
            }
            files
        });
        self.0 = looking.await.ok()?;
        let seen = |(path, file): (&PathBuf, &Watched)| (path.clone(), file.digest);
        Some(self.0.iter().map(seen).collect())
    }

    /// Waits until the files hold something else than this.
    pub(super) async fn other_than(&mut self, seen: &Seen) -> Option<()> {
        while self.look(false).await? == *seen {
            sleep(PERIOD).await;
        }
        Some(())
    }
}

impl Watched {
    fn look(&mut self, path: &Path, anew: bool) {
        let stamp = fs::metadata(path).ok().map(|it| stamp(&it));
        if anew || stamp != self.stamp {
            self.stamp = stamp;
            self.again = AFTERWARDS;
        }
        if self.again > 0 {
            self.again -= 1;
            self.digest = files::read(path).ok().map(|it| files::digest(&it));
        }
    }
}

/// What changes when a file does: it is replaced, or written to.
type Stamp = (u64, u64, i64, i64, u64);

#[cfg(unix)]
fn stamp(it: &Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000) + rest;
    (
        it.dev(),
        it.ino(),
        nanoseconds(it.mtime(), it.mtime_nsec()),
        nanoseconds(it.ctime(), it.ctime_nsec()),
        it.len(),
    )
}

#[cfg(not(unix))]
fn stamp(it: &Metadata) -> Stamp {
    let modified = it.modified().ok();
    let since = modified.and_then(|it| it.duration_since(std::time::UNIX_EPOCH).ok());
    let since = since.and_then(|it| i64::try_from(it.as_nanos()).ok());
    (0, 0, since.unwrap_or_default(), 0, it.len())
}
