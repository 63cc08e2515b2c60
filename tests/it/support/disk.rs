//! A disk that a test holds in its hand: `tests/c/disk.c`, preloaded into keygate.
//! It fails when it is told to, is as large as it is told to be, and writes down
//! what was written, synced and sent, in order.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddrV4,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    gateway::Process,
    packages::{prepared, run},
};

/// The library to preload. The first call builds it, and builds it anew when its
/// source has changed; other threads and processes wait.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
        let source = folder.join("disk.c");
        let all = [&source, &folder.join("disk/state.h")];
        let wanted = all.map(|it| fs::read_to_string(it).unwrap()).concat();
        let home = prepared("it-disk", &wanted, |home| {
            fs::create_dir_all(home).unwrap();
            // building keygate needs a C compiler already
            run(Command::new("cc")
                .args([
                    "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o",
                ])
                .arg(home.join("disk.so"))
                .arg(&source));
        });
        home.join("disk.so")
    })
}

/// The files of a trail, as the library numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Part {
    Main,
    Wal,
    Shm,
    Lock,
    Journal,
    /// Any other whose name begins with the main file's.
    Other,
    /// The folder that holds them.
    Folder,
}

impl Part {
    /// Those that the library knows by their numbers.
    pub(crate) const ALL: [Self; 7] = [
        Self::Main,
        Self::Wal,
        Self::Shm,
        Self::Lock,
        Self::Journal,
        Self::Other,
        Self::Folder,
    ];

    /// What its name adds to the main file's.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Wal => "-wal",
            Self::Shm => "-shm",
            Self::Lock => ".lock",
            Self::Journal => "-journal",
            Self::Other | Self::Folder => panic!("{self:?} has no one name"),
        }
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Operation {
    Open,
    Write,
    Sync,
    Truncate,
    Allocate,
    Unlink,
    Close,
    /// Asking for its state: it says that it is read-only.
    Ask,
}

impl Operation {
    /// Those that the library knows by their numbers.
    pub(crate) const ALL: [Self; 8] = [
        Self::Open,
        Self::Write,
        Self::Sync,
        Self::Truncate,
        Self::Allocate,
        Self::Unlink,
        Self::Close,
        Self::Ask,
    ];
}

/// A failure to come.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// Which operations count.
    pub(crate) operations: Vec<Operation>,
    /// On which files.
    pub(crate) parts: Vec<Part>,
    /// The operation that fails, counted from 1; 0 if they are only counted.
    pub(crate) at: u64,
    /// How, as errno tells.
    pub(crate) error: Errno,
    /// Whether all later ones fail as well.
    pub(crate) lasting: bool,
}

/// What the operating system says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Errno {
    /// Nothing: it is done. But its file has another name from then on.
    Moved = 0,
    /// An error of the device.
    Eio = 5,
    /// No space is left.
    Enospc = 28,
    /// The file system is read-only.
    Erofs = 30,
    /// The file system has no such operation.
    Eopnotsupp = 95,
}

/// How many there were of each operation on each part.
pub(crate) type Seen = BTreeMap<(Operation, Part), u64>;

/// The disk below one trail.
pub(crate) struct Disk {
    files: PathBuf,
    control: PathBuf,
    log: Option<PathBuf>,
    file: File,
}

/// The members of the library's `struct control`, in their order.
#[derive(Clone, Copy)]
enum Member {
    Operations,
    Files,
    At,
    Error,
    Lasting,
    Counted,
    Failed,
    FailedAt,
    Size,
    Used,
    Refused,
    Killed,
    /// How many of each operation there were on each part: as many members.
    Seen,
}

const SEEN: usize = Operation::ALL.len() * Part::ALL.len();

const MEMBERS: usize = Member::Seen as usize + SEEN;

impl Disk {
    /// The disk below the trail with this main file, which need not be there yet.
    /// What it writes itself goes into another folder.
    pub(crate) fn below(trail: &Path, notes: &Path) -> Self {
        let control = notes.join("control");
        fs::write(&control, [0; MEMBERS * 8]).unwrap();
        let folder = trail.parent().unwrap().canonicalize().unwrap();
        Self {
            files: folder.join(trail.file_name().unwrap()),
            file: File::options()
                .write(true)
                .read(true)
                .open(&control)
                .unwrap(),
            control,
            log: None,
        }
    }

    /// The same, which writes down what happens.
    pub(crate) fn with_log(mut self, notes: &Path) -> Self {
        self.log = Some(notes.join("log"));
        self
    }

