//! How a setting names a credential: `{ env | file | command = … }`.

use std::path::{Path, PathBuf};

use crate::{
    settings::{Item, Read, Table},
    upstream::credentials::Source,
};

impl Read for Source {
    fn read(item: &Item<'_>) -> Option<Self> {
        if item.is_string() {
            item.fault(
                "a credential is not written here; say where it is: \
                 { env = \"NAME\" }, { file = \"path\" } or { command = [\"program\"] }",
            );
            return None;
        }
        let source = item.table(source)?;
        if let Err(error) = source.check() {
            item.fault(error.to_string());
        }
        Some(source)
    }
}

fn source(table: &mut Table<'_>) -> Option<Source> {
    let given = ["env", "file", "command"].map(|it| table.item(it));
    if let [Some(item), None, None] = &given {
        return item.string().map(|name| Source::Env(name.to_owned()));
    }
    if let [None, Some(item), None] = &given {
        return PathBuf::read(item).map(Source::File);
    }
    if let [None, None, Some(item)] = &given {
        return command(item).map(Source::Command);
    }
    table.report("this must have one of `env`, `file` and `command`");
    None
}

fn command(item: &Item<'_>) -> Option<Vec<String>> {
    let mut words = if item.is_string() {
        words(item)?
    } else {
        Vec::<String>::read(item)?
    };
    let Some(program) = words.first_mut() else {
        item.fault("this must name a program");
        return None;
    };
    // As in a shell: a name is looked up in PATH, a path is a path.
    if Path::new(program).components().count() > 1 {
        let Ok(path) = item
            .base_dir()
            .join(&*program)
            .into_os_string()
            .into_string()
        else {
            item.fault(
                "the configuration's folder has a name that is not UTF-8; give a whole path",
            );
            return None;
        };
        *program = path;
    }
    Some(words)
}

/// A command that is one string: its words, as long as there is no doubt where
/// they end.
fn words(item: &Item<'_>) -> Option<Vec<String>> {
    const SHELL: &str = "'\"\\`$|&;<>(){}*?~#";
    let line = item.string()?;
    if line.contains(|it| SHELL.contains(it)) {
        item.fault("no shell reads this; write it as a list: [\"program\", \"argument\"]");
        return None;
    }
    Some(line.split_whitespace().map(str::to_owned).collect())
}
