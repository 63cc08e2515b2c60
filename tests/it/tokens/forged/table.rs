//! The tokens, and how they are made.

use super::super::*;

pub(super) fn with(name: &str, value: Value) -> String {
    let mut payload = payload();
    payload[name] = value;
    token(&payload)
}

pub(super) fn without(name: &str) -> String {
    let mut payload = payload();
    payload.as_object_mut().unwrap().remove(name);
    token(&payload)
}

/// Between them, this is a time in which leeway would let it in.
fn nbf_after_exp() -> String {
    let mut payload = payload();
    payload["exp"] = (NOW + 10).into();
    payload["nbf"] = (NOW + 20).into();
    token(&payload)
}

pub(super) fn headed(header: &str, alg: &str) -> String {
    token_of(header, &payload().to_string(), alg)
}

pub(super) fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// A token that an attacker signs with a key of their own, brought along.
fn own_key(member: &str, value: &Value) -> String {
    let header = json!({"alg": "ES256", "kid": "ec", member: value}).to_string();
    let signed = format!("{}.{}", base64(header), base64(payload().to_string()));
    let signature = base64(sign_ec(&SIGNERS.other_ec, &signed));
    format!("{signed}.{signature}")
}

fn unsigned(alg: &str) -> String {
    let header = json!({"alg": alg, "kid": "ec"}).to_string();
    format!("{}.{}.", base64(header), base64(payload().to_string()))
}

/// HMAC under the bytes of a public key: key confusion.
fn confused() -> String {
    let header = r#"{"alg":"HS256","kid":"ec"}"#;
    let signed = format!("{}.{}", base64(header), base64(payload().to_string()));
    let public = SIGNERS.ec.public_key().as_ref();
    format!("{signed}.{}", base64(sign_hmac(public, &signed)))
}

