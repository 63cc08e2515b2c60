//! Tokens that are grown at random, for a bounded time: from good ones, by edits
//! of their JSON and of their bytes, signed again with this key or that, or not.
//!
//! It is no fuzzer that watches which code it reaches: it knows the grammar
//! instead, so that most of what it makes gets past the first check, and it says
//! what it reached. Another library is the referee of every token that is let in,
//! and what is good by construction has to be let in. It runs for
//! `KEYGATE_FUZZ_SECONDS`; 3 if that is not set.

mod grown;
mod referee;

use std::{cell::RefCell, collections::BTreeMap, env};

use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseResult, TestRunner},
};

use self::{
    grown::{grown, kid, value},
    referee::judge,
};
use super::{properties::run, *};

const ALGORITHMS: [&str; 10] = [
    "ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "HS256",
];

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
