//! Which algorithm goes with which key, and a shared secret with nothing else.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};

use super::*;

/// Every name of an algorithm, and the keys of [`jwks`] that are for it.
const PUBLIC: [(&str, &[&str]); 10] = [
    ("ES256", &["ec"]),
    ("ES384", &["ec384"]),
    ("EdDSA", &["ed"]),
    ("Ed25519", &["ed"]),
    ("RS256", &["rsa", "rs256"]),
    ("RS384", &["rsa"]),
    ("RS512", &["rsa"]),
    ("PS256", &["rsa"]),
    ("PS384", &["rsa"]),
    ("PS512", &["rsa"]),
];

fn headed(header: &Value, alg: &str) -> String {
    token_of(&header.to_string(), &payload().to_string(), alg)
}

#[tokio::test]
async fn a_good_token_says_who_calls() {
    let authenticator = authenticator(&held()).await;
    for (alg, kids) in PUBLIC {
        for kid in kids {
            let token = headed(&json!({"alg": alg, "kid": kid, "typ": "JWT"}), alg);
            let found = authenticator.authenticate(&token).await;
            assert_eq!(found.as_deref(), Ok(&caller()), "{alg} {kid}");
            let again = authenticator.authenticate(&token).await.unwrap();
            assert!(Arc::ptr_eq(&found.unwrap(), &again), "it is remembered");
        }
        // Without a `kid` there has to be one key only.
        let found = authenticator
            .authenticate(&headed(&json!({"alg": alg}), alg))
            .await;
        let expected = match kids {
            [_] => Ok(caller()),
            _ => Err(Reason::AmbiguousKey.into()),
        };
        assert_eq!(
            found.as_deref().cloned().map_err(|it| *it),
            expected,
            "{alg}"
        );
    }
}

#[tokio::test]
async fn an_algorithm_is_bound_to_its_key_and_its_signature() {
    let authenticator = authenticator(&held()).await;
    for (claimed, right) in PUBLIC {
        for kid in ["ec", "ec384", "ed", "rsa", "rs256", "encryption"] {
            let header = json!({"alg": claimed, "kid": kid});
            for (signed_as, _) in PUBLIC {
                let found = authenticator
                    .authenticate(&headed(&header, signed_as))
                    .await;
                let same = signed_as == claimed
                    || [claimed, signed_as].iter().all(|it| it.starts_with("Ed"));
                let expected = match (right.contains(&kid), same) {
                    (true, true) => Ok(caller()),
                    (true, false) => Err(Reason::Signature.into()),
                    (false, _) => Err(Error::from(Reason::Key)),
                };
                let found = found.as_deref().cloned().map_err(|it| *it);
                assert_eq!(found, expected, "{header} signed as {signed_as}");
            }
        }
    }
}

#[tokio::test]
async fn an_algorithm_that_the_issuer_is_not_allowed_is_refused() {
    let clock = held();
    for allowed in Algorithm::ASYMMETRIC {
        let authenticator = authenticator_with(&clock, |it| it.algorithms = vec![allowed]).await;
        for (alg, kids) in PUBLIC {
            let token = headed(&json!({"alg": alg, "kid": kids[0]}), alg);
            let found = authenticator.authenticate(&token).await;
            if Algorithm::parse(alg) == Ok(allowed) {
                assert_eq!(found.as_deref(), Ok(&caller()), "{alg}");
            } else {
                assert_eq!(found, Err(Reason::Algorithm.into()), "{alg}");
            }
        }
    }
}

#[tokio::test]
async fn a_shared_secret_verifies_hs256_and_nothing_else() {
    let (issuer, _file) = sharing(SECRET);
    let authenticator = start(vec![issuer], &held()).await.unwrap();
    for header in [
        json!({"alg": "HS256"}),
        json!({"alg": "HS256", "kid": "any"}),
    ] {
        let found = authenticator.authenticate(&headed(&header, "HS256")).await;
        assert_eq!(found.as_deref(), Ok(&caller()), "{header}");
        let (signed, _) = headed(&header, "HS256")
            .rsplit_once('.')
            .map(|(it, rest)| (it.to_owned(), rest.to_owned()))
            .unwrap();
        for secret in [
            "",
            "another-secret-of-more-than-32-characters-0123",
            &SECRET[1..],
        ] {
            let forged = format!("{signed}.{}", base64(sign_hmac(secret.as_bytes(), &signed)));
            let found = authenticator.authenticate(&forged).await;
            assert_eq!(found, Err(Reason::Signature.into()), "{secret}");
        }
        let cut = format!("{signed}.{}", base64(&sign("HS256", &signed)[..16]));
        let found = authenticator.authenticate(&cut).await;
        assert_eq!(found, Err(Reason::Signature.into()));
    }
    for (alg, kids) in PUBLIC {
        let token = headed(&json!({"alg": alg, "kid": kids[0]}), alg);
        let found = authenticator.authenticate(&token).await;
        assert_eq!(found, Err(Reason::Algorithm.into()), "{alg}");
    }
    for alg in ["none", "HS384", "HS512", "hs256"] {
        let found = authenticator
            .authenticate(&headed(&json!({"alg": alg}), "HS256"))
            .await;
        assert_eq!(found, Err(Reason::Algorithm.into()), "{alg}");
    }
    let shown = format!("{authenticator:?}");
    assert!(
        !shown.contains(SECRET) && !shown.contains("97, 45, 115"),
        "{shown}"
    );
}

