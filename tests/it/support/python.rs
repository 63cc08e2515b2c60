//! A Python with the packages of `tests/python/requirements.txt`, in a virtual
//! environment under `target/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::packages::{prepared, run};

/// The interpreter. The first call makes the environment, and makes it anew
/// when the requirements have changed; other threads and processes wait.
///
/// # Panics
/// If there is no Python 3 or the packages can't be installed.
pub(crate) fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(prepare).clone()
}

/// A command of a script of `tests/python`.
pub(crate) fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    // no bytecode beside the scripts, which import each other
    command.arg("-B").arg(scripts().join(name));
    command
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

fn prepare() -> PathBuf {
    let requirements = scripts().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let home = prepared("it-python", &wanted, |home| {
        run(Command::new("python3").args(["-m", "venv"]).arg(home));
        run(Command::new(interpreter(home))
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&requirements));
    });
    interpreter(&home)
}

fn interpreter(home: &Path) -> PathBuf {
    home.join("bin/python")
}
