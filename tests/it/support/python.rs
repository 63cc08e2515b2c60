//! A Python with the packages of `tests/python/requirements.txt`, in a virtual
//! environment under `target/`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The interpreter. The first call makes the environment, and makes it anew
/// when the requirements have changed; other threads and processes wait.
///
/// # Panics
/// If there is no Python 3 or the packages can't be installed.
pub(crate) fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(prepare).clone()
}

/// The directory of the Python scripts.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

fn prepare() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let home = target.join("it-python");
    let wanted = fs::read_to_string(scripts().join("requirements.txt")).unwrap();

    // Held until the environment is whole; the system lets go of it if this
    // process dies.
    let lock = File::create(target.join("it-python.lock")).unwrap();
    lock.lock().unwrap();
    let installed = home.join("requirements.txt");
    if !fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        if home.exists() {
            fs::remove_dir_all(&home).unwrap();
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        run(Command::new(interpreter(&home))
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(scripts().join("requirements.txt")));
        // Last, so that a half-made environment never passes for a whole one.
        fs::write(&installed, wanted).unwrap();
    }
    interpreter(&home)
}

fn interpreter(home: &Path) -> PathBuf {
    home.join("bin/python")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
