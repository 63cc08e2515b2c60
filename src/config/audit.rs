//! `[audit]`: where the trail is kept, and the key that vouches for it.

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use secrecy::SecretString;

use super::{
    reader::{Item, Read, Table},
    values::contents,
};

/// Where the trail is kept.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The store.
    pub store: Store,
    /// An Ed25519 key (PKCS#8, PEM) that signs checkpoints of the trail. It has
    /// been seen to be one.
    pub signing_key: Option<PathBuf>,
}

/// A store of records.
#[derive(Clone, Debug)]
pub enum Store {
    /// A SQLite database in this file, which is made if it is not there. Its
    /// folder is there.
    Sqlite(PathBuf),
    /// A PostgreSQL server, by its URL, which may hold a password.
    Postgres(SecretString),
}

impl Audit {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let store = table.required("store");
        let signing_key = table
            .item("signing_key")
            .and_then(|item| item.table(|it| it.required("file")));
        Some(Self {
            store: store?,
            signing_key: signing_key.map(|SigningKey(path)| path),
        })
    }
}

impl Read for Store {
    fn read(item: &Item<'_>) -> Option<Self> {
        let text = item.string()?;
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Some(Self::Postgres(text.into()));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) => sqlite(item, path),
            None => {
                item.fault("this must be \"sqlite:<file>\" or \"postgres://…\"");
                None
            }
        }
    }
}

fn sqlite(item: &Item<'_>, path: &str) -> Option<Store> {
    if path.is_empty() || path.starts_with([':', '?']) || path.starts_with("//") {
        item.fault("this must name a file after \"sqlite:\", such as \"sqlite:trail.db\"");
        return None;
    }
    let path = item.base_dir().join(path);
    let folder = path.parent().filter(|it| *it != Path::new(""));
    if path.is_dir() {
        item.fault(format!("{} is a folder, not a file", path.display()));
    } else if let Some(folder) = folder.filter(|it| !it.is_dir()) {
        item.fault(format!(
            "the folder {} is not there; make it, and let keygate write to it",
            folder.display()
        ));
    }
    Some(Store::Sqlite(path))
}

struct SigningKey(PathBuf);

impl Read for SigningKey {
    fn read(item: &Item<'_>) -> Option<Self> {
        let (path, pem) = contents(item)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem);
        if key.is_ok_and(|it| Ed25519KeyPair::from_pkcs8(it.secret_pkcs8_der()).is_ok()) {
            return Some(Self(path));
        }
        item.fault(format!(
            "{} is not an Ed25519 private key in PKCS#8 PEM; \
             `openssl genpkey -algorithm ed25519` makes one",
            path.display()
        ));
        None
    }
}
