//! `[audit]`: where the trail is kept, and the key that vouches for it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Uri;

use super::values::{Certificates, Endpoint, duration};
use crate::{
    audit::{self, Location, ORIGIN, note, postgres},
    settings::{Document, Fault, Faults, Item, Read, Table},
    upstream::credentials::Source,
};

/// Where the trail is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The store, and what its checkpoints are signed with.
    pub store: audit::Settings,
    /// Where checkpoints are sent.
    pub checkpoints: Checkpoints,
    /// For how long records are kept; `None` for ever.
    pub retention: Option<Duration>,
}

/// Where checkpoints are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// To standard output, one JSON object a line.
    pub stdout: bool,
    /// To the end of this file.
    pub file: Option<PathBuf>,
    /// To this URL, each in a POST.
    pub url: Option<Uri>,
    /// Certificates to trust there instead of the machine's (PEM).
    pub ca: Option<PathBuf>,
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self {
            stdout: true,
            file: None,
            url: None,
            ca: None,
        }
    }
}

impl Audit {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let store = table.required("store");
        let is_shared = matches!(store, Some(Location::Postgres(_)));
        if is_shared && table.item("origin").is_none() {
            let fault = "this is missing: replicas that share a store need a name each";
            table.fault("origin", fault);
        }
        let origin = table.optional("origin");
        let origin = origin.map_or_else(|| ORIGIN.to_owned(), |Origin(it)| it);
        let signer = table.item("signing_key").and_then(|item| {
            item.table(|it| {
                let file = it.required::<PathBuf>("file")?;
                let loaded = note::Signer::load(&file, &origin);
                let loaded = loaded.map_err(|fault| it.fault("file", fault.to_string()));
                loaded.ok()
            })
        });
        let checkpoints = table
            .item("checkpoints")
            .and_then(|item| item.table(Checkpoints::read));
        let retention = table.item("retention").is_some().then(|| {
            let (day, century) = (
                Duration::from_secs(86_400),
                Duration::from_secs(86_400 * 36_500),
            );
            duration(table, "retention", century, day..=century)
        });
        Some(Self {
            store: audit::Settings {
                store: store?,
                origin,
                signer,
            },
            checkpoints: checkpoints.unwrap_or_default(),
            retention,
        })
    }

    /// Reads of a configuration where the trail is kept, and looks at nothing else
    /// in it.
    ///
    /// # Errors
    /// All the faults that that much has.
    pub fn load_store(path: &Path) -> Result<audit::Settings, Faults> {
        let text = fs::read_to_string(path).map_err(|error| {
            Faults(vec![Fault {
                path: path.display().to_string(),
                line: None,
                message: format!("the configuration can't be read: {error}"),
            }])
        })?;
        let base_dir = path.parent().unwrap_or(Path::new(""));
        Document::read(&text, base_dir, |root| {
            root.entries();
            root.section("audit", |table| {
                table.entries();
                let store = table.required("store");
                let origin = table.optional("origin").map(|Origin(it)| it);
                let settings = audit::Settings::at(store?);
                Some(audit::Settings {
                    origin: origin.unwrap_or_else(|| settings.origin.clone()),
                    ..settings
                })
            })
        })
    }
}

impl Checkpoints {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        let default = Self::default();
        Some(Self {
            stdout: table.optional("stdout").unwrap_or(default.stdout),
            file: table.optional("file").map(|Written(it)| it),
            url: table.optional("url").map(|Endpoint(it)| it),
            ca: table.optional("ca"),
        })
    }
}

/// A file that keygate writes: what it holds is none of the settings, and is not
/// followed as they are.
struct Written(PathBuf);

impl Read for Written {
    fn read(item: &Item<'_>) -> Option<Self> {
        Some(Self(item.base_dir().join(item.string()?)))
    }
}

struct Origin(String);

impl Read for Origin {
    fn read(item: &Item<'_>) -> Option<Self> {
        let origin = item.string()?;
        match note::Verifier::new(origin, [0; 32]) {
            Ok(_) => Some(Self(origin.to_owned())),
            Err(fault) => {
                item.fault(fault.to_string());
                None
            }
        }
    }
}

impl Read for Location {
    fn read(item: &Item<'_>) -> Option<Self> {
        if !item.is_string() {
            return item.table(server);
        }
        match Self::parse(item.string()?, item.base_dir()) {
            Ok(Self::Sqlite(path)) => {
                check_file(item, &path);
                Some(Self::Sqlite(path))
            }
            Ok(location) => Some(location),
            Err(fault) => {
                item.fault(fault.to_string());
                None
            }
        }
    }
}

fn check_file(item: &Item<'_>, path: &Path) {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    if path.is_dir() {
        item.fault(format!("{} is a folder, not a file", path.display()));
    } else if let Some(folder) = folder.filter(|it| !it.is_dir()) {
        item.fault(format!(
            "the folder {} is not there; make it, and let keygate write to it",
            folder.display()
        ));
    }
}

/// A server of PostgreSQL with what does not fit into its URL.
fn server(table: &mut Table<'_>) -> Option<Location> {
    let url = table.required::<Url>("url");
    let password = table.optional::<Source>("password");
    let ca = table.optional::<Certificates>("ca");
    let seconds = |least, most| Duration::from_secs(least)..=Duration::from_secs(most);
    let reconnect = duration(table, "reconnect", postgres::RECONNECT, seconds(1, 60));
    let take_over = duration(table, "take_over", postgres::TAKE_OVER, seconds(1, 3600));
    let Url(mut location) = url?;
    if password.is_some() && location.has_password() {
        table.fault(
            "password",
            "there is one in `url` too; one of them has to go",
        );
    }
    if ca.is_some() && !location.has_tls() {
        table.fault(
            "ca",
            "this means nothing where there is no TLS; see `sslmode` in `url`",
        );
    }
    if ca.is_some() && location.ca.is_some() {
        table.fault(
            "ca",
            "there is a `sslrootcert` in `url` too; one of them has to go",
        );
    }
    location.password = password;
    location.ca = ca.map(|it| it.path).or(location.ca);
    location.reconnect = reconnect;
    location.take_over = take_over;
    Some(Location::Postgres(Box::new(location)))
}

struct Url(postgres::Location);

impl Read for Url {
    fn read(item: &Item<'_>) -> Option<Self> {
        let location = postgres::Location::parse(item.string()?, item.base_dir());
        location
            .map(Self)
            .map_err(|fault| item.fault(fault.to_string()))
            .ok()
    }
}
