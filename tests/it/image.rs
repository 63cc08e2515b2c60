//! The image: what the Dockerfile gives to cargo fits what Cargo.toml names. Nothing is
//! compiled; its steps are taken in a folder, and cargo is asked what it sees there.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value as Json;

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const IGNORED: &str = include_str!("../../.dockerignore");

/// Stands for cargo: it keeps the folder as it was when cargo was called.
const CARGO: &str = "#!/bin/sh\nexec cp -R . \"$SEEN/$(ls \"$SEEN\" | wc -l)\"\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The instructions of a stage, one each, with their arguments.
fn stage(name: &str) -> Vec<(String, String)> {
    let lines = DOCKERFILE.lines().filter(|it| !it.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty());
    let instructions = lines.map(|it| it.split_once(' ').unwrap());
    let all: Vec<_> = instructions.collect();
    let stages = all.chunk_by(|_, next| next.0 != "FROM");
    let mut found = stages.filter(|it| it[0].1.ends_with(name));
    let stage = found.next().unwrap_or_else(|| panic!("no stage {name}"));
    let owned = stage
        .iter()
        .map(|(it, rest)| (it.to_string(), rest.to_string()));
    owned.collect()
}

/// The files and folders that .dockerignore lets through: it ignores all others.
fn let_through() -> Vec<&'static str> {
    let lines = IGNORED.lines().filter(|it| !it.starts_with('#'));
    let mut lines = lines.map(str::trim).filter(|it| !it.is_empty());
    assert_eq!(lines.next(), Some("*"));
    let paths = lines.map(|it| {
        assert!(
            !it.contains(['*', '?', '[']),
            "{it}: what does that let through?"
        );
        it.strip_prefix('!').unwrap()
    });
    paths.collect()
}

/// What an instruction copies from the checkout, and where to; nothing if it is from
/// another stage.
fn copied(arguments: &str) -> Option<(Vec<&str>, &str)> {
    if arguments.contains("--from=") {
        return None;
    }
    let mut words: Vec<_> = arguments.split_whitespace().collect();
    words.retain(|it| !it.starts_with("--"));
    let to = words.pop().unwrap();
    Some((words, to))
}

/// Copies a file, or what is in a folder.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        return;
    }
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Takes a stage's steps in a folder. What the folder was whenever cargo was called.
fn take(stage: &[(String, String)], folder: &Path) -> Vec<PathBuf> {
    let [build, tools, seen] = ["build", "tools", "seen"].map(|it| folder.join(it));
    for it in [&build, &tools, &seen] {
        fs::create_dir(it).unwrap();
    }
    let cargo = tools.join("cargo");
    fs::write(&cargo, CARGO).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", tools.display());
    for (instruction, arguments) in stage {
        match instruction.as_str() {
            "FROM" => {}
            "WORKDIR" => assert_eq!(arguments, "/build"),
            "COPY" => {
                let (from, to) = copied(arguments).unwrap();
                for it in from {
                    let is_folder = to.ends_with('/');
                    let to = build.join(to);
                    let to = if is_folder { to.join(it) } else { to };
                    copy(&root().join(it), &to);
                }
            }
            "RUN" => {
                let script = arguments.replace("/build/", &format!("{}/", build.display()));
                let mut shell = Command::new("sh");
                let shell = shell.args(["-e", "-c", &script]).current_dir(&build);
                let shell = shell.env("PATH", &path).env("SEEN", &seen);
                let output = shell.output().unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{script}: {errors}");
            }
            other => panic!("{other}: nothing takes this step"),
        }
    }
    let count = fs::read_dir(&seen).unwrap().count();
    (0..count).map(|it| seen.join(it.to_string())).collect()
}

/// What cargo is to compile in a folder: where it is, by its kind and name.
fn targets(folder: &Path) -> BTreeMap<(String, String), PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    let targets = told["packages"][0]["targets"].as_array().unwrap().iter();
    let folder = folder.canonicalize().unwrap();
    let targets = targets.map(|it| {
        let text = |it: &Json| it.as_str().unwrap().to_owned();
        let path = PathBuf::from(text(&it["src_path"])).canonicalize();
        let path = path.unwrap_or_else(|e| panic!("{}: {e}", it["src_path"]));
        let path = path.strip_prefix(&folder).unwrap().to_owned();
        ((text(&it["kind"][0]), text(&it["name"])), path)
    });
    targets.collect()
}

#[test]
fn cargo_finds_in_the_image_all_that_its_manifest_names() {
    let folder = tempfile::tempdir().unwrap();
    let seen = take(&stage("AS build"), folder.path());
    let expected = targets(root());
    for kind in ["lib", "bin", "test", "bench", "custom-build"] {
        assert!(
            expected.keys().any(|it| it.0 == kind),
            "no {kind} in Cargo.toml"
        );
    }
    assert_eq!(seen.len(), 2, "the dependencies, and keygate itself");
    for folder in &seen {
        assert_eq!(targets(folder), expected);
        for name in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"] {
            let [there, here] = [folder, root()].map(|it| fs::read(it.join(name)).unwrap());
            assert!(there == here, "{name}");
        }
    }
    // in the end it is the real thing that is built
    for kind in ["lib", "bin", "custom-build"] {
        for (_, path) in expected.iter().filter(|(it, _)| it.0 == kind) {
            let [there, here] = [&seen[1], root()].map(|it| fs::read(it.join(path)).unwrap());
            assert!(there == here, "{}", path.display());
        }
    }
}

#[test]
fn what_the_image_copies_is_there_and_let_through_and_nothing_else() {
    let let_through = let_through();
    let stages = [stage("AS build"), stage("nonroot")].concat();
    let copies = stages.iter().filter(|it| it.0 == "COPY");
    let copied: Vec<_> = copies.filter_map(|it| copied(&it.1)).collect();
    let copied: Vec<_> = copied.into_iter().flat_map(|it| it.0).collect();
    for path in &copied {
        assert!(root().join(path).exists(), "{path} is not there");
        let mut above = Path::new(path).ancestors();
        let is_let_through = above.any(|it| let_through.iter().any(|path| it == Path::new(path)));
        assert!(is_let_through, "{path} is ignored");
    }
    for path in let_through {
        assert!(root().join(path).exists(), "{path} is not there");
        let is_used = |it: &&str| Path::new(it).starts_with(path);
        assert!(
            copied.iter().any(is_used),
            "{path} is let through for nothing"
        );
    }
}
