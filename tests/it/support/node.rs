//! Node.js with the packages of `tests/node/package-lock.json`, under
//! `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::packages::of_node;

/// A command of a script of `tests/node`, copied to where it finds its packages. The
/// first call installs them, and anew when the lock file or a script has changed; other
/// threads and processes wait.
///
/// # Panics
/// If there is no Node.js or the packages can't be installed.
pub(crate) fn script(name: &str) -> Command {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new("node");
    command.arg(HOME.get_or_init(prepare).join(name));
    command
}

fn prepare() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    of_node("it-node", &files, |_| ())
}
