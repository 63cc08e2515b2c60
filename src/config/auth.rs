//! `[[auth.issuers]]`: whose tokens are believed.

use std::time::Duration;

use super::values::{Certificates, Readable, duration};
use crate::{
    auth::{Algorithm, Fetching, Issuer, Keys, TokenType},
    settings::{Item, Read, Table},
    upstream::credentials::Source,
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
    let keys = keys(table);
    let algorithms = algorithms(table, keys.as_ref());
    let roles_claim = table.or("roles_claim", "roles".to_owned());
    let typ = table.optional("typ");
    let max_token_age = table.item("max_token_age").map(|_| {
        let (least, most) = (
            Duration::from_secs(60),
            Duration::from_secs(365 * 24 * 3600),
        );
        duration(table, "max_token_age", most, least..=most)
    });
    let longest = Duration::from_secs(5 * 60);
    let clock_leeway = duration(
        table,
        "clock_leeway",
        Issuer::CLOCK_LEEWAY,
        Duration::ZERO..=longest,
    );
    if audiences.as_ref().is_some_and(Vec::is_empty) {
        table.fault("audiences", "this must name at least one audience");
    }
    Some(Issuer {
        issuer: issuer?,
        audiences: audiences?,
        keys: keys?,
        algorithms,
        roles_claim,
        typ,
        max_token_age,
        clock_leeway,
    })
}

/// What tokens are verified with: one of `jwks` and `shared_secret`.
fn keys(table: &mut Table<'_>) -> Option<Keys> {
    let fetching = fetching(table);
    let secret = table.item("shared_secret");
    let given = table.item("jwks").is_some();
    let keys = match &secret {
        None => table.required("jwks"),
        Some(item) => Source::read(item).map(Keys::SharedSecret),
    };
    if secret.is_some() && given {
        let message = "this stands beside `jwks`; an issuer has a shared secret or public keys, \
                       never both";
        table.fault("shared_secret", message);
        return None;
    }
    match (keys?, fetching) {
        (Keys::Url(url, _), fetching) => Some(Keys::Url(url, fetching.unwrap_or_default())),
        (keys, None) => Some(keys),
        (_, Some(_)) => {
            let names = FETCHING.into_iter().filter(|it| table.item(it).is_some());
            for name in names.collect::<Vec<_>>() {
                table.fault(name, "this is for a `jwks` that is a URL; leave it out");
            }
            None
        }
    }
}

const FETCHING: [&str; 3] = ["jwks_ca", "jwks_refresh", "jwks_max_age"];

/// `None` if nothing is said of it.
fn fetching(table: &mut Table<'_>) -> Option<Fetching> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let [ca, refresh, max_age] = FETCHING;
    if FETCHING.iter().all(|it| table.item(it).is_none()) {
        return None;
    }
    let it = Fetching::default();
    let shortest = Duration::from_secs(30);
    let ca = table.optional::<Certificates>(ca).map(|it| it.path);
    let refresh = duration(table, refresh, it.refresh, shortest..=DAY);
    let default = it.max_age.max(refresh);
    Some(Fetching {
        ca,
        refresh,
        max_age: duration(table, max_age, default, refresh..=7 * DAY),
    })
}

fn algorithms(table: &mut Table<'_>, keys: Option<&Keys>) -> Vec<Algorithm> {
    let possible = keys.map_or(&Algorithm::ASYMMETRIC[..], Keys::algorithms);
    let Some(given) = table.optional::<Vec<Algorithm>>("algorithms") else {
        return possible.to_vec();
    };
    if given.is_empty() {
        table.fault("algorithms", "this must name at least one algorithm");
    } else if keys.is_some() && !given.iter().all(|it| possible.contains(it)) {
        let message = match keys {
            Some(Keys::SharedSecret(_)) => {
                "with a `shared_secret` this can only be HS256; leave it out"
            }
            _ => "HS256 needs a `shared_secret` in place of `jwks`; use one with a public key",
        };
        table.fault("algorithms", message);
    }
    given
}

impl Read for Algorithm {
    fn read(item: &Item<'_>) -> Option<Self> {
        let parsed = Self::parse(item.string()?);
        parsed.map_err(|fault| item.fault(fault)).ok()
    }
}

impl Read for TokenType {
    fn read(item: &Item<'_>) -> Option<Self> {
        item.string().map(Self::new)
    }
}

impl Read for Keys {
    /// Public keys.
    fn read(item: &Item<'_>) -> Option<Self> {
        let keys = Self::jwks(item.string()?);
        match keys.map_err(|fault| item.fault(fault)).ok()? {
            Self::File(_) => Readable::read(item).map(|Readable(path)| Self::File(path)),
            url => Some(url),
        }
    }
}
