//! Tokens of our own making against the real verifier, and through the served
//! port: keys are real, clocks are held.

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair as _};
use http::{HeaderMap, header::AUTHORIZATION};
use keygate::{
    auth::{
        Algorithm, Authenticator, Caller, Error, Fetching, Issuer, Keys, MAX_TOKEN_BYTES, Reason,
        TokenType, bearer,
    },
    clock::Clock,
    settings::Faults,
    tasks::Tasks,
    upstream::credentials::Source,
};
use serde_json::{Value, json};

use self::making::*;
use crate::support::clock::Hand;

mod algorithms;
mod flood;
mod forged;
mod fuzz;
mod making;
mod properties;
mod provider;
mod remote;
mod served;

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let clock = held();
    let authenticator = authenticator(&clock).await;
    let token = token(&payload());
    clock.advance(Duration::from_secs(299));
    assert!(authenticator.authenticate(&token).await.is_ok());
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        authenticator.authenticate(&token).await,
        Err(Error::Expired)
    );
}

#[tokio::test]
async fn a_token_is_of_the_type_that_its_issuer_is_held_to() {
    let clock = held();
    let typ = Some(TokenType::new("at+jwt"));
    let authenticator = authenticator_with(&clock, |it| it.typ = typ).await;
    for (typ, right) in [
        (json!("at+jwt"), true),
        (json!("AT+JWT"), true),
        (json!("application/at+jwt"), true),
        (json!("JWT"), false),
        (json!("text/at+jwt"), false),
        (json!(""), false),
        (Value::Null, false),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "ec", "typ": typ});
        if typ.is_null() {
            header.as_object_mut().unwrap().remove("typ");
        }
        let token = token_of(&header.to_string(), &payload().to_string(), "ES256");
        let found = authenticator.authenticate(&token).await;
        match right {
            true => assert!(found.is_ok(), "{header}: {found:?}"),
            false => assert_eq!(found, Err(Reason::Type.into()), "{header}"),
        }
    }
}

#[tokio::test]
async fn a_token_does_not_outlive_the_age_that_it_may_have() {
    let clock = held();
    let age = Some(Duration::from_secs(60));
    let authenticator = authenticator_with(&clock, |it| it.max_token_age = age).await;
    let good = token(&payload());
    let found = authenticator.authenticate(&good).await.unwrap();
    let ends_at = UNIX_EPOCH + Duration::from_secs(NOW + 60);
    assert_eq!(found.expires_at, ends_at);
    let mut ageless = payload();
    ageless.as_object_mut().unwrap().remove("iat");
    let found = authenticator.authenticate(&token(&ageless)).await;
    assert_eq!(found, Err(Reason::Claim("iat").into()));
    let mut old = payload();
    old["iat"] = (NOW - 60).into();
    let found = authenticator.authenticate(&token(&old)).await;
    assert_eq!(found, Err(Error::Expired));
    // A shorter life of its own counts too.
    let mut short = payload();
    short["exp"] = (NOW + 30).into();
    let found = authenticator.authenticate(&token(&short)).await.unwrap();
    assert_eq!(found.expires_at, ends_at - Duration::from_secs(30));
    clock.advance(Duration::from_secs(59));
    assert!(authenticator.authenticate(&good).await.is_ok());
    clock.advance(Duration::from_secs(1));
    let found = authenticator.authenticate(&good).await;
    assert_eq!(found, Err(Error::Expired), "though it was remembered");
}

#[tokio::test]
async fn an_issuers_clock_may_be_ahead_as_far_as_the_settings_say() {
    let clock = held();
    for leeway in [0, 5, 300] {
        let ahead = Duration::from_secs(leeway);
        let authenticator = authenticator_with(&clock, |it| it.clock_leeway = ahead).await;
        for claim in ["nbf", "iat"] {
            let mut payload = payload();
            payload["exp"] = (NOW + 1000).into();
            payload[claim] = (NOW + leeway).into();
            assert!(authenticator.authenticate(&token(&payload)).await.is_ok());
            payload[claim] = (NOW + leeway + 1).into();
            let found = authenticator.authenticate(&token(&payload)).await;
            assert!(matches!(found, Err(Error::Invalid(_))), "{claim} {leeway}");
        }
        // It never makes a token last longer.
        let mut payload = payload();
        payload["exp"] = NOW.into();
        let found = authenticator.authenticate(&token(&payload)).await;
        assert_eq!(found, Err(Error::Expired));
    }
}

