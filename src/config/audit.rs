//! `[audit]`: where the trail is kept, and the key that vouches for it.

use std::path::{Path, PathBuf};

use aws_lc_rs::signature::Ed25519KeyPair;
use rustls::pki_types::PrivateKeyDer;

use crate::{
    audit::{self, Location},
    pem,
    settings::{Item, Read, Table},
};

/// Where the trail is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The store.
    pub store: audit::Settings,
    /// An Ed25519 key (PKCS#8, PEM) that signs checkpoints of the trail. It has
    /// been seen to be one.
    pub signing_key: Option<PathBuf>,
}

impl Audit {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let store = table.required("store");
        let signing_key = table
            .item("signing_key")
            .and_then(|item| item.table(|it| it.required("file")));
        Some(Self {
            store: audit::Settings { store: store? },
            signing_key: signing_key.map(|SigningKey(path)| path),
        })
    }
}

impl Read for Location {
    fn read(item: &Item<'_>) -> Option<Self> {
        let location = match item.string()?.parse::<Self>() {
            Ok(location) => location.within(item.base_dir()),
            Err(fault) => {
                item.fault(fault.to_string());
                return None;
            }
        };
        let path = location.path();
        let folder = path.parent().filter(|it| *it != Path::new(""));
        if path.is_dir() {
            item.fault(format!("{} is a folder, not a file", path.display()));
        } else if let Some(folder) = folder.filter(|it| !it.is_dir()) {
            item.fault(format!(
                "the folder {} is not there; make it, and let keygate write to it",
                folder.display()
            ));
        }
        Some(location)
    }
}

struct SigningKey(PathBuf);

impl Read for SigningKey {
    fn read(item: &Item<'_>) -> Option<Self> {
        let path = PathBuf::read(item)?;
        match pem::private_key(&path) {
            Ok(PrivateKeyDer::Pkcs8(key))
                if Ed25519KeyPair::from_pkcs8(key.secret_pkcs8_der()).is_ok() =>
            {
                return Some(Self(path));
            }
            Err(fault @ pem::Error::Unreadable { .. }) => item.fault(fault.to_string()),
            _ => item.fault(format!(
                "{} is not an Ed25519 private key in PKCS#8 PEM; \
                 `openssl genpkey -algorithm ed25519` makes one",
                path.display()
            )),
        }
        None
    }
}
