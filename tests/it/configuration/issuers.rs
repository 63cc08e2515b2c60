//! What tokens are verified with, and how far they are trusted.

use keygate::auth::{Algorithm, Fetching, Issuer, TokenType};

use super::*;

/// A configuration whose only issuer has these settings beside its name and its
/// audience.
fn text(settings: &str) -> String {
    SMALLEST.replace("jwks = \"jwks.json\"\n", settings)
}

fn issuer(settings: &str) -> (TempDir, Issuer) {
    let folder = folder();
    let config = Config::parse(&text(settings), folder.path()).expect("it has no fault");
    let [issuer] = config.auth.issuers.try_into().expect("there is one");
    (folder, issuer)
}

#[test]
fn what_is_not_said_is_strict() {
    let (_, issuer) = issuer("jwks = \"jwks.json\"\n");
    assert_eq!(issuer.algorithms, Algorithm::ASYMMETRIC);
    assert_eq!(issuer.clock_leeway, Duration::from_secs(30));
    assert_eq!((issuer.typ, issuer.max_token_age), (None, None));
}

#[test]
fn how_far_tokens_are_trusted() {
    let (folder, issuer) = issuer(
        "jwks = \"https://issuer.example/keys\"\n\
         jwks_ca = \"ca.pem\"\n\
         jwks_refresh = \"1m\"\n\
         jwks_max_age = \"12h\"\n\
         typ = \"application/AT+jwt\"\n\
         max_token_age = \"90m\"\n\
         clock_leeway = \"0s\"\n",
    );
    let Keys::Url(url, fetching) = issuer.keys else {
        panic!("it is a URL");
    };
    assert_eq!(url, "https://issuer.example/keys");
    let expected = Fetching {
        ca: Some(folder.path().join("ca.pem")),
        refresh: Duration::from_secs(60),
        max_age: Duration::from_secs(12 * 3600),
    };
    assert_eq!(fetching, expected);
    assert_eq!(issuer.typ, Some(TokenType::new("at+jwt")));
    assert_eq!(issuer.max_token_age, Some(Duration::from_secs(90 * 60)));
    assert_eq!(issuer.clock_leeway, Duration::ZERO);
}

#[test]
fn keys_hold_until_they_are_refreshed_at_least() {
    let (_, issuer) = issuer("jwks = \"https://issuer.example/\"\njwks_refresh = \"3h\"\n");
    let Keys::Url(_, fetching) = issuer.keys else {
        panic!("it is a URL");
    };
    assert_eq!(fetching.max_age, Duration::from_secs(3 * 3600));
}

#[test]
fn a_shared_secret_is_for_hs256_alone() {
    for algorithms in ["", "algorithms = [\"HS256\"]\n"] {
        let (folder, issuer) = issuer(&format!(
            "shared_secret = {{ file = \"key\" }}\n{algorithms}"
        ));
        let secret = Source::File(folder.path().join("key"));
        assert_eq!(issuer.keys, Keys::SharedSecret(secret));
        assert_eq!(issuer.algorithms, [Algorithm::Hs256]);
    }
}

#[test]
fn settings_that_contradict_each_other() {
    let both = "jwks = \"jwks.json\"\nshared_secret = { file = \"key\" }\n";
    let public = "jwks = \"jwks.json\"\nalgorithms = [\"ES256\", \"HS256\"]\n";
    let secret = "shared_secret = { file = \"key\" }\nalgorithms = [\"HS256\", \"ES256\"]\n";
    let fetched = "jwks = \"jwks.json\"\njwks_refresh = \"1m\"\njwks_max_age = \"1h\"\n";
    for (settings, expected) in [
        ("", &["auth.issuers[0].jwks (line 2): this is missing"][..]),
        (
            both,
            &["auth.issuers[0].shared_secret (line 6): this stands beside `jwks`"],
        ),
        (
            public,
            &["auth.issuers[0].algorithms (line 6): HS256 needs a `shared_secret`"],
        ),
        (
            secret,
            &["auth.issuers[0].algorithms (line 6): with a `shared_secret` this can only be HS256"],
        ),
        (
            fetched,
            &[
                "auth.issuers[0].jwks_refresh (line 6): this is for a `jwks` that is a URL",
                "auth.issuers[0].jwks_max_age (line 7): this is for a `jwks` that is a URL",
            ],
        ),
        (
            "shared_secret = \"0123456789abcdef0123456789abcdef\"\n",
            &["auth.issuers[0].shared_secret (line 5): a credential is not written here"],
        ),
    ] {
        assert_faults(&text(settings), expected);
    }
}

#[test]
fn bounds() {
    assert_faults(
        &text(
            "jwks = \"https://issuer.example/\"\n\
             jwks_ca = \"key\"\n\
             jwks_refresh = \"29s\"\n\
             jwks_max_age = \"1m\"\n\
             typ = \"\"\n\
             max_token_age = \"59s\"\n\
             clock_leeway = \"6m\"\n",
        ),
        &[
            "auth.issuers[0].jwks_ca (line 6): DIR/key holds no certificates",
            "auth.issuers[0].jwks_refresh (line 7): this must be from 30s to ",
            "auth.issuers[0].jwks_max_age (line 8): this must be from 300s to ",
            "auth.issuers[0].typ (line 9): this must not be empty",
            "auth.issuers[0].max_token_age (line 10): this must be from 60s to ",
            "auth.issuers[0].clock_leeway (line 11): this must be from 0ns to 300s",
        ],
    );
}
