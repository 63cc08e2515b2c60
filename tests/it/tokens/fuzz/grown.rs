//! Tokens as they come: good ones after edits of their JSON and of their bytes, signed
//! again with this key or that, or not.

use proptest::{
    prelude::*,
    sample::{Index, select},
};

use super::{super::*, ALGORITHMS};

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

pub(super) fn value() -> impl Strategy<Value = Value> {
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
pub(super) struct Grown {
    alg: &'static str,
    with_kid: bool,
    header: Vec<Edit>,
    payload: Vec<Edit>,
    signing: Option<Signing>,
    /// Edits of the whole.
    token: Vec<(Index, char)>,
}

pub(super) fn grown() -> impl Strategy<Value = Grown> {
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

pub(super) fn kid(alg: &str) -> &'static str {
    match alg {
        "ES256" => "ec",
        "ES384" => "ec384",
        "EdDSA" => "ed",
        _ => "rsa",
    }
}

impl Grown {
    pub(super) fn token(&self) -> String {
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
