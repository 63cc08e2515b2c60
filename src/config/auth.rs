//! `[[auth.issuers]]`: whose tokens are believed.

use super::values::Readable;
use crate::{
    auth::{Algorithm, Issuer, Jwks},
    settings::{Item, Read, Table},
};

/// Whose tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// At least one, each with another `issuer`.
    pub issuers: Vec<Issuer>,
}

impl Auth {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let items = table.items("issuers");
        let mut seen: Vec<(String, usize)> = Vec::new();
        let mut issuers = Vec::new();
        for item in &items {
            let Some(issuer) = item.table(issuer) else {
                continue;
            };
            match seen.iter().find(|(name, _)| *name == issuer.issuer) {
                Some((_, line)) => item.fault(format!(
                    "the issuer of line {line} again; put its audiences into one entry"
                )),
                None => seen.push((issuer.issuer.clone(), item.line())),
            }
            issuers.push(issuer);
        }
        if items.is_empty() {
            table.fault(
                "issuers",
                "at least one `[[auth.issuers]]` is needed: without one, no token is valid",
            );
        }
        Some(Self { issuers })
    }
}

fn issuer(table: &mut Table<'_>) -> Option<Issuer> {
    let issuer = table.required("issuer");
    let audiences = table.required::<Vec<String>>("audiences");
    let jwks = table.required("jwks");
    let algorithms = table.optional("algorithms");
    let algorithms: Vec<_> = algorithms.unwrap_or_else(Issuer::default_algorithms);
    let roles_claim = table.or("roles_claim", "roles".to_owned());
    if audiences.as_ref().is_some_and(Vec::is_empty) {
        table.fault("audiences", "this must name at least one audience");
    }
    if algorithms.is_empty() {
        table.fault("algorithms", "this must name at least one algorithm");
    }
    Some(Issuer {
        issuer: issuer?,
        audiences: audiences?,
        jwks: jwks?,
        algorithms,
        roles_claim,
    })
}

impl Read for Algorithm {
    fn read(item: &Item<'_>) -> Option<Self> {
        Issuer::parse_algorithm(item.string()?)
            .map_err(|fault| item.fault(fault))
            .ok()
    }
}

impl Read for Jwks {
    fn read(item: &Item<'_>) -> Option<Self> {
        let jwks = Self::parse(item.string()?);
        match jwks.map_err(|fault| item.fault(fault)).ok()? {
            Self::File(_) => Readable::read(item).map(|Readable(path)| Self::File(path)),
            url => Some(url),
        }
    }
}
