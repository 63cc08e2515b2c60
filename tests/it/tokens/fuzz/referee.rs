//! Whether a token was let in with reason: another library says so.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use proptest::{prelude::*, test_runner::TestCaseResult};

use super::super::*;

/// A second opinion on a token that is let in, as short as it can be: whether
/// another library verifies its signature, and whether its claims are what they
/// have to be, read without any of the verifier's code. The payload.
fn referee(token: &str) -> Result<Value, &'static str> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("it does not have three parts");
    };
    let json = |part| {
        let text = URL_SAFE_NO_PAD.decode(part).map_err(|_| "its base64")?;
        serde_json::from_slice::<Value>(&text).map_err(|_| "its JSON")
    };
    let (header, claims) = (json(header)?, json(claims)?);
    if header.get("crit").is_some() {
        return Err("it has `crit`");
    }
    let alg: jsonwebtoken::Algorithm = header["alg"]
        .as_str()
        .and_then(|it| it.parse().ok())
        .ok_or("its alg")?;
    static SET: LazyLock<JwkSet> = LazyLock::new(|| serde_json::from_value(jwks()).unwrap());
    let keys = SET.keys.iter().filter(|jwk| {
        let named = header
            .get("kid")
            .is_none_or(|it| it.as_str() == jwk.common.key_id.as_deref());
        let meant = jwk
            .common
            .key_algorithm
            .is_none_or(|it| it.to_string() == alg_name(alg));
        named && meant && jwk.common.key_id.as_deref() != Some("encryption")
    });
    let signed = &token[..token.len() - signature.len() - 1];
    let verified = keys
        .filter_map(|jwk| DecodingKey::from_jwk(jwk).ok())
        .any(|key| {
            let verified = jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key, alg);
            verified.unwrap_or(false)
        });
    let ours = |it: &Value| it == "keygate" || it == "gate";
    let audience = match &claims["aud"] {
        Value::Array(all) => all.iter().any(ours) && all.iter().all(Value::is_string),
        one => ours(one),
    };
    let exp = claims["exp"].as_f64().ok_or("its exp")?;
    let latest = exp.min((NOW + 30) as f64);
    let in_time = |name| match claims.get(name) {
        None => true,
        Some(time) => time.as_f64().is_some_and(|it| (0.0..=latest).contains(&it)),
    };
    match () {
        () if !verified => Err("its signature"),
        () if claims["iss"] != ISSUER => Err("its iss"),
        () if !audience => Err("its aud"),
        () if claims["sub"].as_str().is_none_or(str::is_empty) => Err("its sub"),
        () if exp <= NOW as f64 => Err("it is over"),
        () if !in_time("nbf") => Err("its nbf"),
        () if !in_time("iat") => Err("its iat"),
        () => Ok(claims),
    }
}

fn alg_name(alg: jsonwebtoken::Algorithm) -> String {
    format!("{alg:?}")
}

/// Nothing of a token in an error; another library agrees with what is let in.
pub(super) fn judge(token: &str, found: &Result<Arc<Caller>, Error>) -> TestCaseResult {
    match found {
        Err(error) => {
            let shown = format!("{error} {error:?}");
            for part in token.split('.').filter(|it| it.len() > 12) {
                prop_assert!(!shown.contains(part));
            }
        }
        Ok(caller) => match referee(token) {
            Err(why) => prop_assert!(false, "it is let in, and {why}: {token}"),
            Ok(claims) => {
                prop_assert_eq!(&claims["iss"], &caller.issuer);
                prop_assert_eq!(&claims["sub"], &caller.subject);
                prop_assert_eq!(claims["jti"].as_str(), caller.token_id.as_deref());
                let expires_at = caller.expires_at.duration_since(UNIX_EPOCH).unwrap();
                prop_assert_eq!(Some(expires_at.as_secs_f64()), claims["exp"].as_f64());
            }
        },
    }
    Ok(())
}
