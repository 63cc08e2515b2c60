//! A public key as a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037). What
//! a key says of its use (`use`, `key_ops`, `alg`) counts.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    ParsedPublicKey,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Key, Verifier, rsa};
use crate::auth::{
    Algorithm,
    strict_json::{Json, Object},
};

/// Reads a key; `None` if it is for something else than signatures that are
/// supported.
pub(super) fn parse(jwk: &Object<'_>) -> Result<Option<Key>, String> {
    let kid = text(jwk, "kid")?.map(str::to_owned);
    if jwk.has("d") {
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
        Some(Json::Array(all)) if all.iter().any(|it| it.as_str() == Some("verify")) => {}
        Some(Json::Array(_)) => return Ok(None),
        Some(_) => return Err("its `key_ops` is not a list".to_owned()),
    }
    let alg = text(jwk, "alg")?.map(Algorithm::named);
    let wanted = |it: Algorithm| alg.is_none_or(|only| only == Some(it));
    let required = |name| text(jwk, name)?.ok_or_else(|| format!("it has no `{name}`"));
    let number = |name| decode(required(name)?, name);
    let keys = match (required("kty")?, text(jwk, "crv")?) {
        ("EC", Some("P-256")) => {
            let (x, y) = (number("x")?, number("y")?);
            vec![(
                Algorithm::Es256,
                point(&ECDSA_P256_SHA256_FIXED, &x, &y, 32)?,
            )]
        }
        ("EC", Some("P-384")) => {
            let (x, y) = (number("x")?, number("y")?);
            vec![(
                Algorithm::Es384,
                point(&ECDSA_P384_SHA384_FIXED, &x, &y, 48)?,
            )]
        }
        ("OKP", Some("Ed25519")) => {
            let key = ParsedPublicKey::new(&ED25519, number("x")?)
                .map_err(|_| "its `x` is not an Ed25519 key")?;
            vec![(Algorithm::EdDsa, key)]
        }
        ("RSA", _) => rsa::parse(&number("n")?, &number("e")?, wanted)?,
        _ => return Ok(None),
    };
    let verifiers: Vec<_> = keys
        .into_iter()
        .filter(|(it, _)| wanted(*it))
        .map(|(it, key)| (it, Verifier::Public(key)))
        .collect();
    Ok((!verifiers.is_empty()).then_some(Key { kid, verifiers }))
}

fn text<'a>(jwk: &'a Object<'_>, name: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is not a string")),
    }
}

fn decode(text: &str, name: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("its `{name}` is not base64url without padding"))
}

fn point(
    algorithm: &'static EcdsaVerificationAlgorithm,
    x: &[u8],
    y: &[u8],
    size: usize,
) -> Result<ParsedPublicKey, String> {
    if x.len() != size || y.len() != size {
        return Err(format!("its `x` and `y` must have {size} bytes each"));
    }
    ParsedPublicKey::new(algorithm, [&[4], x, y].concat())
        .map_err(|_| "its point is not on its curve".to_owned())
}
