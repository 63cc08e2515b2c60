//! What a disk may hold after the power was cut: everything up to the last sync of
//! a file, and of what was written to it later whatever a seed says.

use std::{collections::BTreeMap, fs, path::Path};

use keygate::random::Random;

use crate::{
    crash::below,
    support::disk::{Event, Part},
};

/// A disk writes so much in one piece, or nothing of it.
const SECTOR: usize = 512;

/// A disk on its way through what happened to it.
#[derive(Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// Which files have names for sure.
    names: BTreeMap<Part, usize>,
    /// What became of names since the folder was synced.
    renamed: Vec<(Part, Option<usize>)>,
    /// A disk that says that it has synced and has not.
    lies: bool,
}

#[derive(Clone, Default)]
struct File {
    synced: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Size(usize),
}

/// What becomes of that which was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// All of it is lost.
    All,
    /// Nothing is lost.
    Nothing,
    /// Each write is there or not.
    Some,
    /// Each sector of each write is there or not.
    Torn,
    /// The same, in any order.
    Reordered,
}

impl Loss {
    pub(super) const KINDS: [Self; 5] = [
        Self::All,
        Self::Nothing,
        Self::Some,
        Self::Torn,
        Self::Reordered,
    ];
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(data);
            }
            Self::Size(size) => content.resize(*size, 0),
        }
    }

    /// The parts of it that reach the disk independently.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write(offset, data) = self else {
            return vec![self.clone()];
        };
        let mut parts = Vec::new();
        let (mut at, mut rest) = (*offset, data.as_slice());
        while !rest.is_empty() {
            let length = (SECTOR - at % SECTOR).min(rest.len());
            let (part, after) = rest.split_at(length);
            parts.push(Self::Write(at, part.to_vec()));
            (at, rest) = (at + length, after);
        }
        parts
    }
}

impl File {
    /// What may be left of it.
    fn left(&self, loss: Loss, random: &Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        let is_kept = || below(random, 2) == 0;
        let mut changes: Vec<_> = match loss {
            Loss::All => Vec::new(),
            Loss::Nothing => self.since.clone(),
            Loss::Some => self.since.iter().filter(|_| is_kept()).cloned().collect(),
            Loss::Torn | Loss::Reordered => {
                let all = self.since.iter().flat_map(Change::sectors);
                all.filter(|_| is_kept()).collect()
            }
        };
        if matches!(loss, Loss::Reordered) {
            for at in (1..changes.len()).rev() {
                let other = below(random, at as u64 + 1);
                changes.swap(at, usize::try_from(other).unwrap());
            }
        }
        changes.iter().for_each(|it| it.apply(&mut content));
        content
    }
}

impl Disk {
    /// One that says that it has synced, and never does.
    pub(super) fn lying() -> Self {
        Self {
            lies: true,
            ..Self::default()
        }
    }

    /// The file of this name as programs see it.
    fn named(&self, part: Part) -> Option<usize> {
        let mut names = self.renamed.iter().rev();
        let last = names.find(|(name, _)| *name == part);
        last.map_or_else(|| self.names.get(&part).copied(), |(_, file)| *file)
    }

    /// The next that happened to it.
    pub(super) fn follow(&mut self, event: &Event) {
        let file = |disk: &Self, part: Part| {
            let number = disk.named(part);
            number.unwrap_or_else(|| panic!("{part:?} has never been made"))
        };
        match event {
            Event::Created(part) => {
                self.files.push(File::default());
                self.renamed.push((*part, Some(self.files.len() - 1)));
            }
            Event::Unlinked(part) => self.renamed.push((*part, None)),
            Event::Written(Part::Shm, ..) | Event::Truncated(Part::Shm, _) => {}
            Event::Written(part, offset, data) => {
                let change = Change::Write(usize::try_from(*offset).unwrap(), data.clone());
                let file = file(self, *part);
                self.files[file].since.push(change);
            }
            Event::Truncated(part, size) => {
                let change = Change::Size(usize::try_from(*size).unwrap());
                let file = file(self, *part);
                self.files[file].since.push(change);
            }
            Event::Synced(_) | Event::FolderSynced if self.lies => {}
            Event::Synced(part) => {
                let file = file(self, *part);
                let file = &mut self.files[file];
                for change in std::mem::take(&mut file.since) {
                    change.apply(&mut file.synced);
                }
            }
            Event::FolderSynced => {
                for (part, file) in std::mem::take(&mut self.renamed) {
                    match file {
                        Some(file) => self.names.insert(part, file),
                        None => self.names.remove(&part),
                    };
                }
            }
            Event::Sent(..) => {}
        }
    }

    /// Writes into a folder what may be found after the power comes back.
    pub(super) fn after_a_cut(&self, trail: &Path, loss: Loss, random: &Random) {
        // names change one after the other, as every file system's journal has it
        let mut names = self.names.clone();
        let last = match loss {
            Loss::All => 0,
            Loss::Nothing => self.renamed.len(),
            _ => usize::try_from(below(random, self.renamed.len() as u64 + 1)).unwrap(),
        };
        for (part, file) in &self.renamed[..last] {
            match file {
                Some(file) => names.insert(*part, *file),
                None => names.remove(part),
            };
        }
        for (part, file) in names {
            let content = match part {
                // never synced: anything may be in it
                Part::Shm => {
                    let byte = u8::try_from(below(random, 256)).unwrap();
                    vec![byte; 32_768 * usize::try_from(below(random, 3)).unwrap()]
                }
                _ => self.files[file].left(loss, random),
            };
            let mut path = trail.as_os_str().to_owned();
            path.push(part.suffix());
            fs::write(path, content).unwrap();
        }
    }
}
