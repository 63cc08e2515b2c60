//! Tokens of our own making against the real verifier: keys are real, clocks
//! are held.

use std::{
    io::Write as _,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;
use crate::clock::Source;

mod forged;
mod properties;
mod remote;
mod vectors;

/// The time of day in these tests, in seconds since the epoch.
const NOW: u64 = 1_900_000_000;
const ISSUER: &str = "https://issuer.example";

/// A clock that stands still until it is moved.
#[derive(Clone)]
struct Held(Arc<Mutex<Duration>>, Instant);

impl Held {
    fn new() -> Self {
        Self(Arc::default(), Clock::system().instant())
    }

    fn forward(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Source for Held {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW) + *self.0.lock().unwrap()
    }

    fn instant(&self) -> Instant {
        self.1 + *self.0.lock().unwrap()
    }
}

struct Signers {
    ec: EcdsaKeyPair,
    other_ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

static SIGNERS: LazyLock<Signers> = LazyLock::new(|| Signers {
    ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    other_ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    ed: Ed25519KeyPair::generate().unwrap(),
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
});

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ec_jwk(kid: &str, key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
        "x": base64(&point[1..33]), "y": base64(&point[33..])})
}

fn jwks() -> Value {
    let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(SIGNERS.rsa.public_key());
    let (n, e) = (base64(rsa.n), base64(rsa.e));
    let mut for_encryption = ec_jwk("encryption", &SIGNERS.ec);
    for_encryption["use"] = "enc".into();
    json!({"keys": [
        ec_jwk("ec", &SIGNERS.ec),
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "key_ops": ["verify"],
            "x": base64(SIGNERS.ed.public_key())},
        {"kty": "RSA", "kid": "rs256", "alg": "RS256", "n": n, "e": e},
        {"kty": "RSA", "kid": "rsa", "n": n, "e": e},
        {"kty": "EC", "crv": "P-521", "kid": "not supported", "x": "AA", "y": "AA"},
        for_encryption,
    ]})
}

fn sign_ec(key: &EcdsaKeyPair, signed: &str) -> Vec<u8> {
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    signature.as_ref().to_vec()
}

/// Signs with the key that goes with `alg`.
fn sign(alg: &str, signed: &str) -> Vec<u8> {
    let rsa = |padding| {
        let mut signature = vec![0; SIGNERS.rsa.public_modulus_len()];
        let random = SystemRandom::new();
        SIGNERS
            .rsa
            .sign(padding, &random, signed.as_bytes(), &mut signature)
            .unwrap();
        signature
    };
    match alg {
        "EdDSA" | "Ed25519" => SIGNERS.ed.sign(signed.as_bytes()).as_ref().to_vec(),
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "PS256" => rsa(&RSA_PSS_SHA256),
        _ => sign_ec(&SIGNERS.ec, signed),
    }
}

fn token_of(header: &str, payload: &str, alg: &str) -> String {
    let signed = format!("{}.{}", base64(header), base64(payload));
    let signature = base64(sign(alg, &signed));
    format!("{signed}.{signature}")
}

fn payload() -> Value {
    json!({"iss": ISSUER, "sub": "somebody", "aud": "keygate", "exp": NOW + 300, "iat": NOW,
        "nbf": NOW, "jti": "one", "realm_access": {"roles": ["reader", "writer"]}})
}

fn token(payload: &Value) -> String {
    token_of(
        r#"{"alg":"ES256","kid":"ec"}"#,
        &payload.to_string(),
        "ES256",
    )
}

fn issuer(jwks: Jwks) -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        audiences: vec!["keygate".to_owned(), "gate".to_owned()],
        jwks,
        algorithms: Issuer::default_algorithms(),
        roles_claim: "realm_access.roles".to_owned(),
    }
}

fn client() -> Client {
    crate::http::client(&crate::http::Options {
        connect_timeout: Duration::from_secs(1),
        pool_max_idle_per_host: 1,
        ca: None,
    })
    .unwrap()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn start(issuer: Issuer, clock: &Held) -> Result<Authenticator, Faults> {
    let clock = Clock::from_source(clock.clone());
    Authenticator::start(vec![issuer], &client(), clock, &Tasks::new())
}

fn authenticator(clock: &Held) -> Authenticator {
    let keys = file(&jwks().to_string());
    start(issuer(Jwks::File(keys.path().into())), clock).unwrap()
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let authenticator = authenticator(&Held::new());
    for (alg, kid) in [
        ("ES256", Some("ec")),
        ("EdDSA", Some("ed")),
        ("Ed25519", Some("ed")),
        ("RS256", Some("rs256")),
        ("PS256", Some("rsa")),
        // The only keys of their kind.
        ("ES256", None),
        ("PS256", None),
    ] {
        let mut header = json!({"alg": alg, "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        let token = token_of(&header.to_string(), &payload().to_string(), alg);
        let expected = Caller {
            issuer: ISSUER.to_owned(),
            subject: "somebody".to_owned(),
            claims: vec!["reader".to_owned(), "writer".to_owned()],
            token_id: Some("one".to_owned()),
            expires_at: UNIX_EPOCH + Duration::from_secs(NOW + 300),
            certificate_names: Arc::default(),
        };
        let caller = authenticator.authenticate(&token).await;
        assert_eq!(caller.as_deref(), Ok(&expected), "{header}");
        let again = authenticator.authenticate(&token).await.unwrap();
        assert!(Arc::ptr_eq(&caller.unwrap(), &again), "it is remembered");
    }
}

#[tokio::test]
async fn a_remembered_token_still_expires() {
    let clock = Held::new();
    let authenticator = authenticator(&clock);
    let token = token(&payload());
    clock.forward(Duration::from_secs(299));
    assert!(authenticator.authenticate(&token).await.is_ok());
    clock.forward(Duration::from_secs(1));
    assert_eq!(
        authenticator.authenticate(&token).await,
        Err(Error::Expired)
    );
}

#[tokio::test]
async fn a_broken_key_file_stops_the_start() {
    let small = json!({"keys": [{"kty": "RSA", "n": base64([0xff; 128]), "e": "AQAB"}]});
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
        (json!({"keys": [off_curve]}).to_string(), "not on its curve"),
        (
            json!({"keys": [ec_jwk("ec", &SIGNERS.ec), private]}).to_string(),
            "keys[1]: it is a private key",
        ),
        (json!({"keys": [short]}).to_string(), "32 bytes"),
    ] {
        let keys = file(&text);
        let faults = start(issuer(Jwks::File(keys.path().into())), &Held::new()).unwrap_err();
        assert_eq!(faults.0.len(), 1);
        let fault = faults.0[0].to_string();
        assert!(fault.starts_with("auth.issuers[0].jwks: /"), "{fault}");
        assert!(fault.contains(part), "{fault}");
        assert!(!fault.contains("c2VjcmV0"), "{fault}");
    }
}

#[tokio::test]
async fn every_fault_of_the_settings_is_told_at_once() {
    let mut broken = issuer(Jwks::File("/nowhere/jwks.json".into()));
    broken.audiences.clear();
    broken.algorithms = vec![Algorithm::HS256];
    broken.roles_claim.clear();
    let faults = Authenticator::start(
        vec![broken.clone(), broken],
        &client(),
        Clock::system(),
        &Tasks::new(),
    )
    .unwrap_err();
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
            "auth.issuers[1].jwks",
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
