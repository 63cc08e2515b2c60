//! Room on the disk that is taken before it is needed: whoever has written an
//! intent can write its outcome, also when the disk is full by then.
//!
//! The outcomes go into the log (`-wal`), behind all that is in it. So the blocks
//! behind it are allocated beforehand. Where the file system can't do that, a file
//! of the same size stands for them, and is given up when the disk is full: then
//! they are free, for whoever takes them first.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    mem::ManuallyDrop,
    path::{Path, PathBuf},
};

use super::files::{owner_only, with_suffix};
use crate::audit::{
    Error,
    store::{Batch, Debt},
};

/// What a page of the log takes beside itself, and the log before all pages.
const FRAME_HEAD: u64 = 24;
const LOG_HEAD: u64 = 32;

/// The pages that a record changes in all tables and indexes, but for those that
/// its text fills: a dozen, and what it takes when one of them has to be split.
const PAGES: u64 = 16;

/// Pages that are kept in any case, for splits that come together.
const MARGIN: u64 = 256;

/// What is taken at a time, so that it is not taken often.
const PIECE: u64 = 1 << 20;

/// What a record may say more than the intent before it.
const OUTCOME: u64 = 16 << 10;

/// The log's index (`-shm`) has pieces of this size, for so many pages of the log
/// each, but for some in the first.
const INDEX_PIECE: u64 = 32 << 10;
const INDEX_PAGES: u64 = 4096;
const INDEX_FIRST: u64 = 34;

/// The room of a trail.
#[derive(Debug)]
pub(super) struct Room {
    /// The log. SQLite holds no lock on it that closing this would drop.
    log: File,
    path: PathBuf,
    page: u64,
    taken: Taken,
    /// Up to where the index has its blocks.
    index: u64,
}

/// How room is taken.
#[derive(Debug)]
enum Taken {
    /// Up to here the log has its blocks.
    InPlace(u64),
    /// So much is in a file of its own.
    Aside(File, u64),
}

