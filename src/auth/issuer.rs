//! An issuer's settings, and what can be wrong with them.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use ::http::Uri;

use super::Algorithm;
use crate::{http, settings::Fault, upstream::credentials};

/// An issuer whose tokens are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What its tokens have as `iss`, character for character.
    pub issuer: String,
    /// A token is for this gateway if its `aud` has one of these.
    pub audiences: Vec<String>,
    /// What its tokens are verified with.
    pub keys: Keys,
    /// The algorithms that its tokens may be signed with: only
    /// [`Algorithm::Hs256`] with a shared secret, and never with public keys.
    pub algorithms: Vec<Algorithm>,
    /// The claim that holds the caller's roles: a name (`roles`), or a path with
    /// dots (`realm_access.roles`). It is a list of strings, or one string with
    /// spaces between them, as `scope` is. A token without it has no roles.
    pub roles_claim: String,
    /// What the header of its tokens has to say of their purpose. `None`: it may
    /// say nothing, or that it is a JWT or an access token.
    pub typ: Option<TokenType>,
    /// How old its tokens may become, whatever their `exp` says; `iat` is then
    /// required.
    pub max_token_age: Option<Duration>,
    /// How far its clock may be ahead: `nbf` and `iat` may be that much later than
    /// now. `exp` has no leeway.
    pub clock_leeway: Duration,
}

/// What an issuer's tokens are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Public keys in a file (a JSON Web Key Set, RFC 7517), read at start.
    File(PathBuf),
    /// Public keys behind an address, fetched at start and from time to time.
    Url(Uri, Fetching),
    /// A secret shared with the issuer, and nothing else. Its bytes are the key as
    /// they stand.
    SharedSecret(credentials::Source),
}

/// How keys are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetching {
    /// Certificates (PEM) to trust instead of the machine's.
    pub ca: Option<PathBuf>,
    /// Time between two fetches that nobody asked for.
    pub refresh: Duration,
    /// How long keys hold that can't be refreshed, from their last fetch.
    pub max_age: Duration,
}

impl Default for Fetching {
    fn default() -> Self {
        Self {
            ca: None,
            refresh: Duration::from_secs(5 * 60),
            max_age: Duration::from_secs(60 * 60),
        }
    }
}

/// The purpose of a token, as `typ` names it (RFC 7515, section 4.1.9): a media
/// type, without `application/` and in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenType(String);

impl TokenType {
    /// Reads a `typ`.
    #[must_use]
    pub fn new(typ: &str) -> Self {
        let typ = typ.to_ascii_lowercase();
        match typ.strip_prefix("application/") {
            Some(rest) if !rest.contains('/') => Self(rest.to_owned()),
            _ => Self(typ),
        }
    }
}

impl Issuer {
    /// How far a clock may be ahead where the settings say nothing.
    pub const CLOCK_LEEWAY: Duration = Duration::from_secs(30);

    /// Whether a token that says this of its purpose is one to let in. Where the
    /// settings name none, a token that says it is for something else, as to log
    /// out (`logout+jwt`), is not (RFC 8725, section 3.11). `JOSE` is what SPIFFE's
    /// may say.
    pub(super) fn accepts(&self, typ: Option<&TokenType>) -> bool {
        match (&self.typ, typ) {
            (Some(required), typ) => typ == Some(required),
            (None, None) => true,
            (None, Some(TokenType(typ))) => ["jwt", "at+jwt", "jose"].contains(&typ.as_str()),
        }
    }
}

impl Keys {
    /// Reads a setting that is a URL or the path of a file.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub fn jwks(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("this is empty; write a URL or the path of a file");
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        http::endpoint(text).map(|it| Self::Url(it, Fetching::default()))
    }

    /// The setting that names them.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::SharedSecret(_) => "shared_secret",
            Self::File(_) | Self::Url(..) => "jwks",
        }
    }

    /// The algorithms that they can be for.
    #[must_use]
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::SharedSecret(_) => &[Algorithm::Hs256],
            Self::File(_) | Self::Url(..) => &Algorithm::ASYMMETRIC,
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
        let possible = |name: &Algorithm| it.keys.algorithms().contains(name);
        if it.algorithms.is_empty() || !it.algorithms.iter().all(possible) {
            fault(
                "algorithms",
                "this must name at least one algorithm, and only such as its keys are for",
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
            let expected = Keys::Url(url.parse().unwrap(), Fetching::default());
            assert_eq!(Keys::jwks(url), Ok(expected));
        }
        assert_eq!(
            Keys::jwks("keys/jwks.json"),
            Ok(Keys::File("keys/jwks.json".into()))
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
            let fault = Keys::jwks(text).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
            assert!(!fault.contains("secret@"));
        }
    }

    #[test]
    fn types_are_compared_as_media_types() {
        for (a, b, same) in [
            ("at+jwt", "application/at+jwt", true),
            ("at+jwt", "AT+JWT", true),
            ("JWT", "jwt", true),
            ("JWT", "at+jwt", false),
            ("at+jwt", "text/at+jwt", false),
            ("a/b", "application/a/b", false),
        ] {
            assert_eq!(TokenType::new(a) == TokenType::new(b), same, "{a} {b}");
        }
    }
}
