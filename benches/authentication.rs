//! What it costs to know who calls and what they may do: CPU time a call, by
//! `cargo bench`.
//!
//! It is what the gateway does from a token to a permit for a key: the certificate's
//! names, the grants, `[deny]` and the role's limits included; what is told of a
//! denial is not, as there is none. Warm is a token that was verified before; cold is one that was not, beside
//! what the signature alone costs. It ends with 1 if a target is missed.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it is a program for the person who reads its figures"
)]

use std::{
    fmt::Write as _,
    fs,
    hint::black_box,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair,
        RsaParameters, RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keygate::{
    auth::{Authenticator, Caller, Issuer, Keys},
    clock::Clock,
    contract::{Contract, Operation},
    policy::{Policy, ScopeRequest, Touch},
    tasks::Tasks,
    upstream::credentials,
};
use serde_json::{Value, json};

/// What a call may cost, beside the signature of a token that is not known.
const TARGET: Duration = Duration::from_micros(5);

const METHOD: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
const UPSTREAM: &str = "datadog/us1/main";
const SECRET: &str = "a-secret-of-more-than-32-characters-0123456789";
/// How many tokens of an algorithm are tried cold.
const COLD: usize = 500;

/// Signs a message.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// Whether a signature is that of a message.
type Verify = Box<dyn Fn(&[u8], &[u8]) -> bool>;

/// A key that signs, and how it is verified.
struct Signer {
    alg: &'static str,
    jwk: Option<Value>,
    sign: Sign,
    verify: Verify,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ecdsa(
    alg: &'static str,
    curve: &str,
    signing: &'static signature::EcdsaSigningAlgorithm,
    verifying: &'static signature::EcdsaVerificationAlgorithm,
) -> Signer {
    let key = EcdsaKeyPair::generate(signing).unwrap();
    let public = key.public_key().as_ref().to_vec();
    let (x, y) = public[1..].split_at(public.len() / 2);
    let jwk = json!({"kty": "EC", "crv": curve, "kid": alg, "x": base64(x), "y": base64(y)});
    let parsed = ParsedPublicKey::new(verifying, &public).unwrap();
    let random = SystemRandom::new();
    Signer {
        alg,
        jwk: Some(jwk),
        sign: Box::new(move |text| key.sign(&random, text).unwrap().as_ref().to_vec()),
        verify: Box::new(move |text, it| parsed.verify_sig(text, it).is_ok()),
    }
}

fn ed25519() -> Signer {
    let key = Ed25519KeyPair::generate().unwrap();
    let public = key.public_key().as_ref().to_vec();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "x": base64(&public)});
    let parsed = ParsedPublicKey::new(&signature::ED25519, &public).unwrap();
    Signer {
        alg: "EdDSA",
        jwk: Some(jwk),
        sign: Box::new(move |text| key.sign(text).as_ref().to_vec()),
        verify: Box::new(move |text, it| parsed.verify_sig(text, it).is_ok()),
    }
}

fn rsa(
    alg: &'static str,
    signing: &'static dyn signature::RsaEncoding,
    verifying: &'static RsaParameters,
) -> Signer {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
    let parsed = public.to_parsed_public_key(verifying).unwrap();
    let jwk = json!({"kty": "RSA", "kid": alg, "n": base64(public.n), "e": base64(public.e)});
    Signer {
        alg,
        jwk: Some(jwk),
        sign: Box::new(move |text| {
            let mut signature = vec![0; key.public_modulus_len()];
            let random = SystemRandom::new();
            key.sign(signing, &random, text, &mut signature).unwrap();
            signature
        }),
        verify: Box::new(move |text, it| parsed.verify_sig(text, it).is_ok()),
    }
}

fn shared() -> Signer {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let same = key.clone();
    Signer {
        alg: "HS256",
        jwk: None,
        sign: Box::new(move |text| hmac::sign(&key, text).as_ref().to_vec()),
        verify: Box::new(move |text, it| hmac::verify(&same, text, it).is_ok()),
    }
}