/// Each with its name, and what it is refused for.
pub(super) fn table() -> Vec<(&'static str, String, Error)> {
    use Reason as R;
    let good = token(&payload());
    let [header, body, signature] = parts(&good);
    let admin = base64(payload().to_string().replace("reader", "admin!"));
    let other = own_key("x", &Value::Null);
    let mut in_array = payload();
    in_array["aud"] = json!(["else", 1]);
    let doubled = payload().to_string().replacen('{', r#"{"sub":"root","#, 1);
    let inner = payload()
        .to_string()
        .replace(r#""roles":"#, r#""roles":["admin"],"roles":"#);
    let cases: Vec<(&str, String, Error)> = vec![
        ("nothing", String::new(), R::Malformed.into()),
        ("dots", "..".to_owned(), R::Malformed.into()),
        ("two parts", format!("{header}.{body}"), R::Malformed.into()),
        (
            "four parts",
            format!("{good}.{signature}"),
            R::Malformed.into(),
        ),
        ("five parts", format!("{good}.a.b"), R::Malformed.into()),
        (
            "padding",
            format!("{header}=.{body}.{signature}"),
            R::Malformed.into(),
        ),
        (
            "space inside",
            format!("{header}. {body}.{signature}"),
            R::Malformed.into(),
        ),
        (
            "JSON form",
            json!({"payload": body}).to_string(),
            R::Malformed.into(),
        ),
        (
            "too long",
            "a".repeat(MAX_TOKEN_BYTES + 1),
            R::TooLong.into(),
        ),
        (
            "header is a list",
            headed("[]", "ES256"),
            R::Malformed.into(),
        ),
        (
            "payload is a list",
            token_of(r#"{"alg":"ES256"}"#, "[]", "ES256"),
            R::Malformed.into(),
        ),
        (
            "payload is deep",
            token_of(
                r#"{"alg":"ES256","kid":"ec"}"#,
                &format!("{{\"iss\":{}", "[".repeat(5000)),
                "ES256",
            ),
            R::Malformed.into(),
        ),
        (
            "end of line behind it",
            format!("{good}\n"),
            R::Malformed.into(),
        ),
        (
            "payload is text",
            token_of(r#"{"alg":"ES256"}"#, "hello", "ES256"),
            R::Malformed.into(),
        ),
        ("alg none", unsigned("none"), R::Algorithm.into()),
        ("alg None", unsigned("None"), R::Algorithm.into()),
        ("alg empty", unsigned(""), R::Algorithm.into()),
        ("alg noNE", unsigned("noNE"), R::Algorithm.into()),
        ("alg in lower case", unsigned("es256"), R::Algorithm.into()),
        ("alg and a space", unsigned("ES256 "), R::Algorithm.into()),
        ("alg and a NUL", unsigned("ES256\0"), R::Algorithm.into()),
        (
            "alg that is not supported",
            unsigned("ES512"),
            R::Algorithm.into(),
        ),
        (
            "alg with a shared secret",
            unsigned("HS256"),
            R::Algorithm.into(),
        ),
        (
            "no alg",
            headed(r#"{"kid":"ec"}"#, "ES256"),
            R::Algorithm.into(),
        ),
        (
            "alg is a list",
            headed(r#"{"alg":["ES256"]}"#, "ES256"),
            R::Algorithm.into(),
        ),
        ("key confusion", confused(), R::Algorithm.into()),
        ("signature missing", unsigned("ES256"), R::Signature.into()),
        (
            "signature of another",
            format!("{header}.{body}.{}", parts(&other)[2]),
            R::Signature.into(),
        ),
        (
            "payload changed",
            format!("{header}.{admin}.{signature}"),
            R::Signature.into(),
        ),
        (
            "jwk in header",
            own_key("jwk", &ec_jwk("ec", &SIGNERS.other_ec)),
            R::Signature.into(),
        ),
        (
            "jku in header",
            own_key("jku", &"http://127.0.0.1:1/".into()),
            R::Signature.into(),
        ),
        (
            "x5u in header",
            own_key("x5u", &"http://127.0.0.1:1/".into()),
            R::Signature.into(),
        ),
        (
            "x5c in header",
            own_key("x5c", &json!(["AA"])),
            R::Signature.into(),
        ),
        (
            "crit",
            headed(r#"{"alg":"ES256","kid":"ec","crit":["exp"]}"#, "ES256"),
            R::Critical.into(),
        ),
        (
            "crit empty",
            headed(r#"{"alg":"ES256","kid":"ec","crit":[]}"#, "ES256"),
            R::Critical.into(),
        ),
        (
            "crit b64",
            headed(
                r#"{"alg":"ES256","kid":"ec","b64":false,"crit":["b64"]}"#,
                "ES256",
            ),
            R::Critical.into(),
        ),
        (
            "kid unknown",
            headed(r#"{"alg":"ES256","kid":"new"}"#, "ES256"),
            R::Key.into(),
        ),
        (
            "kid is a path",
            headed(r#"{"alg":"ES256","kid":"../../dev/null"}"#, "ES256"),
            R::Key.into(),
        ),
        (
            "kid is empty",
            headed(r#"{"alg":"ES256","kid":""}"#, "ES256"),
            R::Key.into(),
        ),
        (
            "kid is null",
            headed(r#"{"alg":"ES256","kid":null}"#, "ES256"),
            R::Header("kid").into(),
        ),
        (
            "kid is a number",
            headed(r#"{"alg":"ES256","kid":1}"#, "ES256"),
            R::Header("kid").into(),
        ),
        (
            "kid of another type",
            headed(r#"{"alg":"ES256","kid":"ed"}"#, "ES256"),
            R::Key.into(),
        ),
        (
            "alg of another curve",
            headed(r#"{"alg":"ES384","kid":"ec"}"#, "ES256"),
            R::Key.into(),
        ),
        (
            "alg that the key is not for",
            headed(r#"{"alg":"PS256","kid":"rs256"}"#, "PS256"),
            R::Key.into(),
        ),
        (
            "a key for encryption",
            headed(r#"{"alg":"ES256","kid":"encryption"}"#, "ES256"),
            R::Key.into(),
        ),
        (
            "no kid, two keys",
            headed(r#"{"alg":"RS256"}"#, "RS256"),
            R::AmbiguousKey.into(),
        ),
        (
            "typ of a token to log out",
            headed(r#"{"alg":"ES256","kid":"ec","typ":"logout+jwt"}"#, "ES256"),
            R::Type.into(),
        ),
        (
            "typ of a proof of possession",
            headed(r#"{"alg":"ES256","kid":"ec","typ":"dpop+jwt"}"#, "ES256"),
            R::Type.into(),
        ),
        (
            "typ is a list",
            headed(r#"{"alg":"ES256","kid":"ec","typ":["JWT"]}"#, "ES256"),
            R::Header("typ").into(),
        ),
        (
            "header member twice",
            headed(r#"{"alg":"none","kid":"ec","alg":"ES256"}"#, "ES256"),
            R::DuplicateMember.into(),
        ),
        (
            "claim twice",
            token_of(r#"{"alg":"ES256","kid":"ec"}"#, &doubled, "ES256"),
            R::DuplicateMember.into(),
        ),
        (
            "inner claim twice",
            token_of(r#"{"alg":"ES256","kid":"ec"}"#, &inner, "ES256"),
            R::DuplicateMember.into(),
        ),
        ("iss missing", without("iss"), R::Claim("iss").into()),
        (
            "iss is a list",
            with("iss", json!([ISSUER])),
            R::Claim("iss").into(),
        ),
        (
            "iss of another",
            with("iss", "https://issuer.example/".into()),
            R::Issuer.into(),
        ),
        ("aud missing", without("aud"), R::Claim("aud").into()),
        ("aud empty", with("aud", json!([])), R::Claim("aud").into()),
        (
            "aud of another",
            with("aud", "else".into()),
            R::Audience.into(),
        ),
        (
            "aud by prefix",
            with("aud", "keygate.evil".into()),
            R::Audience.into(),
        ),
        (
            "aud with a number",
            token(&in_array),
            R::Claim("aud").into(),
        ),
        ("sub missing", without("sub"), R::Claim("sub").into()),
        ("sub empty", with("sub", "".into()), R::Claim("sub").into()),
        (
            "sub is a number",
            with("sub", 1.into()),
            R::Claim("sub").into(),
        ),
        ("exp missing", without("exp"), R::Claim("exp").into()),
        (
            "exp is text",
            with("exp", "1900000300".into()),
            R::Claim("exp").into(),
        ),
        (
            "exp is null",
            with("exp", Value::Null),
            R::Claim("exp").into(),
        ),
        (
            "exp before the epoch",
            with("exp", (-1).into()),
            R::Claim("exp").into(),
        ),
        (
            "exp beyond time",
            with("exp", json!(1e300)),
            R::Claim("exp").into(),
        ),
        (
            "exp beyond integers",
            with("exp", u64::MAX.into()),
            R::Claim("exp").into(),
        ),
        (
            "exp in milliseconds",
            with("exp", ((NOW + 300) * 1000).into()),
            R::Claim("exp").into(),
        ),
        ("just expired", with("exp", NOW.into()), Error::Expired),
        ("long expired", with("exp", 1.into()), Error::Expired),
        (
            "nbf ahead",
            with("nbf", (NOW + 31).into()),
            R::NotYetValid.into(),
        ),
        ("nbf after exp", nbf_after_exp(), R::NotYetValid.into()),
        (
            "nbf is text",
            with("nbf", "0".into()),
            R::Claim("nbf").into(),
        ),
        (
            "iat ahead",
            with("iat", (NOW + 31).into()),
            R::IssuedAt.into(),
        ),
        (
            "iat is a list",
            with("iat", json!([])),
            R::Claim("iat").into(),
        ),
        (
            "jti is a number",
            with("jti", 1.into()),
            R::Claim("jti").into(),
        ),
        (
            "roles are an object",
            with("realm_access", json!({"roles": {}})),
            R::Roles.into(),
        ),
        (
            "roles are numbers",
            with("realm_access", json!({"roles": [1]})),
            R::Roles.into(),
        ),
    ];
    cases
}