fn spki(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    key.as_der().unwrap().as_ref().to_vec()
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let authenticator = authenticator(&held()).await;
    let point = SIGNERS.ec.public_key().as_ref().to_vec();
    let der = spki(SIGNERS.ec.public_key());
    let rsa = spki(SIGNERS.rsa.public_key());
    let pem = |der: &[u8]| {
        use ::base64::{Engine as _, engine::general_purpose::STANDARD};
        let text = STANDARD.encode(der);
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n").into_bytes()
    };
    for (kid, key) in [
        ("ec", point),
        ("ec", pem(&der)),
        ("ec", der),
        ("ec", ec_jwk("ec", &SIGNERS.ec).to_string().into_bytes()),
        ("rsa", pem(&rsa)),
        ("rsa", rsa),
        ("rsa", rsa_jwk("rsa").to_string().into_bytes()),
        ("ed", SIGNERS.ed.public_key().as_ref().to_vec()),
    ] {
        let header = json!({"alg": "HS256", "kid": kid}).to_string();
        let signed = format!("{}.{}", base64(header), base64(payload().to_string()));
        let token = format!("{signed}.{}", base64(sign_hmac(&key, &signed)));
        let found = authenticator.authenticate(&token).await;
        assert_eq!(found, Err(Reason::Algorithm.into()), "{kid}");
    }
}

#[tokio::test]
async fn a_secret_that_can_be_guessed_stops_the_start() {
    for short in ["password", &SECRET[..31]] {
        let (issuer, _file) = sharing(short);
        let faults = start(vec![issuer], &held()).await.unwrap_err();
        let fault = faults.0[0].to_string();
        assert!(
            fault.starts_with("auth.issuers[0].shared_secret: file /"),
            "{fault}"
        );
        assert!(fault.contains("at least 32"), "{fault}");
        assert!(!fault.contains(short), "{fault}");
    }
}

/// Signs what a token says.
type Sign<'a> = &'a dyn Fn(&str) -> Vec<u8>;

#[tokio::test]
async fn an_issuer_speaks_for_itself_alone() {
    let (keys, _keys) = keys_file(&json!({"keys": [ec_jwk("ec", &SIGNERS.ec)]}));
    let (other_keys, _other) = keys_file(&json!({"keys": [ec_jwk("ec", &SIGNERS.other_ec)]}));
    let (mut sharing, _secret) = sharing(SECRET);
    sharing.issuer = "https://sharing.example".to_owned();
    let mut other = issuer(other_keys);
    other.issuer = "https://other.example".to_owned();
    let issuers = vec![issuer(keys), other, sharing];
    let authenticator = start(issuers, &held()).await.unwrap();
    let token = |iss: &str, alg: &str, by: &dyn Fn(&str) -> Vec<u8>| {
        let mut payload = payload();
        payload["iss"] = iss.into();
        let header = json!({"alg": alg, "kid": "ec"}).to_string();
        let signed = format!("{}.{}", base64(header), base64(payload.to_string()));
        let signature = base64(by(&signed));
        format!("{signed}.{signature}")
    };
    let first = |signed: &str| sign_ec(&SIGNERS.ec, signed);
    let second = |signed: &str| sign_ec(&SIGNERS.other_ec, signed);
    let secret = |signed: &str| sign("HS256", signed);
    let signers: [(_, _, Sign<'_>); 3] = [
        (ISSUER, "ES256", &first),
        ("https://other.example", "ES256", &second),
        ("https://sharing.example", "HS256", &secret),
    ];
    for (owner, alg, by) in signers {
        for (iss, needed, _) in signers {
            let found = authenticator.authenticate(&token(iss, alg, by)).await;
            match (owner == iss, alg == needed) {
                (true, _) => assert_eq!(found.unwrap().issuer, iss),
                (false, true) => assert_eq!(found, Err(Reason::Signature.into())),
                (false, false) => assert_eq!(found, Err(Reason::Algorithm.into())),
            }
        }
    }
}