/// 65537 to the power of 128: what the broken generator's moduli look like to
/// small primes.
fn roca_modulus() -> Vec<u8> {
    let mut number = vec![1_u8];
    for _ in 0..128 {
        let mut carry = 0;
        for digit in &mut number {
            carry += u32::from(*digit) * 65537;
            *digit = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        number.extend(carry.to_le_bytes());
        while number.ends_with(&[0]) {
            number.pop();
        }
    }
    number.reverse();
    number
}

#[tokio::test]
async fn a_broken_key_file_stops_the_start() {
    let small = json!({"keys": [{"kty": "RSA", "n": base64([0xff; 128]), "e": "AQAB"}]});
    let roca = json!({"keys": [{"kty": "RSA", "n": base64(roca_modulus()), "e": "AQAB"}]});
    let mut off_curve = ec_jwk("ec", &SIGNERS.ec);
    off_curve["y"] = off_curve["x"].clone();
    let mut private = ec_jwk("ec", &SIGNERS.ec);
    private["d"] = "c2VjcmV0".into();
    let mut short = ec_jwk("ec", &SIGNERS.ec);
    short["x"] = "AQ".into();
    for (text, part) in [
        (String::new(), "not a JSON object"),
        ("{}".to_owned(), "no list `keys`"),
        (r#"{"keys":[],"keys":[]}"#.to_owned(), "a member twice"),
        (r#"{"keys":[]}"#.to_owned(), "no key that can verify"),
        (
            json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string(),
            "no key that can verify",
        ),
        (small.to_string(), "1024 bits"),
        (roca.to_string(), "CVE-2017-15361"),
        (json!({"keys": [off_curve]}).to_string(), "not on its curve"),
        (
            json!({"keys": [ec_jwk("ec", &SIGNERS.ec), private]}).to_string(),
            "keys[1]: it is a private key",
        ),
        (json!({"keys": [short]}).to_string(), "32 bytes"),
    ] {
        let file = file(&text);
        let issuers = vec![issuer(Keys::File(file.to_path_buf()))];
        let faults = start(issuers, &held()).await.unwrap_err();
        assert_eq!(faults.0.len(), 1);
        let fault = faults.0[0].to_string();
        assert!(fault.starts_with("auth.issuers[0].jwks: /"), "{fault}");
        assert!(fault.contains(part), "{fault}");
        assert!(!fault.contains("c2VjcmV0"), "{fault}");
    }
}

#[tokio::test]
async fn every_fault_of_the_settings_is_told_at_once() {
    let mut broken = issuer(Keys::File("/nowhere/jwks.json".into()));
    broken.audiences.clear();
    broken.algorithms = vec![Algorithm::Hs256];
    broken.roles_claim.clear();
    let mut secret = broken.clone();
    secret.keys = Keys::SharedSecret(Source::File("/nowhere/secret".into()));
    secret.algorithms = vec![Algorithm::Hs256, Algorithm::Es256];
    let issuers = vec![broken, secret];
    let faults = start(issuers, &held()).await.unwrap_err();
    let paths: Vec<_> = faults.0.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "auth.issuers[0].audiences",
            "auth.issuers[0].algorithms",
            "auth.issuers[0].roles_claim",
            "auth.issuers[1].issuer",
            "auth.issuers[1].audiences",
            "auth.issuers[1].algorithms",
            "auth.issuers[1].roles_claim",
            "auth.issuers[0].jwks",
            "auth.issuers[1].shared_secret",
        ]
    );
}

#[test]
fn the_bearer_token_is_one_of_one_header() {
    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }
    let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
    for (values, expected) in [
        (&["Bearer a.b.c"][..], Ok("a.b.c")),
        (&["bEARER  a.b.c "], Ok("a.b.c")),
        (&[], Err(Error::Missing)),
        (&[""], Err(Error::Missing)),
        (&["Bearer"], Err(Error::Missing)),
        (&["Bearer  "], Err(Error::Missing)),
        (&["Basic YTpi"], Err(Error::Missing)),
        (&["a.b.c"], Err(Error::Missing)),
        (
            &["Bearer a.b.c", "Bearer a.b.c"],
            Err(Reason::ManyTokens.into()),
        ),
        (&["Bearer \u{e9}"], Err(Reason::Malformed.into())),
        (&[&long], Err(Reason::TooLong.into())),
    ] {
        assert_eq!(bearer(&headers(values)), expected, "{values:?}");
    }
}