#[rustfmt::skip]
fn signers() -> Vec<Signer> {
    use signature as s;
    vec![
        ecdsa("ES256", "P-256", &s::ECDSA_P256_SHA256_FIXED_SIGNING, &s::ECDSA_P256_SHA256_FIXED),
        ecdsa("ES384", "P-384", &s::ECDSA_P384_SHA384_FIXED_SIGNING, &s::ECDSA_P384_SHA384_FIXED),
        ed25519(),
        rsa("RS256", &s::RSA_PKCS1_SHA256, &s::RSA_PKCS1_2048_8192_SHA256),
        rsa("RS384", &s::RSA_PKCS1_SHA384, &s::RSA_PKCS1_2048_8192_SHA384),
        rsa("RS512", &s::RSA_PKCS1_SHA512, &s::RSA_PKCS1_2048_8192_SHA512),
        rsa("PS256", &s::RSA_PSS_SHA256, &s::RSA_PSS_2048_8192_SHA256),
        rsa("PS384", &s::RSA_PSS_SHA384, &s::RSA_PSS_2048_8192_SHA384),
        rsa("PS512", &s::RSA_PSS_SHA512, &s::RSA_PSS_2048_8192_SHA512),
        shared(),
    ]
}

fn issuer_of(alg: &str) -> &'static str {
    match alg {
        "HS256" => "https://shared.example",
        _ => "https://issuer.example",
    }
}

