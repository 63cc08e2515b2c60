//! Forged, twisted and stale tokens, each with the answer that it gets.

mod table;

use self::table::{headed, parts, table, with, without};
use super::{served::Gate, *};
use crate::support::gateway::records;

#[tokio::test]
async fn forged_tokens_are_refused() {
    let authenticator = authenticator(&held()).await;
    let good = token(&payload());
    assert!(authenticator.authenticate(&good).await.is_ok());
    for (name, token, expected) in table() {
        let answer = authenticator.authenticate(&token).await;
        assert_eq!(answer, Err(expected), "{name}: {token}");
        if token.len() > 40 {
            let shown = format!("{expected} {expected:?}");
            assert!(!shown.contains(parts(&good)[1]), "{name}: {shown}");
        }
    }
}

#[tokio::test]
async fn forged_tokens_are_refused_at_the_served_port() {
    const ISSUERS: &str = "\
[[auth.issuers]]
issuer = \"https://issuer.example\"
audiences = [\"keygate\", \"gate\"]
jwks = \"jwks.json\"
roles_claim = \"realm_access.roles\"
";
    let jwks = jwks().to_string();
    let gate = Gate::start(ISSUERS, &[("jwks.json", &jwks)], &held()).await;
    gate.ask(&token(&payload())).await.ok();
    let table = table();
    // What no header can hold does not even get there.
    let sendable = |it: &String| http::HeaderValue::from_str(it).is_ok();
    let calls: Vec<_> = table.iter().filter(|(_, it, _)| sendable(it)).collect();
    for (name, token, expected) in &calls {
        let answer = gate.ask(token).await;
        let (reason, words) = match expected {
            _ if token.is_empty() => ("TOKEN_MISSING", "no token".to_owned()),
            Error::Expired => ("TOKEN_EXPIRED", "has expired".to_owned()),
            Error::Invalid(why) => ("TOKEN_INVALID", why.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (answer.code(), answer.reason()),
            ("UNAUTHENTICATED", reason.to_owned()),
            "{name}"
        );
        let message = answer.result.unwrap_err().message().to_owned();
        assert!(message.contains(&words), "{name}: {message}");
    }
    // Each has its record, and no record has anything of a token.
    let records = records(&gate.config(), &["--kind", "refused"]);
    assert_eq!(records.len(), calls.len());
    let text = format!("{records:?}");
    assert!(!text.contains("eyJ") && !text.contains(ISSUER), "{text}");
}

#[tokio::test]
async fn sane_variations_are_let_in() {
    let authenticator = authenticator(&held()).await;
    for token in [
        with("aud", json!(["else", "gate"])),
        with("nbf", (NOW + 30).into()),
        with("iat", (NOW + 30).into()),
        with("exp", json!(1_900_000_000.5)),
        without("nbf"),
        without("iat"),
        without("jti"),
        without("realm_access"),
        with("realm_access", json!({"roles": "reader writer"})),
        headed(
            r#"{"alg":"ES256","kid":"ec","typ":"application/at+JWT"}"#,
            "ES256",
        ),
        headed(r#"{"alg":"ES256","kid":"ec","typ":"JOSE"}"#, "ES256"),
        headed(
            r#"{ "alg" : "ES256",  "kid":"ec", "jku":"http://127.0.0.1:1/" }"#,
            "ES256",
        ),
    ] {
        let caller = authenticator.authenticate(&token).await;
        assert!(caller.is_ok(), "{token}: {caller:?}");
    }
}
