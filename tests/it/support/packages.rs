//! Packages of other languages, installed once under `target/`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// The folder `target/<name>` with what `wanted` asks for. It is made, or made
/// anew when `wanted` has changed; other threads and processes wait.
///
/// # Panics
/// If it can't be made.
pub(crate) fn prepared(name: &str, wanted: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let home = target.join(name);

    // Held until the folder is whole; the system lets go of it if this process
    // dies.
    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let installed = home.join("installed.txt");
    if !fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        if home.exists() {
            fs::remove_dir_all(&home).unwrap();
        }
        install(&home);
        // Last, so that a half-made folder never passes for a whole one.
        fs::write(&installed, wanted).unwrap();
    }
    home
}

/// Runs a command, which has to succeed.
///
/// # Panics
/// If it does not.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
