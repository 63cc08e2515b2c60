//! An issuer's settings, and what can be wrong with them.

use std::{collections::HashSet, fmt, path::PathBuf};

use ::http::Uri;
use jsonwebtoken::Algorithm;

use crate::{http, settings::Fault};

/// An issuer whose tokens are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens have as `iss`, character for character.
    pub issuer: String,
    /// A token is for this gateway if its `aud` has one of these.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub jwks: Jwks,
    /// The algorithms that its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// The claim that holds the caller's roles: a name (`roles`), or a path with
    /// dots (`realm_access.roles`). A token without it has no roles.
    pub roles_claim: String,
}

/// Where an issuer's keys are: a JSON Web Key Set (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// A file, read at start.
    File(PathBuf),
    /// An address, fetched at start and from time to time.
    Url(Uri),
}

/// The algorithms that can be allowed, by name. Each needs only a public key.
const ALGORITHMS: [(&str, Algorithm); 10] = [
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("Ed25519", Algorithm::EdDSA), // its name since RFC 9864
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
];

/// An algorithm by its name in a token, key or setting, if it is supported.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    let (_, algorithm) = ALGORITHMS.iter().find(|(it, _)| *it == name)?;
    Some(*algorithm)
}

impl Issuer {
    /// The algorithms that are allowed where the settings name none: all that
    /// are supported, as none of them needs a shared secret.
    #[must_use]
    pub fn default_algorithms() -> Vec<Algorithm> {
        let mut all: Vec<_> = ALGORITHMS.iter().map(|(_, it)| *it).collect();
        all.dedup();
        all
    }

    /// Reads the name of an algorithm in the settings.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse_algorithm(name: &str) -> Result<Algorithm, String> {
        algorithm(name).ok_or_else(|| {
            if name.eq_ignore_ascii_case("none") {
                "\"none\" means tokens that anybody can make; it can't be allowed".to_owned()
            } else if name.starts_with("HS") {
                format!(
                    "\"{name}\" needs a secret shared with the issuer, which is not supported; \
                     use an algorithm with a public key, as ES256"
                )
            } else {
                let known: Vec<_> = ALGORITHMS.iter().map(|(it, _)| *it).collect();
                format!(
                    "\"{name}\" is not a known algorithm; known are {}",
                    known.join(", ")
                )
            }
        })
    }
}

impl Jwks {
    /// Reads a setting that is a URL or the path of a file.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("this is empty; write a URL or the path of a file");
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        http::endpoint(text).map(Self::Url)
    }
}

impl fmt::Display for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(uri) => uri.fmt(f),
        }
    }
}

/// Every fault of the settings that shows without looking at keys.
pub(super) fn check(issuers: &[Issuer]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    if issuers.is_empty() {
        faults.push(Fault {
            path: "auth.issuers".to_owned(),
            line: None,
            message: "there is none, so that no call could be let in".to_owned(),
        });
    }
    for (at, it) in issuers.iter().enumerate() {
        let mut fault = |field: &str, message: &str| {
            faults.push(Fault {
                path: format!("auth.issuers[{at}].{field}"),
                line: None,
                message: message.to_owned(),
            });
        };
        if it.issuer.is_empty() {
            fault(
                "issuer",
                "this is empty; write what its tokens have as `iss`",
            );
        }
        if !seen.insert(it.issuer.as_str()) {
            fault("issuer", "this is configured twice");
        }
        if it.audiences.is_empty() || it.audiences.iter().any(String::is_empty) {
            fault(
                "audiences",
                "this is empty or has an empty one; a token made for another service must not be let in",
            );
        }
        let shared = |it: &Algorithm| it.family() == jsonwebtoken::AlgorithmFamily::Hmac;
        if it.algorithms.is_empty() || it.algorithms.iter().any(shared) {
            fault(
                "algorithms",
                "this must name at least one algorithm, none with a shared secret",
            );
        }
        if it.roles_claim.is_empty() {
            fault(
                "roles_claim",
                "this is empty; write the claim that holds roles, as \"roles\"",
            );
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jwks_is_a_file_or_a_trustworthy_url() {
        for url in [
            "https://issuer.example/jwks.json",
            "http://127.0.0.1:9/jwks",
            "http://[::1]:9/jwks",
            "http://localhost/jwks",
        ] {
            assert_eq!(Jwks::parse(url), Ok(Jwks::Url(url.parse().unwrap())));
        }
        assert_eq!(
            Jwks::parse("keys/jwks.json"),
            Ok(Jwks::File("keys/jwks.json".into()))
        );
        for (text, part) in [
            ("", "is empty"),
            ("http://issuer.example/jwks", "must be https"),
            ("http://127.0.0.1.issuer.example/jwks", "must be https"),
            ("http://localhost.issuer.example/jwks", "must be https"),
            (
                "https://me:secret@issuer.example/jwks",
                "a user or a password",
            ),
            ("file:///etc/jwks", "must be an https URL"),
            ("https://", "must be an https URL"),
        ] {
            let fault = Jwks::parse(text).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
            assert!(!fault.contains("secret@"));
        }
    }

    #[test]
    fn algorithms_are_asymmetric() {
        assert_eq!(Issuer::parse_algorithm("ES256"), Ok(Algorithm::ES256));
        assert_eq!(Issuer::parse_algorithm("Ed25519"), Ok(Algorithm::EdDSA));
        for (name, part) in [
            ("none", "anybody"),
            ("HS256", "secret shared"),
            ("ES999", "known are ES256"),
        ] {
            let fault = Issuer::parse_algorithm(name).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
        assert_eq!(Issuer::default_algorithms().len(), 9);
    }
}
