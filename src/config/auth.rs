//! `[[auth.issuers]]`: whose tokens are believed.

use std::path::PathBuf;

use http::Uri;
use jsonwebtoken::Algorithm;

use super::{
    reader::{Item, Read, Table, list},
    values::{Endpoint, Readable},
};

/// Algorithms by which a token can be signed. Those with a shared secret are
/// not among them: who can check such a token can also make one.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("EdDSA", Algorithm::EdDSA),
];

/// Whose tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// At least one, each with another `issuer`.
    pub issuers: Vec<Issuer>,
}

/// One issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens have as `iss`.
    pub issuer: String,
    /// What its tokens have as `aud`: one of these. At least one.
    pub audiences: Vec<String>,
    /// Where its public keys are.
    pub jwks: Jwks,
    /// Algorithms that its tokens may be signed with, all asymmetric. At least
    /// one.
    pub algorithms: Vec<Algorithm>,
    /// The claim that holds the caller's roles.
    pub roles_claim: String,
}

/// Where public keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// `https`, or `http` to this machine.
    Url(Uri),
    /// A file of JSON.
    File(PathBuf),
}

impl Auth {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        let items = table.items("issuers");
        let mut seen: Vec<(String, usize)> = Vec::new();
        let mut issuers = Vec::new();
        for item in &items {
            let Some(issuer) = item.table(Issuer::read) else {
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

impl Issuer {
    fn read(table: &mut Table<'_>) -> Option<Self> {
        let issuer = table.required("issuer");
        let audiences = table.required::<Vec<String>>("audiences");
        let jwks = table.required("jwks");
        let algorithms = table.optional("algorithms").unwrap_or_else(all);
        let roles_claim = table.or("roles_claim", "roles".to_owned());
        if audiences.as_ref().is_some_and(Vec::is_empty) {
            table.fault("audiences", "this must name at least one audience");
        }
        if algorithms.is_empty() {
            table.fault("algorithms", "this must name at least one algorithm");
        }
        Some(Self {
            issuer: issuer?,
            audiences: audiences?,
            jwks: jwks?,
            algorithms,
            roles_claim,
        })
    }
}

fn all() -> Vec<Algorithm> {
    ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec()
}

impl Read for Algorithm {
    fn read(item: &Item<'_>) -> Option<Self> {
        let name = item.string()?;
        let found = ALGORITHMS.iter().find(|(known, _)| *known == name);
        if found.is_none() {
            let names = ALGORITHMS.map(|(known, _)| known);
            item.fault(match name {
                "HS256" | "HS384" | "HS512" | "none" => {
                    format!("`{name}` can be forged; use one of {}", list(&names))
                }
                _ => format!("this must be one of {}", list(&names)),
            });
        }
        found.map(|(_, algorithm)| *algorithm)
    }
}

impl Read for Jwks {
    fn read(item: &Item<'_>) -> Option<Self> {
        if item.string()?.contains("://") {
            Endpoint::read(item).map(|Endpoint(url)| Self::Url(url))
        } else {
            Readable::read(item).map(|Readable(path)| Self::File(path))
        }
    }
}
