//! Wycheproof's vectors for JSON Web Signatures, against the layer that takes
//! tokens apart and verifies them. They run if `KEYGATE_SHARED` names the folder
//! that holds `vectors/json_web_signature_test.json`.

use std::{env, fs, path::Path};

use super::*;

/// Vectors that are answered otherwise than they say, and why.
fn deviation(test: u64) -> Option<&'static str> {
    match test {
        // Valid in the vectors.
        346 | 350 => Some("the key says PS256 and the token PS384: a key's `alg` binds here"),
        347 | 351 => Some("ES512 (P-521) is not supported"),
        _ => None,
    }
}

fn verify(key: &Value, token: &str) -> Result<(), String> {
    let set = json!({"keys": [key]}).to_string();
    let parsed = keys::KeySet::parse(set.as_bytes())?;
    if let Some(fault) = parsed.faults.first() {
        return Err(fault.clone());
    }
    let jws = jws::Jws::parse(token).map_err(|it| it.to_string())?;
    parsed.keys.verify(&jws).map_err(|it| it.to_string())
}

#[test]
fn vectors_of_json_web_signatures() {
    let Some(shared) = env::var_os("KEYGATE_SHARED") else {
        println!("skipped: KEYGATE_SHARED is not set");
        return;
    };
    let path = Path::new(&shared).join("vectors/json_web_signature_test.json");
    let text = fs::read(&path).unwrap();
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let (mut run, mut skipped, mut deviations, mut wrong) = (0, 0, 0, Vec::new());
    for group in vectors["testGroups"].as_array().unwrap() {
        let shared_secret = group["public"].is_null();
        for test in group["tests"].as_array().unwrap() {
            let (number, token) = (test["tcId"].as_u64().unwrap(), test["jws"].as_str());
            if shared_secret {
                // HS256 needs a shared secret, which no issuer can have yet. Even so,
                // nothing may be verified with the secret as a key.
                assert!(verify(&group["private"], token.unwrap_or_default()).is_err());
                skipped += 1;
                continue;
            }
            run += 1;
            let verified = verify(&group["public"], token.unwrap_or_default());
            let as_said = verified.is_ok() == (test["result"] == "valid");
            match (as_said, deviation(number)) {
                (true, None) => {}
                (false, Some(why)) if verified.is_err() => {
                    deviations += 1;
                    println!("{number}: refused, though valid: {why}");
                }
                _ => wrong.push(format!("{number} {}: {verified:?}", test["comment"])),
            }
        }
    }
    println!("{run} run, {deviations} deviations, {skipped} skipped (HS256: shared secrets)");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(run + skipped, vectors["numberOfTests"].as_u64().unwrap());
}
