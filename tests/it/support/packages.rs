//! Packages of other languages, installed once under `target/`.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::program::all_told;

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

/// The folder `target/<name>` with these files, among them a `package-lock.json`, and
/// the packages that it names. `complete` does what else is to be done there.
///
/// # Panics
/// If there is no Node.js or the packages can't be installed.
pub(crate) fn of_node(name: &str, files: &[PathBuf], complete: impl FnOnce(&Path)) -> PathBuf {
    let texts = files.iter().map(|it| fs::read_to_string(it).unwrap());
    prepared(name, &texts.collect::<String>(), |home| {
        fs::create_dir_all(home).unwrap();
        for file in files {
            fs::copy(file, home.join(file.file_name().unwrap())).unwrap();
        }
        run(Command::new("npm")
            .arg("ci")
            .args(["--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(home));
        complete(home);
    })
}

/// Runs a script of another language, which says itself that all is well.
///
/// # Panics
/// If it does not.
pub(crate) fn is_ok(script: impl FnOnce() -> io::Result<Output>) {
    let output = tokio::task::block_in_place(script).unwrap();
    assert!(
        output.status.success() && output.stdout == b"ok\n",
        "{}",
        all_told(&output)
    );
}

/// Runs a command, which has to succeed.
///
/// # Panics
/// If it does not.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}",
        all_told(&output)
    );
}
