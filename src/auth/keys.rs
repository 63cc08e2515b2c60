//! An issuer's public keys, read from a JSON Web Key Set (RFC 7517), and the
//! one place where a signature is verified.
//!
//! A key is for one kind of algorithm, by its type and curve, and where it says
//! so (`alg`) for one algorithm only. What a key says of its use (`use`,
//! `key_ops`) counts.

use aws_lc_rs::signature::{self, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::{Map, Value};

use super::{Reason, issuer, jws::Jws, strict_json};

/// More keys than any issuer has, and few enough to look through.
const MAX_KEYS: usize = 256;

/// The keys that can verify a signature.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// Every algorithm that it is for.
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
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
    /// Reads a key set.
    ///
    /// # Errors
    /// What is wrong, if there is nothing in it to verify a token with.
    pub(super) fn parse(text: &[u8]) -> Result<Parsed, String> {
        let set = strict_json::object(text).map_err(|reason| match reason {
            Reason::DuplicateMember => "its JSON names a member twice",
            _ => "it is not a JSON object",
        })?;
        let Some(Value::Array(members)) = set.get("keys") else {
            return Err("it is not a JSON Web Key Set: it has no list `keys`".to_owned());
        };
        if members.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let (mut keys, mut faults) = (Vec::new(), Vec::new());
        for (at, member) in members.iter().enumerate() {
            match member.as_object().map(Key::parse) {
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
        let verified = candidates.any(|key| {
            let message = jws.signed.as_bytes();
            jsonwebtoken::crypto::verify(jws.signature, message, &key.public, jws.algorithm)
                .unwrap_or(false)
        });
        verified.then_some(()).ok_or(Reason::Signature)
    }

    fn candidates(&self, jws: &Jws<'_>) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(|key| {
            (jws.kid.is_none() || key.kid == jws.kid) && key.algorithms.contains(&jws.algorithm)
        })
    }
}

impl Key {
    /// Reads a key; `None` if it is for something else than signatures that are
    /// supported.
    fn parse(jwk: &Map<String, Value>) -> Result<Option<Self>, String> {
        let kid = text(jwk, "kid")?.map(str::to_owned);
        if jwk.contains_key("d") {
            return Err(
                "it is a private key; publish its public part only, and replace it, \
                        as whoever read this file can make tokens"
                    .to_owned(),
            );
        }
        if text(jwk, "use")?.is_some_and(|it| it != "sig") {
            return Ok(None);
        }
        match jwk.get("key_ops") {
            None => {}
            Some(Value::Array(all)) if all.iter().any(|it| it == "verify") => {}
            Some(Value::Array(_)) => return Ok(None),
            Some(_) => return Err("its `key_ops` is not a list".to_owned()),
        }
        let required = |name| text(jwk, name)?.ok_or_else(|| format!("it has no `{name}`"));
        let number = |name| decode(required(name)?, name);
        let kind = (required("kty")?, text(jwk, "crv")?);
        let (mut algorithms, public) = match kind {
            ("EC", Some("P-256")) => (
                vec![Algorithm::ES256],
                point(&number("x")?, &number("y")?, 32)?,
            ),
            ("EC", Some("P-384")) => (
                vec![Algorithm::ES384],
                point(&number("x")?, &number("y")?, 48)?,
            ),
            ("OKP", Some("Ed25519")) => (vec![Algorithm::EdDSA], edwards(&number("x")?)?),
            ("RSA", _) => (
                AlgorithmFamily::Rsa.algorithms().to_vec(),
                rsa(&number("n")?, &number("e")?)?,
            ),
            _ => return Ok(None),
        };
        if let Some(name) = text(jwk, "alg")? {
            let only = issuer::algorithm(name);
            algorithms.retain(|it| Some(*it) == only);
            if algorithms.is_empty() {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            kid,
            algorithms,
            public,
        }))
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is not a string")),
    }
}

fn decode(text: &str, name: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("its `{name}` is not base64url without padding"))
}

fn point(x: &[u8], y: &[u8], size: usize) -> Result<DecodingKey, String> {
    if x.len() != size || y.len() != size {
        return Err(format!("its `x` and `y` must have {size} bytes each"));
    }
    let point = [&[4], x, y].concat();
    let algorithm = match size {
        32 => &signature::ECDSA_P256_SHA256_FIXED,
        _ => &signature::ECDSA_P384_SHA384_FIXED,
    };
    ParsedPublicKey::new(algorithm, &point).map_err(|_| "its point is not on its curve")?;
    Ok(DecodingKey::from_ec_der(&point))
}

fn edwards(x: &[u8]) -> Result<DecodingKey, String> {
    ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| "its `x` is not an Ed25519 key")?;
    Ok(DecodingKey::from_ed_der(x))
}

fn rsa(n: &[u8], e: &[u8]) -> Result<DecodingKey, String> {
    // Some issuers write a leading zero, as ASN.1 would have it.
    let (n, e) = (trimmed(n), trimmed(e));
    let bits = n
        .first()
        .map_or(0, |it| n.len() * 8 - it.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err(format!(
            "its modulus has {bits} bits; 2048 to 8192 are accepted"
        ));
    }
    if e.len() > 4 || e == [1] || e.last().is_none_or(|it| it % 2 == 0) {
        return Err("its exponent is not one that is accepted".to_owned());
    }
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|it| **it == 0).count();
    &number[zeros..]
}
