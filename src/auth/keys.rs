//! What an issuer's tokens are verified with, and the one place where a
//! signature is verified.
//!
//! A key is for one kind of algorithm, by its type and curve, and where it says
//! so (`alg`) for one algorithm only: a token can choose among an issuer's keys,
//! never what is done with one.

mod jwk;
mod rsa;

use aws_lc_rs::{hmac, signature::ParsedPublicKey};

use super::{
    Algorithm, Reason,
    jws::Jws,
    strict_json::{self, Json},
};

/// More keys than any issuer has, and few enough to look through.
const MAX_KEYS: usize = 256;

/// The fewest bytes of a shared secret: as many as the digest has (RFC 7518,
/// section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// The keys that can verify a signature.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// Every algorithm that it is for, ready to verify with.
    verifiers: Vec<(Algorithm, Verifier)>,
}

/// Neither variant prints a secret.
#[derive(Debug)]
enum Verifier {
    Public(ParsedPublicKey),
    Shared(Box<hmac::Key>),
}

/// Reading a set: the keys of use, and what is wrong with others.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) keys: KeySet,
    /// Keys that are broken: a person should look at them. Keys that are whole
    /// and for something else are not among them.
    pub(super) faults: Vec<String>,
}

impl KeySet {
    /// Reads public keys: a JSON Web Key Set (RFC 7517).
    ///
    /// # Errors
    /// What is wrong, if there is nothing in it to verify a token with.
    pub(super) fn parse(text: &[u8]) -> Result<Parsed, String> {
        let set = strict_json::object(text).map_err(|reason| match reason {
            Reason::DuplicateMember => "its JSON names a member twice",
            _ => "it is not a JSON object",
        })?;
        let Some(Json::Array(members)) = set.get("keys") else {
            return Err("it is not a JSON Web Key Set: it has no list `keys`".to_owned());
        };
        if members.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let (mut keys, mut faults) = (Vec::new(), Vec::new());
        for (at, member) in members.iter().enumerate() {
            match member.as_object().map(jwk::parse) {
                Some(Ok(Some(key))) => keys.push(key),
                Some(Ok(None)) => {}
                Some(Err(fault)) => faults.push(format!("keys[{at}]: {fault}")),
                None => faults.push(format!("keys[{at}]: it is not an object")),
            }
        }
        if keys.is_empty() {
            let detail = match faults.as_slice() {
                [] => "EC (P-256, P-384), OKP (Ed25519) and RSA keys for signatures are".to_owned(),
                faults => faults.join("; "),
            };
            return Err(format!(
                "it has no key that can verify a signature: {detail}"
            ));
        }
        Ok(Parsed {
            keys: Self(keys),
            faults,
        })
    }

    /// A secret that is shared with the issuer: its bytes as they stand. It has no
    /// `kid`; whatever a token has as `kid`, it is the one.
    ///
    /// # Errors
    /// If it is too short to be anything but guessed.
    pub(super) fn shared(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(format!(
                "it has {} bytes; a secret of at least {MIN_SECRET_BYTES} random ones is needed",
                secret.len()
            ));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Ok(Self(vec![Key {
            kid: None,
            verifiers: vec![(Algorithm::Hs256, Verifier::Shared(Box::new(key)))],
        }]))
    }

    /// Whether a key could have made the token: it has its `kid`, and is for its
    /// algorithm.
    pub(super) fn fits(&self, jws: &Jws<'_>) -> bool {
        self.candidates(jws).next().is_some()
    }

    /// Verifies a token's signature.
    pub(super) fn verify(&self, jws: &Jws<'_>) -> Result<(), Reason> {
        let mut candidates = self.candidates(jws).peekable();
        if candidates.peek().is_none() {
            return Err(Reason::Key);
        }
        // A `kid` that two keys share is theirs to answer for. Without one, there
        // has to be no doubt.
        if jws.kid.is_none() && self.candidates(jws).nth(1).is_some() {
            return Err(Reason::AmbiguousKey);
        }
        let verified = candidates.any(|it| it.verify(jws.signed.as_bytes(), &jws.signature));
        verified.then_some(()).ok_or(Reason::Signature)
    }

    fn candidates(&self, jws: &Jws<'_>) -> impl Iterator<Item = &Verifier> {
        let verifiers = self.0.iter().flat_map(|key| {
            let named = jws.kid.is_none() || key.kid == jws.kid;
            key.verifiers.iter().map(move |it| (named, it))
        });
        verifiers.filter_map(|(named, (algorithm, verifier))| {
            let named = named || matches!(verifier, Verifier::Shared(_));
            (named && *algorithm == jws.algorithm).then_some(verifier)
        })
    }
}

impl Verifier {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Public(key) => key.verify_sig(message, signature).is_ok(),
            // in constant time
            Self::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn any_key_set_is_read_or_refused(text in ".{0,100}", bytes: Vec<u8>) {
            let _ = KeySet::parse(text.as_bytes());
            let number = URL_SAFE_NO_PAD.encode(&bytes);
            let set = json!({"keys": [
                {"kty": "EC", "crv": "P-256", "x": number, "y": number},
                {"kty": "OKP", "crv": "Ed25519", "x": number},
                {"kty": "RSA", "n": number, "e": text},
            ]});
            let _ = KeySet::parse(set.to_string().as_bytes());
        }
    }
}
