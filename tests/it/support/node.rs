//! Node.js with the packages of `tests/node/package-lock.json`, under
//! `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::packages::{prepared, run};

/// A script of `tests/node`, copied to where it finds its packages. The first
/// call installs them, and anew when the lock file or a script has changed; other
/// threads and processes wait.
///
/// # Panics
/// If there is no Node.js or the packages can't be installed.
pub(crate) fn script(name: &str) -> PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(prepare).join(name)
}

fn prepare() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.is_file())
        .collect();
    files.sort();
    let wanted: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    prepared("it-node", &wanted, |home| {
        fs::create_dir_all(home).unwrap();
        for file in &files {
            fs::copy(file, home.join(file.file_name().unwrap())).unwrap();
        }
        run(Command::new("npm")
            .arg("ci")
            .args(["--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(home));
    })
}
