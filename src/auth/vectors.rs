//! Wycheproof's vectors for JSON Web Signatures and Encryption, against the layer
//! that takes tokens apart and verifies them. They run if `KEYGATE_SHARED` names
//! the folder that holds `vectors/`.

use std::{env, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use self::Deviation::{Refused, SameAs};
use super::{jws, keys};

/// Why a vector is answered otherwise than it says.
enum Deviation {
    /// Valid there, and refused here.
    Refused(&'static str),
    /// Invalid there, and accepted here: it is, byte for byte, the token of another
    /// vector of its group, which is valid.
    SameAs(u64, &'static str),
}

fn of_signatures(test: u64) -> Option<Deviation> {
    Some(match test {
        346 | 350 => Refused("the key says PS256 and the token PS384: a key's `alg` binds here"),
        347 | 351 => Refused("ES512 (P-521) is not supported"),
        372 | 373 => Refused("what is not base64url is no part of a token (rfc8725bis, 3.14)"),
        367 | 370 => SameAs(357, "the padding that was to be refused is not in the file"),
        _ => return None,
    })
}

fn of_crypto(test: u64) -> Option<Deviation> {
    match test {
        50 | 67 => Some(Refused(
            "it is encrypted (JWE): only signed tokens are taken",
        )),
        _ => None,
    }
}

/// What a group is verified with. A key set without a public key is one shared
/// secret after the other: an issuer has one.
fn key_sets(group: &Value) -> Result<Vec<keys::KeySet>, String> {
    let key = match &group["public"] {
        Value::Null => &group["private"],
        public => public,
    };
    let members = match &key["keys"] {
        Value::Array(members) => members.clone(),
        _ => vec![key.clone()],
    };
    let secrets: Option<Vec<_>> = members.iter().map(secret).collect();
    if let Some(secrets) = secrets {
        return secrets.iter().map(|it| keys::KeySet::shared(it)).collect();
    }
    let parsed = keys::KeySet::parse(json!({"keys": members}).to_string().as_bytes())?;
    match parsed.faults.first() {
        Some(fault) => Err(fault.clone()),
        None => Ok(vec![parsed.keys]),
    }
}

fn secret(jwk: &Value) -> Option<Vec<u8>> {
    let is_one = jwk["kty"] == "oct" && jwk["alg"] == "HS256";
    is_one.then(|| URL_SAFE_NO_PAD.decode(jwk["k"].as_str().unwrap()).unwrap())
}

fn verify(group: &Value, token: &str) -> Result<(), String> {
    let jws = jws::Jws::parse(token).map_err(|it| it.to_string())?;
    let verified: Vec<_> = key_sets(group)?.iter().map(|it| it.verify(&jws)).collect();
    let first = verified
        .iter()
        .find(|it| it.is_ok())
        .unwrap_or(&verified[0]);
    first.map_err(|it| it.to_string())
}

/// JSON forms are text in one file and objects in the other.
fn token(test: &Value) -> String {
    let token = ["jws", "jwe"].map(|it| &test[it]);
    let token = token.into_iter().find(|it| !it.is_null()).unwrap();
    token
        .as_str()
        .map_or_else(|| token.to_string(), str::to_owned)
}

fn run(name: &str, deviation: fn(u64) -> Option<Deviation>) {
    let Some(shared) = env::var_os("KEYGATE_SHARED") else {
        println!("skipped: KEYGATE_SHARED is not set");
        return;
    };
    let text = fs::read(Path::new(&shared).join("vectors").join(name)).unwrap();
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let (mut run, mut accepted, mut wrong) = (0, 0, Vec::new());
    for group in vectors["testGroups"].as_array().unwrap() {
        let tests = group["tests"].as_array().unwrap();
        for test in tests {
            run += 1;
            let number = test["tcId"].as_u64().unwrap();
            let verified = verify(group, &token(test));
            accepted += usize::from(verified.is_ok());
            let is_same = |other: u64| {
                let other = tests.iter().find(|it| it["tcId"] == other).unwrap();
                other["result"] == "valid" && token(other) == token(test)
            };
            let is_valid = test["result"] == "valid";
            match (is_valid, verified.is_ok(), deviation(number)) {
                (true, true, None) | (false, false, None) => {}
                (true, false, Some(Refused(why))) => println!("{number}: refused: {why}"),
                (false, true, Some(SameAs(other, why))) if is_same(other) => {
                    println!("{number}: accepted: {why}");
                }
                _ => wrong.push(format!("{number} {}: {verified:?}", test["comment"])),
            }
        }
    }
    println!("{name}: {run} run, {accepted} accepted");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(run, vectors["numberOfTests"].as_u64().unwrap());
    assert!(accepted > 0);
}

#[test]
fn vectors_of_json_web_signatures() {
    run("json_web_signature_test.json", of_signatures);
}

#[test]
fn vectors_of_json_web_crypto() {
    run("json_web_crypto_test.json", of_crypto);
}
