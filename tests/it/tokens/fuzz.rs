//! Tokens that are grown at random, for a bounded time: from good ones, by edits
//! of their JSON and of their bytes, signed again with this key or that, or not.
//!
//! It is no fuzzer that watches which code it reaches: it knows the grammar
//! instead, so that most of what it makes gets past the first check, and it says
//! what it reached. Another library is the referee of every token that is let in,
//! and what is good by construction has to be let in. It runs for
//! `KEYGATE_FUZZ_SECONDS`; 3 if that is not set.

use std::{cell::RefCell, collections::BTreeMap, env};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, jwk::JwkSet};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestCaseResult, TestRunner},
};

use super::{properties::run, *};

const ALGORITHMS: [&str; 10] = [
    "ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256",
];

/// Names and values that mean something to somebody who reads a token.
const NAMES: [&str; 21] = [
    "alg",
    "kid",
    "typ",
    "crit",
    "jku",
    "x5u",
    "x5c",
    "jwk",
    "b64",
    "zip",
    "cty",
    "iss",
    "aud",
    "sub",
    "exp",
    "nbf",
    "iat",
    "jti",
    "realm_access",
    "roles",
    "",
];

fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "none",
        "NONE",
        "ES256",
        "ES384",
        "EdDSA",
        "RS256",
        "PS256",
        "HS256",
        "ec",
        "ec384",
        "ed",
        "rsa",
        "rs256",
        "encryption",
        "JWT",
        "at+jwt",
        "logout+jwt",
        ISSUER,
        "keygate",
        "gate",
        "somebody",
        "\0",
        "\u{1f511}",
        "../../etc/passwd",
        "b64",
        "exp",
    ];
    let numbers = [
        NOW - 1,
        NOW,
        NOW + 1,
        NOW + 30,
        NOW + 31,
        NOW + 300,
        0,
        u64::MAX,
    ];
    let leaf = prop_oneof![
        4 => select(texts.to_vec()).prop_map(Value::from),
        3 => select(numbers.to_vec()).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(select(NAMES.to_vec()), inner, 0..3)
                .prop_map(|it| it.into_iter().collect()),
        ]
    })
}