    /// What keygate is to be started with.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut all = vec![
            ("LD_PRELOAD", text(library())),
            ("KEYGATE_DISK_FILES", text(&self.files)),
            ("KEYGATE_DISK_CONTROL", text(&self.control)),
        ];
        all.extend(self.log.iter().map(|it| ("KEYGATE_DISK_LOG", text(it))));
        all
    }

    fn get(&self, member: Member) -> u64 {
        let mut bytes = [0; 8];
        self.file
            .read_exact_at(&mut bytes, member as u64 * 8)
            .unwrap();
        u64::from_le_bytes(bytes)
    }

    fn set(&self, member: Member, value: u64) {
        let bytes = value.to_le_bytes();
        self.file.write_all_at(&bytes, member as u64 * 8).unwrap();
    }

    /// Makes operations fail from now on, and counts them anew.
    pub(crate) fn arm(&self, fault: &Fault) {
        self.set(Member::Operations, 0);
        let parts = fault.parts.iter().map(|it| 1 << *it as u64);
        self.set(Member::Files, parts.sum());
        self.set(Member::At, fault.at);
        self.set(Member::Error, fault.error as u64);
        self.set(Member::Lasting, fault.lasting.into());
        self.set(Member::Counted, 0);
        self.set(Member::Failed, 0);
        // last: this is what arms it
        let operations = fault.operations.iter().map(|it| 1 << *it as u64);
        self.set(Member::Operations, operations.sum());
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        self.set(Member::Operations, 0);
        self.set(Member::Size, 0);
    }

    /// Kills the program between two operations, so that the log has all it did and
    /// nothing else.
    pub(crate) fn kill(&self, program: &mut Process) {
        self.set(Member::Killed, 1);
        assert_eq!(program.wait(), None, "it has ended by itself");
        self.set(Member::Killed, 0);
    }

    /// Gives a file its name again that was moved away.
    pub(crate) fn put_back(&self, part: Part) {
        let name = format!("{}{}", self.files.display(), part.suffix());
        fs::rename(format!("{name}.moved"), name).unwrap();
    }

    /// How many there were of each operation on each part since it was made.
    pub(crate) fn seen(&self) -> Seen {
        let mut bytes = [0; SEEN * 8];
        let at = Member::Seen as u64 * 8;
        self.file.read_exact_at(&mut bytes, at).unwrap();
        let counts = bytes
            .chunks_exact(8)
            .map(|it| u64::from_le_bytes(it.try_into().unwrap()));
        let of = Operation::ALL
            .iter()
            .flat_map(|it| Part::ALL.map(|part| (*it, part)));
        of.zip(counts).collect()
    }

    /// How many of them have failed.
    pub(crate) fn failed(&self) -> u64 {
        self.get(Member::Failed)
    }

    /// When the first of them did.
    pub(crate) fn failed_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.get(Member::FailedAt))
    }

    /// Leaves room for so many bytes more, and no more.
    pub(crate) fn leave(&self, bytes: u64) {
        self.set(Member::Refused, 0);
        self.set(Member::Size, self.used() + bytes);
    }

    /// How many bytes of it are taken.
    pub(crate) fn used(&self) -> u64 {
        self.get(Member::Used)
    }

    /// How often it was found to be full.
    pub(crate) fn refused(&self) -> u64 {
        self.get(Member::Refused)
    }

    /// What has happened on it.
    pub(crate) fn history(&self) -> Vec<Event> {
        let bytes = fs::read(self.log.as_ref().unwrap()).unwrap();
        let mut rest = bytes.as_slice();
        let mut all = Vec::new();
        while let Some(event) = Event::take(&mut rest) {
            all.push(event);
        }
        all
    }
}

/// Something that happened on a disk, or that was told past it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A file that was not there was made.
    Created(Part),
    /// Bytes were written at an offset.
    Written(Part, u64, Vec<u8>),
    /// A file was given a size.
    Truncated(Part, u64),
    /// A file was synced.
    Synced(Part),
    /// A file lost its name.
    Unlinked(Part),
    /// The folder was synced.
    FolderSynced,
    /// Bytes were sent there.
    Sent(SocketAddrV4, Vec<u8>),
}

impl Event {
    /// The next one; nothing at the end, or if the last one is cut off.
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let (head, after) = rest.split_at_checked(24)?;
        let small = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let large = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        let (kind, file, offset) = (small(0), small(4), large(8));
        let length = usize::try_from(large(16)).unwrap();
        let (data, after) = after.split_at_checked(length)?;
        *rest = after;
        let part = || Part::ALL[file as usize];
        Some(match kind {
            1 => Self::Created(part()),
            2 => Self::Written(part(), offset, data.to_vec()),
            3 => Self::Truncated(part(), offset),
            4 => Self::Synced(part()),
            5 => Self::Unlinked(part()),
            6 => Self::FolderSynced,
            7 => {
                let port = u16::try_from(offset).unwrap();
                Self::Sent(SocketAddrV4::new(file.into(), port), data.to_vec())
            }
            _ => panic!("the library writes of something else: {kind}"),
        })
    }
}
