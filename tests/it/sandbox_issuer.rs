//! The token issuer, as somebody who checks its tokens sees it.

use std::{collections::BTreeSet, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use keygate::{
    clock::Clock,
    random::Random,
    sandbox::issuer::{Claims, Issuer, Options},
    tasks::Tasks,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::http::Http;

async fn start(tasks: &Tasks) -> Issuer {
    let options = Options::default();
    let issuer = Issuer::start(options, Clock::system(), Random::system(), tasks).await;
    issuer.unwrap()
}

/// Checks a token as a stranger would, with the published keys alone.
async fn check(issuer: &Issuer, token: &str) -> Result<Value, String> {
    let jwks = Http::new(issuer.jwks_url(), vec![]).get("").await;
    let jwks: JwkSet = serde_json::from_slice(&jwks.body).unwrap();
    let header = decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("JWT"));
    let key = jwks.find(&header.kid.unwrap()).ok_or("unknown key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[issuer.audience()]);
    validation.set_issuer(&[issuer.issuer()]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    validation.leeway = 0;
    decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
        .map(|token| token.claims)
        .map_err(|fault| fault.to_string())
}

#[tokio::test]
async fn a_token_is_what_it_was_asked_to_be() {
    let tasks = Tasks::new();
    let issuer = start(&tasks).await;
    let token = issuer
        .mint(&Claims::new("alice", &["admin", "reader"]))
        .unwrap();
    let claims = check(&issuer, token.expose_secret()).await.unwrap();
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["roles"], json!(["admin", "reader"]));
    assert_eq!(claims["aud"], "keygate");
    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 3_600);
    let again = issuer.mint(&Claims::new("alice", &[])).unwrap();
    let again = check(&issuer, again.expose_secret()).await.unwrap();
    assert_ne!(again["jti"], claims["jti"]);

    let mut odd = Claims::new("bob", &[]);
    odd.extra.insert("aud".to_owned(), json!("somebody else"));
    assert!(
        check(&issuer, issuer.mint(&odd).unwrap().expose_secret())
            .await
            .is_err()
    );
    odd.extra = [
        ("sub".to_owned(), Value::Null),
        ("team".to_owned(), json!("x")),
    ]
    .into_iter()
    .collect();
    assert!(
        check(&issuer, issuer.mint(&odd).unwrap().expose_secret())
            .await
            .is_err()
    );
    let mut expired = Claims::new("carol", &[]);
    expired.ttl = Duration::ZERO;
    expired.extra.insert("exp".to_owned(), json!(1));
    assert!(
        check(&issuer, issuer.mint(&expired).unwrap().expose_secret())
            .await
            .is_err()
    );
    tasks.stop();
}

#[tokio::test]
async fn only_public_halves_are_published() {
    let tasks = Tasks::new();
    let issuer = start(&tasks).await;
    let http = Http::new(issuer.issuer(), vec![]);
    let discovery = http.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["issuer"], issuer.issuer());
    assert_eq!(discovery["jwks_uri"], issuer.jwks_url());
    let jwks = http.get("/.well-known/jwks.json").await.json();
    let members: BTreeSet<_> = jwks["keys"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert!(
        members.is_subset(&["alg", "crv", "kid", "kty", "use", "x", "y"].into()),
        "{members:?}"
    );
    assert_eq!(jwks["keys"][0]["use"], "sig");
    assert_eq!(jwks["keys"][0]["alg"], "ES256");
    tasks.stop();
}

#[tokio::test]
async fn an_old_key_counts_until_it_is_retired() {
    let tasks = Tasks::new();
    let issuer = start(&tasks).await;
    let old = issuer.mint(&Claims::new("alice", &[])).unwrap();
    issuer.rotate().unwrap();
    let new = issuer.mint(&Claims::new("alice", &[])).unwrap();
    assert!(check(&issuer, old.expose_secret()).await.is_ok());
    assert!(check(&issuer, new.expose_secret()).await.is_ok());
    issuer.retire_old_keys();
    assert_eq!(
        check(&issuer, old.expose_secret()).await,
        Err("unknown key".to_owned())
    );
    assert!(check(&issuer, new.expose_secret()).await.is_ok());
    assert_eq!(issuer.state()["requests"].as_array().unwrap().len(), 4);
    tasks.stop();
}