/// A change of a header or payload.
#[derive(Clone, Debug)]
enum Edit {
    Set(&'static str, Value),
    Remove(&'static str),
    /// Another member of a name that may be there already.
    Add(&'static str, Value),
    Insert(Index, Vec<u8>),
    Replace(Index, u8),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || select(NAMES.to_vec());
    prop_oneof![
        12 => (name(), value()).prop_map(|(name, value)| Edit::Set(name, value)),
        4 => name().prop_map(Edit::Remove),
        3 => (name(), value()).prop_map(|(name, value)| Edit::Add(name, value)),
        1 => (any::<Index>(), any::<Vec<u8>>()).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        1 => any::<Index>().prop_map(Edit::Cut),
    ]
}

/// Edits of the members first, then edits of the text that they make.
fn edited(mut members: Value, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        match edit {
            Edit::Set(name, value) => members[*name] = value.clone(),
            Edit::Remove(name) => drop(members.as_object_mut().unwrap().remove(*name)),
            _ => {}
        }
    }
    let mut text = members.to_string().into_bytes();
    for edit in edits {
        match edit {
            Edit::Add(name, value) if text.len() > 2 => {
                let member = format!("{}:{value},", json!(name));
                text.splice(1..1, member.into_bytes());
            }
            Edit::Insert(at, bytes) => {
                let at = at.index(text.len() + 1);
                text.splice(at..at, bytes.iter().copied());
            }
            Edit::Replace(at, byte) if !text.is_empty() => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            Edit::Cut(at) => text.truncate(at.index(text.len() + 1)),
            _ => {}
        }
    }
    text
}

/// How a token is signed.
#[derive(Clone, Debug)]
enum Signing {
    /// With the key that goes with the algorithm.
    As(&'static str),
    /// With a public key as the secret.
    Confused,
    Nothing,
    Bytes(Vec<u8>),
}

#[derive(Clone, Debug)]
struct Grown {
    alg: &'static str,
    with_kid: bool,
    header: Vec<Edit>,
    payload: Vec<Edit>,
    signing: Option<Signing>,
    /// Edits of the whole.
    token: Vec<(Index, char)>,
}

fn grown() -> impl Strategy<Value = Grown> {
    let algorithm = || select(ALGORITHMS.to_vec());
    let signing = prop_oneof![
        algorithm().prop_map(Signing::As),
        Just(Signing::Confused),
        Just(Signing::Nothing),
        any::<Vec<u8>>().prop_map(Signing::Bytes),
    ];
    (
        algorithm(),
        prop::bool::weighted(0.9),
        prop::collection::vec(edit(), 0..3),
        prop::collection::vec(edit(), 0..4),
        prop::option::weighted(0.3, signing),
        prop_oneof![
            9 => Just(Vec::new()),
            1 => prop::collection::vec((any::<Index>(), any::<char>()), 1..3),
        ],
    )
        .prop_map(|(alg, with_kid, header, payload, signing, token)| Grown {
            alg,
            with_kid,
            header,
            payload,
            signing,
            token,
        })
}

fn kid(alg: &str) -> &'static str {
    match alg {
        "ES256" => "ec",
        "ES384" => "ec384",
        "EdDSA" => "ed",
        _ => "rsa",
    }
}

impl Grown {
    fn token(&self) -> String {
        let mut header = json!({"alg": self.alg});
        if self.with_kid {
            header["kid"] = kid(self.alg).into();
        }
        let header = edited(header, &self.header);
        let signed = format!(
            "{}.{}",
            base64(header),
            base64(edited(payload(), &self.payload))
        );
        let signature = match self.signing.as_ref().unwrap_or(&Signing::As(self.alg)) {
            Signing::As(alg) => sign(alg, &signed),
            Signing::Confused => sign_hmac(SIGNERS.ec.public_key().as_ref(), &signed),
            Signing::Nothing => Vec::new(),
            Signing::Bytes(bytes) => bytes.clone(),
        };
        let mut token: Vec<char> = format!("{signed}.{}", base64(signature)).chars().collect();
        for (at, letter) in &self.token {
            let at = at.index(token.len());
            token[at] = *letter;
        }
        token.into_iter().collect()
    }
}

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
fn judge(token: &str, found: &Result<Arc<Caller>, Error>) -> TestCaseResult {
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

/// Tries what a strategy makes until the time is over. How many it were.
fn for_a_while<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> TestCaseResult) -> u32 {
    let seconds = env::var("KEYGATE_FUZZ_SECONDS").map_or(3, |it| it.parse().unwrap());
    let clock = Clock::system();
    let until = clock.instant() + Duration::from_secs(seconds);
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let mut rounds = 0;
    while rounds == 0 || clock.instant() < until {
        // A runner of its own for each round: it seeds itself, and counts to 64 once.
        if let Err(fault) = TestRunner::new(config.clone()).run(strategy, &test) {
            panic!("{fault}");
        }
        rounds += 1;
    }
    rounds * config.cases
}

#[test]
fn grown_tokens_are_let_in_only_with_reason() {
    let reached = RefCell::new(BTreeMap::<String, u32>::new());
    let cases = for_a_while(&grown(), |it| {
        let token = it.token();
        let found = run(&properties::AUTHENTICATOR, &token);
        let again = run(&properties::AUTHENTICATOR, &token);
        prop_assert_eq!(&found, &again, "{}", token);
        let outcome = found
            .as_ref()
            .map_or_else(|it| format!("{it:?}"), |_| "let in".to_owned());
        *reached.borrow_mut().entry(outcome).or_default() += 1;
        judge(&token, &found)
    });
    let reached = reached.into_inner();
    println!("{cases} tokens: {reached:#?}");
    assert!(reached.contains_key("let in"));
    assert!(reached.len() > 8, "it hardly reaches anything: {reached:?}");
}

/// A header, a payload and the caller that they make: good whatever else they
/// have.
#[derive(Clone, Debug)]
struct Good {
    alg: &'static str,
    header: Value,
    payload: Value,
    caller: Caller,
}

prop_compose! {
    fn good()(
        at in 0..ALGORITHMS.len() - 1,
        typ in prop::option::of(select(vec!["JWT", "jwt", "at+jwt", "application/AT+JWT"])),
        header in prop::collection::hash_map("[a-z]{2}[0-9]", value(), 0..3),
        more in prop::collection::hash_map("[a-z]{2}[0-9]", value(), 0..3),
        subject in ".{1,40}",
        token_id in prop::option::of(".{0,20}"),
        audiences in prop::collection::vec(".{0,10}", 0..3),
        roles in prop::option::of(prop::collection::vec(".{0,10}", 0..4)),
        life in 1_u64..1_000_000_000,
        nbf in prop::option::of(0..=NOW + 1),
        iat in prop::option::of(0..=NOW + 1),
    ) -> Good {
        let alg = ALGORITHMS[at];
        let mut header: Value = header.into_iter().collect();
        header["alg"] = alg.into();
        header["kid"] = kid(alg).into();
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        let mut payload: Value = more.into_iter().collect();
        payload["iss"] = ISSUER.into();
        payload["sub"] = subject.clone().into();
        payload["aud"] = match audiences.as_slice() {
            [] => "gate".into(),
            others => [others, &["keygate".to_owned()]].concat().into(),
        };
        payload["exp"] = (NOW + life).into();
        for (name, time) in [("nbf", nbf), ("iat", iat)] {
            if let Some(time) = time {
                payload[name] = time.into();
            }
        }
        if let Some(id) = &token_id {
            payload["jti"] = id.clone().into();
        }
        if let Some(roles) = &roles {
            payload["realm_access"] = json!({"roles": roles});
        }
        let caller = Caller {
            issuer: ISSUER.to_owned(),
            subject,
            claims: roles.unwrap_or_default(),
            token_id,
            expires_at: UNIX_EPOCH + Duration::from_secs(NOW + life),
            certificate_names: Arc::default(),
        };
        Good { alg, header, payload, caller }
    }
}

#[test]
fn good_tokens_are_let_in() {
    let cases = for_a_while(&good(), |it| {
        let token = token_of(&it.header.to_string(), &it.payload.to_string(), it.alg);
        let found = run(&properties::AUTHENTICATOR, &token);
        prop_assert_eq!(found.as_deref(), Ok(&it.caller), "{}", token);
        judge(&token, &found)
    });
    println!("{cases} tokens");
}
