//! Reads a policy file. It is read as a whole: every fault is told at once, each
//! with its line and the path of its setting.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest;

use super::{
    ACCESS_READ, AUDIT_READ, Policy, certificate_name,
    deny::Deny,
    grants::{Grant, Grants, Holder},
    role::{Ownership, Role},
    upstream::{self, Pattern},
};
use crate::{
    contract::Contract,
    settings::{Document, Faults, Item, Read, Table, closest},
};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("{}: the policy can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The file has faults.
    #[error("{}: {faults}", path.display())]
    Faults {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        faults: Faults,
    },
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`Error`] if it can't be read, or has faults.
    pub fn load(path: &Path, contract: &Contract) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, contract).map_err(|faults| Error::Faults {
            path: path.to_owned(),
            faults,
        })
    }

    /// Reads a policy from its text.
    ///
    /// # Errors
    /// Every fault that it has.
    pub fn parse(text: &str, contract: &Contract) -> Result<Self, Faults> {
        let mut permissions: BTreeSet<_> = contract.permissions().into_iter().collect();
        permissions.extend([ACCESS_READ, AUDIT_READ]);
        // No setting of a policy is a path.
        let no_folder = Path::new("");
        let (roles, grants, deny) = Document::read(text, no_folder, |file| {
            let roles = file.section("roles", |table| Some(roles(table, &permissions)));
            let roles = roles.unwrap_or_default();
            let places = roles.iter().enumerate();
            let places = places.map(|(at, (name, _))| (name.as_str(), at)).collect();
            let grants = file.items("grants");
            let grant = |it: &Item<'_>| it.table(|it| grant(it, &places));
            let grants: Vec<_> = grants.iter().filter_map(grant).collect();
            let deny = file.section("deny", |table| Some(Deny::read(table, contract)));
            Some((roles, grants, deny.unwrap_or_default()))
        })?;
        let roles = roles.into_iter().filter_map(|(_, role)| role);
        Ok(Self {
            version: version(text).into(),
            roles: roles.map(Arc::new).collect(),
            grants: Arc::new(Grants::from(grants)),
            in_use: in_use(contract, &[&deny]),
            deny: Arc::new(deny),
            emergency: None,
        })
    }
}

/// All roles, by name: those with a fault too, so that their grants have none.
fn roles(table: &mut Table<'_>, known: &BTreeSet<&str>) -> Vec<(String, Option<Role>)> {
    let entries = table.entries().into_iter();
    entries
        .map(|(name, item)| (name.to_owned(), role(name, &item, known)))
        .collect()
}

fn role(name: &str, item: &Item<'_>, known: &BTreeSet<&str>) -> Option<Role> {
    if name.is_empty() {
        item.fault("a role needs a name");
    }
    item.table(|table| {
        let permissions = permissions(table, known);
        let upstreams = narrowed(table, "upstreams");
        let names = narrowed(table, "names");
        Some(Role {
            name: name.to_owned(),
            permissions,
            upstreams: upstreams.unwrap_or_else(|| vec![Pattern::all()]),
            names: names.unwrap_or_else(|| vec!["*".to_owned()]),
            keys: table.or("keys", Ownership::Own),
            reveal: table.or("reveal", false),
            max_scopes: table.or("max_scopes", Vec::new()),
            allow_unscoped: table.or("allow_unscoped", false),
        })
    })
}

fn permissions(table: &mut Table<'_>, known: &BTreeSet<&str>) -> Vec<String> {
    let Some(list) = table.item("permissions") else {
        table.report("the role has no `permissions`, so that it can't permit anything");
        return Vec::new();
    };
    let items = list.items();
    if items.as_ref().is_some_and(Vec::is_empty) {
        list.fault("this is empty, so that the role can't permit anything");
    }
    let mut permissions = Vec::new();
    for item in items.unwrap_or_default() {
        let Some(permission) = item.string() else {
            continue;
        };
        if permission != "*" && !known.contains(permission) {
            item.fault(unknown_permission(permission, known));
        }
        permissions.push(permission.to_owned());
    }
    permissions
}

fn unknown_permission(text: &str, known: &BTreeSet<&str>) -> String {
    let hint = if text.contains('*') {
        "only \"*\" by itself stands for several".to_owned()
    } else if let Some(meant) = closest(text, known.iter().copied()) {
        format!("did you mean {meant:?}?")
    } else {
        "`keygate permissions` lists them".to_owned()
    };
    format!("there is no permission {text:?}; {hint}")
}

/// A list that narrows a role: all fits if it is left out.
fn narrowed<T: Read>(table: &mut Table<'_>, name: &'static str) -> Option<Vec<T>> {
    let list = table.optional::<Vec<T>>(name);
    if list.as_ref().is_some_and(Vec::is_empty) {
        table.fault(
            name,
            "this is empty, so that nothing would fit; for all write [\"*\"], or leave it out",
        );
    }
    list
}

impl Read for Pattern {
    fn read(item: &Item<'_>) -> Option<Self> {
        let pattern = Self::parse(item.string()?);
        pattern.map_err(|fault| item.fault(fault)).ok()
    }
}

impl Read for Ownership {
    fn read(item: &Item<'_>) -> Option<Self> {
        match item.string()? {
            "own" => Some(Self::Own),
            "any" => Some(Self::Any),
            _ => {
                item.fault("this must be \"own\" (keys that the caller made here) or \"any\"");
                None
            }
        }
    }
}

fn grant(table: &mut Table<'_>, places: &BTreeMap<&str, usize>) -> Option<Grant> {
    let role = table.required::<String>("role").and_then(|name| {
        let place = places.get(&*name).copied();
        if place.is_none() {
            let hint = closest(&name, places.keys().copied())
                .map(|it| format!("; did you mean {it:?}?"))
                .unwrap_or_default();
            let message = format!("there is no role {name:?} in this file{hint}");
            table.fault("role", message);
        }
        place
    });
    let holder = holder(table);
    let issuer = table.optional("issuer");
    let certificate = table.optional::<String>("certificate");
    Some(Grant {
        role: role?,
        holder: holder?,
        issuer,
        certificate: certificate.as_deref().map(certificate_name),
    })
}

fn holder(table: &mut Table<'_>) -> Option<Holder> {
    let (claim, subject) = (table.item("claim"), table.item("subject"));
    match (&claim, &subject) {
        (Some(_), Some(_)) => table.report(
            "the grant has both `claim` and `subject`; write two grants, \
             as a caller who fits one of them would get the role",
        ),
        (None, None) => table.report(
            "the grant has neither `claim` nor `subject`, so that nobody \
             would get the role; for every caller write subject = \"*\"",
        ),
        _ => {}
    }
    let text = |item: Option<Item<'_>>| item.and_then(|it| String::read(&it));
    let (claim, subject) = (text(claim), text(subject));
    claim.map(Holder::Claim).or(subject.map(Holder::Subject))
}

/// The permissions that operations ask for which are not denied to all, by vendor.
pub(super) fn in_use(contract: &Contract, denies: &[&Deny]) -> BTreeMap<String, Vec<String>> {
    let mut in_use: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for operation in contract.operations() {
        let is_denied = denies.iter().any(|it| it.method(operation).is_some());
        if upstream::is_vendor(operation.provider()) && !is_denied {
            let all = in_use.entry(operation.provider().to_owned()).or_default();
            all.extend_from_slice(&operation.permissions);
        }
    }
    in_use
}

fn version(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
