//! Keys behind a URL: rotation, floods of unknown keys, and an issuer that is
//! down.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use super::*;

#[derive(Clone)]
struct Issuer {
    jwks: Arc<Mutex<Option<String>>>,
    fetches: Arc<AtomicU64>,
    url: String,
}

impl Issuer {
    async fn start(tasks: &Tasks, jwks: Option<Value>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let it = Self {
            jwks: Arc::new(Mutex::new(jwks.map(|it| it.to_string()))),
            fetches: Arc::default(),
            url: format!("http://{}/jwks", listener.local_addr().unwrap()),
        };
        let app = Router::new()
            .route("/jwks", get(Self::answer))
            .with_state(it.clone());
        tasks.spawn_background(async move { axum::serve(listener, app).await.unwrap() });
        it
    }

    async fn answer(State(it): State<Self>) -> Result<String, StatusCode> {
        it.fetches.fetch_add(1, Ordering::SeqCst);
        let jwks = it.jwks.lock().unwrap().clone();
        jwks.ok_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn publish(&self, jwks: Option<Value>) {
        *self.jwks.lock().unwrap() = jwks.map(|it| it.to_string());
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn authenticator(&self, clock: &Held, tasks: &Tasks) -> Authenticator {
        let settings = issuer(Keys::jwks(&self.url).unwrap());
        let started = Authenticator::start(vec![settings], clock.clock(), tasks, None);
        started.await.unwrap()
    }
}

fn token_by(kid: &str, key: &EcdsaKeyPair) -> String {
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    let mut payload = payload();
    payload["exp"] = (NOW + 86_400).into();
    let signed = format!("{}.{}", base64(header), base64(payload.to_string()));
    let signature = base64(sign_ec(key, &signed));
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn the_first_call_waits_for_the_first_keys() {
    let (clock, tasks) = (Held::new(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    let caller = authenticator.authenticate(&token(&payload())).await;
    assert!(caller.is_ok(), "{caller:?}");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_rotated_key_is_fetched_and_an_old_one_forgotten() {
    let (clock, tasks) = (Held::new(), Tasks::new());
    let old = json!({"keys": [ec_jwk("old", &SIGNERS.ec)]});
    let new = json!({"keys": [ec_jwk("new", &SIGNERS.other_ec)]});
    let issuer = Issuer::start(&tasks, Some(old)).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    let before = token_by("old", &SIGNERS.ec);
    let after = token_by("new", &SIGNERS.other_ec);
    assert!(authenticator.authenticate(&before).await.is_ok());

    issuer.publish(Some(new));
    assert!(authenticator.authenticate(&before).await.is_ok());
    assert!(authenticator.authenticate(&after).await.is_ok());
    assert_eq!(issuer.fetches(), 2);
    // Remembered, but its key is gone.
    let refused = authenticator.authenticate(&before).await;
    assert_eq!(refused, Err(Reason::Key.into()));
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let (clock, tasks) = (Held::new(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    assert!(authenticator.authenticate(&token(&payload())).await.is_ok());
    for expected in [2, 3] {
        let calls: Vec<_> = (0..200)
            .map(|number| {
                let authenticator = authenticator.clone();
                let token = token_by(&format!("unknown-{number}"), &SIGNERS.ec);
                tasks.spawn(async move { authenticator.authenticate(&token).await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), Err(Reason::Key.into()));
        }
        assert_eq!(issuer.fetches(), expected);
        clock.forward(Duration::from_secs(31));
    }
}

#[tokio::test]
async fn keys_hold_while_the_issuer_is_down_but_not_for_ever() {
    let (clock, tasks) = (Held::new(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    let token = token_by("ec", &SIGNERS.ec);
    let unknown = token_by("unknown", &SIGNERS.ec);
    assert!(authenticator.authenticate(&token).await.is_ok());

    issuer.publish(None);
    clock.forward(Duration::from_secs(59 * 60));
    let refused = authenticator.authenticate(&unknown).await;
    assert_eq!(refused, Err(Reason::Key.into()));
    assert_eq!(issuer.fetches(), 2);
    assert!(authenticator.authenticate(&token).await.is_ok());
    clock.forward(Duration::from_secs(2 * 60));
    let refused = authenticator.authenticate(&token).await;
    assert_eq!(refused, Err(Error::KeysUnavailable));

    issuer.publish(Some(jwks()));
    for _ in 0..100 {
        if authenticator.authenticate(&token).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the issuer is back, its keys are not");
}

#[tokio::test]
async fn an_issuer_that_never_answered_has_no_keys() {
    let (clock, tasks) = (Held::new(), Tasks::new());
    let oversized = json!({"keys": [ec_jwk("ec", &SIGNERS.ec)], "more": "a".repeat(300_000)});
    for jwks in [None, Some(json!({"keys": []})), Some(oversized)] {
        let issuer = Issuer::start(&tasks, jwks).await;
        let authenticator = issuer.authenticator(&clock, &tasks).await;
        let refused = authenticator.authenticate(&token(&payload())).await;
        assert_eq!(refused, Err(Error::KeysUnavailable));
    }
}
