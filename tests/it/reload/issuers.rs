//! Issuers and their keys.

use std::slice::from_ref;

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::issuer::{Claims, Issuer, Options},
    tasks::Tasks,
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    GET, Stage, replace,
    steady::{Moment, Steady, all_right},
};
use crate::support::http::Http;

/// An issuer besides the one that every stage has.
struct Other {
    issuer: Issuer,
    tasks: Tasks,
}

impl Drop for Other {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Other {
    async fn start() -> Self {
        let tasks = Tasks::new();
        let (clock, random) = (Clock::system(), Random::system());
        let issuer = Issuer::start(Options::default(), clock, random, &tasks).await;
        Self {
            issuer: issuer.unwrap(),
            tasks,
        }
    }

    fn token(&self) -> String {
        let token = self.issuer.mint(&Claims::new("other", &["admin"]));
        token.unwrap().expose_secret().to_owned()
    }

    fn section(&self, jwks: &str) -> String {
        format!(
            "\n[[auth.issuers]]\nissuer = \"{}\"\naudiences = [\"{}\"]\njwks = \"{jwks}\"\n",
            self.issuer.issuer(),
            self.issuer.audience(),
        )
    }

    async fn keys(&self) -> String {
        let http = Http::new(self.issuer.jwks_url(), Vec::new());
        let keys = http.get("").await.body;
        String::from_utf8(keys.to_vec()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_comes_and_goes_under_load_and_the_others_keep_their_keys() {
    let stage = Stage::new("", "").await;
    let other = Other::start().await;
    let client = stage.gateway.client();
    let clients = [client.clone(), stage.gateway.client()];
    let callers = Steady::start(&clients, 8, GET, &stage.setup.token(), &Moment::default());
    callers.go_on(50).await;
    let (before, token) = (stage.text(), other.token());
    let request = client.request(GET, "k");
    let refused = client.call(GET, Some(&token), &request).await;
    assert_eq!(refused.reason(), "TOKEN_INVALID");
    // whose keys were fetched need not be asked again, nor be there
    let broken = serde_json::from_value(json!({ "fault": { "status": 503 } }));
    stage.setup.issuer.faults().inject(broken.unwrap()).unwrap();
    let mut taken = 1;
    for _ in 0..2 {
        let section = other.section(&other.issuer.jwks_url());
        replace(&stage.setup, "keygate.toml", &format!("{before}{section}"));
        taken += 1;
        stage.taken(taken).await;
        client.call(GET, Some(&token), &request).await.ok();
        callers.go_on(50).await;

        replace(&stage.setup, "keygate.toml", &before);
        taken += 1;
        stage.taken(taken).await;
        let refused = client.call(GET, Some(&token), &request).await;
        assert_eq!(refused.reason(), "TOKEN_INVALID");
        callers.go_on(50).await;
    }
    all_right(&callers.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_a_file_are_rotated_under_load() {
    let other = Other::start().await;
    let keys = other.keys().await;
    let section = other.section("keys.json");
    let stage = Stage::prepared("", &section, |setup| drop(setup.write("keys.json", &keys))).await;
    let client = stage.gateway.client();
    let request = client.request(GET, "k");
    let old = other.token();
    let callers = Steady::start(from_ref(&client), 4, GET, &old, &Moment::default());
    callers.go_on(50).await;

    other.issuer.rotate().unwrap();
    let (both, new) = (other.keys().await, other.token());
    let refused = client.call(GET, Some(&new), &request).await;
    assert_eq!(refused.reason(), "TOKEN_INVALID");
    replace(&stage.setup, "keys.json", &both);
    stage.taken(2).await;
    client.call(GET, Some(&new), &request).await.ok();
    callers.go_on(50).await;

    // half a file is none
    replace(&stage.setup, "keys.json", &both[..both.len() / 2]);
    stage.refused(1).await;
    let line = stage.logged("can't be used").await;
    assert!(
        line.contains("auth.issuers[1]") && line.contains("keys.json"),
        "{line}"
    );
    client.call(GET, Some(&new), &request).await.ok();
    callers.go_on(50).await;
    all_right(&callers.stop().await);

    // a key that is gone verifies nothing any more, remembered tokens included
    other.issuer.retire_old_keys();
    replace(&stage.setup, "keys.json", &other.keys().await);
    stage.taken(3).await;
    let refused = client.call(GET, Some(&old), &request).await;
    assert_eq!(refused.reason(), "TOKEN_INVALID");
    client.call(GET, Some(&new), &request).await.ok();
}