/// A token as an identity provider makes them: about 700 bytes.
fn token(signer: &Signer, number: usize, now: u64) -> String {
    let header = json!({"alg": signer.alg, "kid": signer.alg, "typ": "at+jwt"});
    let payload = json!({
        "iss": issuer_of(signer.alg),
        "sub": "system:serviceaccount:payments:api",
        "aud": ["keygate", "https://other.example"],
        "exp": now + 3600,
        "nbf": now,
        "iat": now,
        "jti": format!("3f2504e0-4f89-41d3-9a0c-{number:012}"),
        "azp": "payments-api",
        "scope": "openid profile email",
        "email_verified": false,
        "preferred_username": "service-account-payments-api",
        "realm_access": {"roles": ["offline_access", "uma_authorization", "key-admin"]},
    });
    let signed = format!(
        "{}.{}",
        base64(header.to_string()),
        base64(payload.to_string())
    );
    let signature = base64((signer.sign)(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// What the grants of a policy ask of a caller.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// A claim, a subject, or one of a pattern, a third each.
    Holders,
    /// Any subject, and a certificate of a pattern's.
    Certificates,
}

/// As many grants, of which one is the caller's, and an emergency: lists of denied
/// subjects, tokens and more that the caller is not on.
fn policy(grants: usize, asked: Asked, contract: &Contract) -> Policy {
    let mut text = "\
        [roles.key-admin]\n\
        permissions = [\"api_keys_read\", \"api_keys_write\"]\n\
        upstreams = [\"datadog/us1/*\"]\n\
        names = [\"payments-*\"]\n"
        .to_owned();
    for number in 0..grants {
        // the caller's is the last that is looked at
        let is_own = number + 1 == grants;
        let by = match (asked, number % 3) {
            (Asked::Holders, _) if is_own => "claim = \"key-admin\"".to_owned(),
            (Asked::Holders, 0) => format!("claim = \"team-{number}\""),
            (Asked::Holders, 1) => {
                format!("subject = \"system:serviceaccount:team-{number}:api\"")
            }
            (Asked::Holders, _) => format!("subject = \"system:serviceaccount:team-{number}:*\""),
            (Asked::Certificates, _) => {
                let team = match is_own {
                    true => "payments".to_owned(),
                    false => format!("team-{number}"),
                };
                format!("subject = \"*\"\ncertificate = \"spiffe://example.org/ns/{team}/*\"")
            }
        };
        let _ = write!(text, "[[grants]]\nrole = \"key-admin\"\n{by}\n");
    }
    let list = |entry: &dyn Fn(usize) -> String| {
        let all = (0..grants).map(|it| format!("\"{}\"", entry(it)));
        all.collect::<Vec<_>>().join(", ")
    };
    let subjects = list(&|it| format!("system:serviceaccount:stolen-{it}:*"));
    let token_ids = list(&|it| format!("5e5e5e5e-4f89-41d3-9a0c-{it:012}"));
    let _ = write!(
        text,
        "[deny]\nsubjects = [{subjects}]\ntoken_ids = [{token_ids}]\n\
         issuers = [\"https://gone.example/*\"]\nupstreams = [\"braintrust/*\", \"coveo/eu\"]\n\
         rpcs = [\"*/Delete*\"]\n"
    );
    Policy::parse(&text, contract).unwrap()
}

/// The middle of many samples.
fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

struct Bench {
    runtime: tokio::runtime::Runtime,
    clock: Clock,
    authenticator: Authenticator,
    operation: Operation,
    /// The names in the certificate of the caller's connection.
    names: Arc<[String]>,
}

impl Bench {
    fn new(signers: &[Signer], contract: &Contract) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let jwks: Vec<_> = signers.iter().filter_map(|it| it.jwk.clone()).collect();
        fs::write(path("jwks"), json!({"keys": jwks}).to_string()).unwrap();
        fs::write(path("secret"), SECRET).unwrap();
        let secret = credentials::Source::File(path("secret"));
        let issuers = [Keys::File(path("jwks")), Keys::SharedSecret(secret)].map(|keys| Issuer {
            issuer: issuer_of(if keys.algorithms().len() == 1 {
                "HS256"
            } else {
                ""
            })
            .to_owned(),
            audiences: vec!["keygate".to_owned()],
            algorithms: keys.algorithms().to_vec(),
            keys,
            roles_claim: "realm_access.roles".to_owned(),
            typ: None,
            max_token_age: None,
            clock_leeway: Issuer::CLOCK_LEEWAY,
        });
        let clock = Clock::system();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        let tasks = Tasks::new();
        let started = Authenticator::start(issuers.to_vec(), clock.clone(), &tasks, None);
        Self {
            authenticator: runtime.block_on(started).unwrap(),
            operation: contract.operation(METHOD).unwrap().clone(),
            names: [
                "spiffe://example.org/ns/payments/sa/api",
                "api.payments.example",
            ]
            .map(str::to_owned)
            .into(),
            runtime,
            clock,
        }
    }

    /// Times work that never waits: so many calls, for one call.
    fn time(&self, calls: u32, mut work: impl FnMut()) -> Duration {
        let started = self.clock.instant();
        for _ in 0..calls {
            work();
        }
        (self.clock.instant() - started) / calls
    }

    /// What the gateway does for a call that makes a key, over mutual TLS: who is
    /// it, may they do this anywhere, may they do it there, and to this key?
    fn call(&self, token: &str, policy: &Policy) {
        let caller = self
            .runtime
            .block_on(self.authenticator.authenticate(token));
        let caller = Caller {
            certificate_names: self.names.clone(),
            ..(*caller.unwrap()).clone()
        };
        let standing = policy.standing(&caller);
        let anywhere = standing.authorize(&self.operation, None);
        let _ = black_box(anywhere.unwrap());
        let permit = standing.authorize(&self.operation, Some(UPSTREAM)).unwrap();
        let _ = black_box((permit.needs_owner(), permit.needs_name()));
        let touch = Touch {
            key: None,
            name: Some("payments-api"),
            scopes: ScopeRequest::NotApplicable,
        };
        let _ = black_box(permit.check(&touch).unwrap());
    }
}

fn main() -> ExitCode {
    let contract = Contract::load().unwrap();
    let signers = signers();
    let bench = Bench::new(&signers, &contract);
    let now = bench.clock.now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    let mut missed = false;
    let mut verdict = |taken: Duration| {
        missed |= taken > TARGET;
        if taken > TARGET { "MISSED" } else { "met" }
    };

    println!("authentication and authorization, a call (target {TARGET:?})\n");
    let known = token(&signers[0], 0, now);
    println!("warm token, {} bytes", known.len());
    for asked in [Asked::Holders, Asked::Certificates] {
        for grants in [10, 10_000] {
            let policy = policy(grants, asked, &contract);
            let samples = (0..101).map(|_| bench.time(2_000, || bench.call(&known, &policy)));
            let taken = median(samples.collect());
            let told = verdict(taken);
            println!("  {grants:>6} grants by {asked:<12?} {taken:>12.2?}  {told}");
        }
    }

    println!("\ncold token, 10000 grants");
    println!("         signature alone      whole call  without signature");
    let policy = policy(10_000, Asked::Holders, &contract);
    for signer in &signers {
        let (mut alone, mut whole) = (Vec::new(), Vec::new());
        // In turns, so that neither finds the processor's caches as it likes them.
        for number in 1..=COLD {
            let unseen = token(signer, number, now);
            whole.push(bench.time(1, || bench.call(&unseen, &policy)));
            let other = token(signer, COLD + number, now);
            let (text, signature) = other.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let verify = || assert!(black_box((signer.verify)(text.as_bytes(), &signature)));
            alone.push(bench.time(1, verify));
        }
        let (alone, whole) = (median(alone), median(whole));
        let rest = whole.saturating_sub(alone);
        println!(
            "  {:6} {alone:>15.2?} {whole:>15.2?} {rest:>18.2?}  {}",
            signer.alg,
            verdict(rest)
        );
    }
    ExitCode::from(u8::from(missed))
}
