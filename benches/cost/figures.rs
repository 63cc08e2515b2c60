//! Figures: of samples, and of the disk.

use std::{
    fs::{File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

/// Of sorted samples, the one that so many in a hundred are not above.
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// A duration in microseconds.
pub(crate) fn micros(it: Duration) -> String {
    format!("{:.1} µs", it.as_secs_f64() * 1e6)
}

/// What the disk takes for 4 kB that are synced, as a log is written: over what
/// is there already.
pub(crate) struct Disk {
    file: File,
    at: u64,
}

impl Disk {
    const BLOCK: usize = 4096;
    const BLOCKS: u64 = 256;

    pub(crate) fn new(folder: &Path) -> Self {
        let path = folder.join("probe");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        for _ in 0..Self::BLOCKS {
            file.write_all(&[1; Self::BLOCK]).unwrap();
        }
        file.sync_all().unwrap();
        std::fs::remove_file(path).unwrap();
        Self { file, at: 0 }
    }

    pub(crate) fn sync(&mut self) {
        let at = self.at % Self::BLOCKS * Self::BLOCK as u64;
        self.file.seek(SeekFrom::Start(at)).unwrap();
        self.file.write_all(&[2; Self::BLOCK]).unwrap();
        self.file.sync_data().unwrap();
        self.at += 1;
    }
}
