//! Keys, tokens and a clock of our own making.

use std::io::Write as _;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, Ed25519KeyPair,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
        RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tempfile::{NamedTempFile, TempPath};

use super::*;

/// The time of day in these tests, in seconds since the epoch.
pub(super) const NOW: u64 = 1_900_000_000;
pub(super) const ISSUER: &str = "https://issuer.example";
/// What an issuer with a shared secret shares.
pub(super) const SECRET: &str = "a-secret-of-more-than-32-characters-0123456789";

/// A clock that stands still at [`NOW`].
pub(super) fn held() -> Hand {
    Hand::at(UNIX_EPOCH + Duration::from_secs(NOW))
}

pub(super) struct Signers {
    pub(super) ec: EcdsaKeyPair,
    pub(super) other_ec: EcdsaKeyPair,
    pub(super) ec384: EcdsaKeyPair,
    pub(super) ed: Ed25519KeyPair,
    pub(super) rsa: RsaKeyPair,
}

pub(super) static SIGNERS: LazyLock<Signers> = LazyLock::new(|| Signers {
    ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    other_ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    ec384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    ed: Ed25519KeyPair::generate().unwrap(),
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
});

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn ec_jwk(kid: &str, key: &EcdsaKeyPair) -> Value {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let curve = if x.len() == 32 { "P-256" } else { "P-384" };
    json!({"kty": "EC", "crv": curve, "kid": kid, "use": "sig", "x": base64(x), "y": base64(y)})
}

/// An RSA key that says nothing of its algorithm.
pub(super) fn rsa_jwk(kid: &str) -> Value {
    let rsa = RsaPublicKeyComponents::<Vec<u8>>::from(SIGNERS.rsa.public_key());
    json!({"kty": "RSA", "kid": kid, "n": base64(rsa.n), "e": base64(rsa.e)})
}

/// A key for each kind of algorithm, and some that are for nothing here.
pub(super) fn jwks() -> Value {
    let mut for_rs256 = rsa_jwk("rs256");
    for_rs256["alg"] = "RS256".into();
    let mut for_encryption = ec_jwk("encryption", &SIGNERS.ec);
    for_encryption["use"] = "enc".into();
    json!({"keys": [
        ec_jwk("ec", &SIGNERS.ec),
        ec_jwk("ec384", &SIGNERS.ec384),
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "key_ops": ["verify"],
            "x": base64(SIGNERS.ed.public_key())},
        for_rs256,
        rsa_jwk("rsa"),
        {"kty": "EC", "crv": "P-521", "kid": "not supported", "x": "AA", "y": "AA"},
        for_encryption,
    ]})
}

pub(super) fn sign_ec(key: &EcdsaKeyPair, signed: &str) -> Vec<u8> {
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    signature.as_ref().to_vec()
}

pub(super) fn sign_hmac(key: &[u8], signed: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
}

/// Signs with the key that goes with `alg`.
pub(super) fn sign(alg: &str, signed: &str) -> Vec<u8> {
    let rsa = |encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; SIGNERS.rsa.public_modulus_len()];
        let random = SystemRandom::new();
        SIGNERS
            .rsa
            .sign(encoding, &random, signed.as_bytes(), &mut signature)
            .unwrap();
        signature
    };
    match alg {
        "ES256" => sign_ec(&SIGNERS.ec, signed),
        "ES384" => sign_ec(&SIGNERS.ec384, signed),
        "EdDSA" | "Ed25519" => SIGNERS.ed.sign(signed.as_bytes()).as_ref().to_vec(),
        "RS256" => rsa(&RSA_PKCS1_SHA256),
        "RS384" => rsa(&RSA_PKCS1_SHA384),
        "RS512" => rsa(&RSA_PKCS1_SHA512),
        "PS256" => rsa(&RSA_PSS_SHA256),
        "PS384" => rsa(&RSA_PSS_SHA384),
        "PS512" => rsa(&RSA_PSS_SHA512),
        "HS256" => sign_hmac(SECRET.as_bytes(), signed),
        other => panic!("there is no key for {other}"),
    }
}

/// A token of this header and payload, whatever they are, signed with the key
/// that goes with `alg`.
pub(super) fn token_of(header: &str, payload: &str, alg: &str) -> String {
    let signed = format!("{}.{}", base64(header), base64(payload));
    let signature = base64(sign(alg, &signed));
    format!("{signed}.{signature}")
}

pub(super) fn payload() -> Value {
    json!({"iss": ISSUER, "sub": "somebody", "aud": "keygate", "exp": NOW + 300, "iat": NOW,
        "nbf": NOW, "jti": "one", "realm_access": {"roles": ["reader", "writer"]}})
}

/// Who calls with a token of [`payload`].
pub(super) fn caller() -> Caller {
    Caller {
        issuer: ISSUER.to_owned(),
        subject: "somebody".to_owned(),
        claims: vec!["reader".to_owned(), "writer".to_owned()],
        token_id: Some("one".to_owned()),
        expires_at: UNIX_EPOCH + Duration::from_secs(NOW + 300),
        certificate_names: Arc::default(),
    }
}

pub(super) fn token(payload: &Value) -> String {
    token_of(
        r#"{"alg":"ES256","kid":"ec"}"#,
        &payload.to_string(),
        "ES256",
    )
}

pub(super) fn issuer(keys: Keys) -> Issuer {
    Issuer {
        issuer: ISSUER.to_owned(),
        audiences: vec!["keygate".to_owned(), "gate".to_owned()],
        algorithms: keys.algorithms().to_vec(),
        keys,
        roles_claim: "realm_access.roles".to_owned(),
        typ: None,
        max_token_age: None,
        clock_leeway: Issuer::CLOCK_LEEWAY,
    }
}

pub(super) fn file(text: &str) -> TempPath {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.into_temp_path()
}

pub(super) fn keys_file(jwks: &Value) -> (Keys, TempPath) {
    let file = file(&jwks.to_string());
    (Keys::File(file.to_path_buf()), file)
}

pub(super) async fn start(issuers: Vec<Issuer>, clock: &Hand) -> Result<Authenticator, Faults> {
    Authenticator::start(issuers, clock.clock(), &Tasks::new(), None).await
}

/// One that trusts [`jwks`].
pub(super) async fn authenticator(clock: &Hand) -> Authenticator {
    authenticator_with(clock, |_| {}).await
}

/// The same with other settings.
pub(super) async fn authenticator_with(
    clock: &Hand,
    change: impl FnOnce(&mut Issuer),
) -> Authenticator {
    let (keys, _file) = keys_file(&jwks());
    let mut issuer = issuer(keys);
    change(&mut issuer);
    start(vec![issuer], clock).await.unwrap()
}

/// An issuer that shares [`SECRET`], or another one.
pub(super) fn sharing(secret: &str) -> (Issuer, TempPath) {
    let file = file(secret);
    let source = Source::File(file.to_path_buf());
    (issuer(Keys::SharedSecret(source)), file)
}