impl Room {
    /// Takes what a trail needs in any case. Its log has to be there.
    pub(super) fn new(trail: &Path, page: u64) -> Result<Self, Error> {
        let path = with_suffix(trail, "-wal");
        let log = File::options().write(true).open(&path);
        let log = log.map_err(Error::file(&path, "opened"))?;
        let index = with_suffix(trail, "-shm");
        let index = fs::metadata(&index).map_err(Error::file(&index, "opened"))?;
        // left by one that was killed
        let aside = with_suffix(trail, ASIDE);
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file(&aside, "deleted")(error));
            }
            _ => {}
        }
        let mut room = Self {
            log,
            path: trail.to_owned(),
            page,
            taken: Taken::InPlace(0),
            index: index.len(),
        };
        room.keep(0, 0)?;
        Ok(room)
    }

    /// How many pages of the log a batch may fill.
    pub(super) fn pages(&self, batch: &Batch) -> u64 {
        let records = batch
            .rows
            .iter()
            .map(|it| PAGES + it.projections.len() as u64 + self.filled(it.body.len() as u64));
        let beside = batch.subtrees.len() + batch.checkpoints.len() + 1;
        records.sum::<u64>() + beside as u64 + PAGES * batch.removals.len() as u64
    }

    /// How many pages so many bytes may fill in a table of their own.
    pub(super) fn pages_of(&self, bytes: u64) -> u64 {
        2 * self.filled(bytes) + PAGES
    }

    /// How many pages the outcomes may fill that are still to come.
    fn owed(&self, debt: Debt) -> u64 {
        debt.records * (PAGES + self.filled(OUTCOME)) + self.filled(debt.bytes)
    }

    fn filled(&self, bytes: u64) -> u64 {
        bytes / (self.page - 24) + 1
    }

    /// Takes room for so many pages of the log.
    pub(super) fn reserve(&mut self, used: u64, pages: u64, debt: Debt) -> Result<(), Error> {
        let pages = pages + self.owed(debt);
        self.keep(used, pages)
    }

    fn keep(&mut self, used: u64, more: u64) -> Result<(), Error> {
        let frame = self.page + FRAME_HEAD;
        let more = more + MARGIN;
        let end = LOG_HEAD + (used + more) * frame;
        if let Taken::InPlace(taken) = self.taken {
            if end <= taken {
                return Ok(());
            }
            // what is there already costs nothing
            let most = end.next_multiple_of(PIECE);
            let done = allocate(&self.log, most).map(|()| most).or_else(|error| {
                if error.kind() != io::ErrorKind::StorageFull {
                    return Err(error);
                }
                // there may still be what is needed
                allocate(&self.log, end).map(|()| end)
            });
            match done {
                Ok(taken) => {
                    self.keep_index(used + more)?;
                    self.taken = Taken::InPlace(taken);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    self.taken = Taken::Aside(self.aside()?, 0);
                }
                Err(error) => {
                    let log = with_suffix(&self.path, "-wal");
                    return Err(Error::file(&log, "extended")(error));
                }
            }
        }
        self.keep_aside(more * frame)
    }

    /// The same for the log's index.
    fn keep_index(&mut self, pages: u64) -> Result<(), Error> {
        let end = (pages + INDEX_FIRST).div_ceil(INDEX_PAGES) * INDEX_PIECE;
        if end <= self.index {
            return Ok(());
        }
        let path = with_suffix(&self.path, "-shm");
        let file = File::options().write(true).open(&path);
        // never closed: that would drop the locks that SQLite holds on it
        let file = file.map(ManuallyDrop::new);
        file.and_then(|it| allocate(&it, end))
            .map_err(Error::file(&path, "extended"))?;
        self.index = end;
        Ok(())
    }

    fn aside(&self) -> Result<File, Error> {
        let path = with_suffix(&self.path, ASIDE);
        let mut options = File::options();
        options.write(true).create(true).truncate(true);
        owner_only(&mut options);
        options.open(&path).map_err(Error::file(&path, "created"))
    }

    fn keep_aside(&mut self, needed: u64) -> Result<(), Error> {
        let Taken::Aside(file, taken) = &mut self.taken else {
            return Ok(());
        };
        let path = with_suffix(&self.path, ASIDE);
        while *taken < needed {
            // not zeros, which some file systems don't store
            let piece = vec![0xa5; PIECE as usize];
            file.write_all(&piece)
                .and_then(|()| file.sync_data())
                .map_err(Error::file(&path, "extended"))?;
            *taken += PIECE;
        }
        Ok(())
    }

    /// Looks whether the disk still takes writes, and whether somebody has cut the
    /// log, and the room with it.
    pub(super) fn look(&mut self) -> Result<(), Error> {
        let path = with_suffix(&self.path, "-wal");
        writable(&self.log).map_err(Error::file(&path, "written"))?;
        if let Taken::InPlace(taken) = &mut self.taken {
            let found = self.log.metadata();
            let found = found.map_err(Error::file(&path, "looked at"))?;
            if blocks(&found) < *taken {
                *taken = 0;
            }
        }
        Ok(())
    }

    /// The disk is full: what is kept aside is for those now who have a right to it.
    pub(super) fn give_up(&mut self) {
        if let Taken::Aside(file, taken) = &mut self.taken {
            // if that fails, the writing will tell
            let _ = file.set_len(0);
            *taken = u64::MAX;
        }
    }

    /// Nothing more will be written.
    pub(super) fn close(self) {
        if matches!(self.taken, Taken::Aside(..)) {
            // what is left is deleted at the next start
            let _ = fs::remove_file(with_suffix(&self.path, ASIDE));
        }
    }
}

/// What the file's name adds to the trail's that stands for room in the log.
const ASIDE: &str = ".room";

#[cfg(target_os = "linux")]
fn allocate(file: &File, end: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    Ok(fallocate(file, FallocateFlags::KEEP_SIZE, 0, end)?)
}

/// Elsewhere it can't be said whether that takes blocks.
#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails if the file system is read-only by now.
#[cfg(target_os = "linux")]
fn writable(file: &File) -> io::Result<()> {
    use rustix::fs::{StatVfsMountFlags, fstatvfs};
    if fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    Ok(())
}

/// Elsewhere the next write tells.
#[cfg(not(target_os = "linux"))]
fn writable(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn blocks(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.blocks() * 512
}

#[cfg(not(target_os = "linux"))]
fn blocks(_: &fs::Metadata) -> u64 {
    u64::MAX
}
