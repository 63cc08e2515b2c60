//! Ten thousand tokens with keys that nobody has, at the served port.

use keygate::{
    random::Random,
    sandbox::issuer::{self, Claims},
};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use super::{
    served::{Gate, ask},
    *,
};
use crate::support::gateway::Client;

const CALLS: usize = 10_000;
const CALLERS: usize = 64;

/// A token that looks right up to its key.
fn forged(iss: &str, random: &Random) -> String {
    let header = json!({"alg": "ES256", "kid": random.uuid().to_string()});
    let mut payload = payload();
    payload["iss"] = iss.into();
    let (header, payload) = (header.to_string(), payload.to_string());
    let signature = random.bytes::<64>();
    [base64(header), base64(payload), base64(signature)].join(".")
}

async fn flood(clients: Vec<Client>, iss: String, good: String) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = clients[caller % clients.len()].clone();
        let (iss, good) = (iss.clone(), good.clone());
        callers.spawn(async move {
            let random = Random::system();
            for _ in 0..CALLS / CALLERS {
                let answer = ask(&client, &forged(&iss, &random)).await;
                assert_eq!(answer.reason(), "TOKEN_INVALID");
            }
            ask(&client, &good).await.ok();
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_keys_cause_one_fetch() {
    let (clock, tasks) = (held(), Tasks::new());
    let options = issuer::Options::default();
    let issuer = issuer::Issuer::start(options, clock.clock(), Random::system(), &tasks);
    let issuer = issuer.await.unwrap();
    let section = format!(
        "[[auth.issuers]]\nissuer = \"{}\"\naudiences = [\"{}\"]\njwks = \"{}\"\n",
        issuer.issuer(),
        issuer.audience(),
        issuer.jwks_url(),
    );
    let gate = Gate::start(&section, &[], &clock).await;
    let fetches = || issuer.state()["requests"].as_array().unwrap().len();
    let mint = || {
        let token = issuer.mint(&Claims::new("somebody", &["admin"])).unwrap();
        token.expose_secret().to_owned()
    };
    let good = mint();
    gate.ask(&good).await.ok();
    assert_eq!(fetches(), 1);
    let clients: Vec<_> = (0..8).map(|_| gate.client()).collect();
    flood(clients.clone(), issuer.issuer(), good.clone()).await;
    assert_eq!(fetches(), 2);
    // Nor does it help to go on, before the half minute is over.
    clock.advance(Duration::from_secs(29));
    let random = Random::system();
    for _ in 0..100 {
        let answer = gate.ask(&forged(&issuer.issuer(), &random)).await;
        assert_eq!(answer.reason(), "TOKEN_INVALID");
    }
    assert_eq!(fetches(), 2);
    clock.advance(Duration::from_secs(1));
    issuer.rotate().unwrap();
    gate.ask(&mint()).await.ok();
    gate.ask(&good).await.ok();
    assert_eq!(fetches(), 3);
    tasks.stop();
}
