//! Keys behind a URL: rotation, floods of unknown keys, and an issuer that is
//! down, broken or slow.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::{Router, body::Body, extract::State, http::StatusCode, routing::get};
use bytes::Bytes;

use keygate::clock;

use super::*;
use crate::support::tls::Authority;

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
            .route("/slow", get(Self::never_end))
            .route("/elsewhere", get(Self::redirect))
            .with_state(it.clone());
        tasks.spawn_background(async move { axum::serve(listener, app).await.unwrap() });
        it
    }

    async fn answer(State(it): State<Self>) -> Result<String, StatusCode> {
        it.fetches.fetch_add(1, Ordering::SeqCst);
        let jwks = it.jwks.lock().unwrap().clone();
        jwks.ok_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The keys, and then white space for ever.
    async fn never_end(State(it): State<Self>) -> Body {
        it.fetches.fetch_add(1, Ordering::SeqCst);
        let keys = Bytes::from(it.jwks.lock().unwrap().clone().unwrap());
        Body::from_stream(futures_util::stream::unfold(keys, async |next| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, std::io::Error>(next), Bytes::from_static(b" ")))
        }))
    }

    async fn redirect() -> axum::response::Redirect {
        axum::response::Redirect::temporary("/jwks")
    }

    fn publish(&self, jwks: Option<Value>) {
        *self.jwks.lock().unwrap() = jwks.map(|it| it.to_string());
    }

    fn fetches(&self) -> u64 {
        self.fetches.load(Ordering::SeqCst)
    }

    fn settings(&self) -> super::Issuer {
        issuer(Keys::jwks(&self.url).unwrap())
    }

    async fn authenticator(&self, clock: &Hand, tasks: &Tasks) -> Authenticator {
        let issuers = vec![self.settings()];
        let started = Authenticator::start(issuers, clock.clock(), tasks, None);
        started.await.unwrap()
    }
}

fn token_by(kid: &str, key: &EcdsaKeyPair) -> String {
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    let mut payload = payload();
    payload["exp"] = (NOW + 864_000).into();
    let signed = format!("{}.{}", base64(header), base64(payload.to_string()));
    let signature = base64(sign_ec(key, &signed));
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn the_first_call_waits_for_the_first_keys() {
    let (clock, tasks) = (held(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    let caller = authenticator.authenticate(&token(&payload())).await;
    assert!(caller.is_ok(), "{caller:?}");
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_rotated_key_is_fetched_and_an_old_one_forgotten() {
    let (clock, tasks) = (held(), Tasks::new());
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
async fn a_key_that_changes_under_its_kid_does_not_verify_what_it_did() {
    let (clock, tasks) = (held(), Tasks::new());
    let old = json!({"keys": [ec_jwk("one", &SIGNERS.ec)]});
    let new = json!({"keys": [ec_jwk("one", &SIGNERS.other_ec)]});
    let issuer = Issuer::start(&tasks, Some(old)).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    let before = token_by("one", &SIGNERS.ec);
    assert!(authenticator.authenticate(&before).await.is_ok());
    issuer.publish(Some(new));
    let unknown = token_by("unknown", &SIGNERS.ec);
    assert!(authenticator.authenticate(&unknown).await.is_err());
    let refused = authenticator.authenticate(&before).await;
    assert_eq!(refused, Err(Reason::Signature.into()));
    let after = token_by("one", &SIGNERS.other_ec);
    assert!(authenticator.authenticate(&after).await.is_ok());
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let (clock, tasks) = (held(), Tasks::new());
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
        clock.advance(Duration::from_secs(31));
    }
}

/// Calls until the keys are there again.
async fn comes_back(authenticator: &Authenticator, token: &str) {
    for _ in 0..100 {
        if authenticator.authenticate(token).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the issuer is back, its keys are not");
}

#[tokio::test]
async fn keys_hold_while_the_issuer_is_down_but_not_for_ever() {
    let (clock, tasks) = (held(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    for max_age in [60, 48 * 60] {
        issuer.publish(Some(jwks()));
        let mut settings = issuer.settings();
        let Keys::Url(_, fetching) = &mut settings.keys else {
            panic!("it is a URL");
        };
        fetching.max_age = Duration::from_secs(max_age * 60);
        let started = Authenticator::start(vec![settings], clock.clock(), &tasks, None);
        let authenticator = started.await.unwrap();
        let token = token_by("ec", &SIGNERS.ec);
        let unknown = token_by("unknown", &SIGNERS.ec);
        assert!(authenticator.authenticate(&token).await.is_ok());

        issuer.publish(None);
        let fetches = issuer.fetches();
        clock.advance(Duration::from_secs((max_age - 1) * 60));
        let refused = authenticator.authenticate(&unknown).await;
        assert_eq!(refused, Err(Reason::Key.into()));
        assert_eq!(issuer.fetches(), fetches + 1);
        assert!(authenticator.authenticate(&token).await.is_ok());
        clock.advance(Duration::from_secs(2 * 60));
        let refused = authenticator.authenticate(&token).await;
        assert_eq!(refused, Err(Error::KeysUnavailable));

        issuer.publish(Some(jwks()));
        comes_back(&authenticator, &token).await;
    }
}

#[tokio::test]
async fn an_issuer_that_never_answered_has_no_keys() {
    let (clock, tasks) = (held(), Tasks::new());
    let oversized = json!({"keys": [ec_jwk("ec", &SIGNERS.ec)], "more": "a".repeat(300_000)});
    for jwks in [None, Some(json!({"keys": []})), Some(oversized)] {
        let issuer = Issuer::start(&tasks, jwks).await;
        let authenticator = issuer.authenticator(&clock, &tasks).await;
        let refused = authenticator.authenticate(&token(&payload())).await;
        assert_eq!(refused, Err(Error::KeysUnavailable));
    }
}

#[tokio::test]
async fn an_answer_without_end_and_one_from_elsewhere_are_none() {
    let (clock, tasks) = (held(), Tasks::new());
    for path in ["/elsewhere", "/slow"] {
        let mut issuer = Issuer::start(&tasks, Some(jwks())).await;
        issuer.url = issuer.url.replace("/jwks", path);
        let authenticator = issuer.authenticator(&clock, &tasks).await;
        let refused = authenticator.authenticate(&token(&payload())).await;
        assert_eq!(refused, Err(Error::KeysUnavailable), "{path}");
    }
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_settings_trust() {
    let (clock, tasks) = (held(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let (ours, another) = (Authority::new(), Authority::new());
    let origin = ours
        .before(issuer.url.trim_end_matches("/jwks"), &tasks)
        .await;
    for (trusted, right) in [(Some(&ours), true), (Some(&another), false), (None, false)] {
        let mut settings = issuer.settings();
        let ca = trusted.map(|it| file(&it.certificate));
        let fetching = Fetching {
            ca: ca.as_ref().map(|it| it.to_path_buf()),
            ..Fetching::default()
        };
        let url = format!("{origin}/jwks").parse().unwrap();
        settings.keys = Keys::Url(url, fetching);
        let started = Authenticator::start(vec![settings], clock.clock(), &tasks, None).await;
        let found = started.unwrap().authenticate(&token(&payload())).await;
        match right {
            true => assert_eq!(found.as_deref(), Ok(&caller())),
            false => assert_eq!(found, Err(Error::KeysUnavailable)),
        }
    }
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn a_broken_key_among_good_ones_is_left_out() {
    let (clock, tasks) = (held(), Tasks::new());
    let mut set = jwks();
    let private = json!({"kty": "EC", "crv": "P-256", "kid": "x", "x": "AA", "y": "AA", "d": "AA"});
    set["keys"].as_array_mut().unwrap().insert(0, private);
    let issuer = Issuer::start(&tasks, Some(set)).await;
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    assert!(authenticator.authenticate(&token(&payload())).await.is_ok());
}

#[tokio::test]
async fn what_was_fetched_outlives_a_new_start() {
    let (clock, tasks) = (held(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let before = issuer.authenticator(&clock, &tasks).await;
    let token = token_by("ec", &SIGNERS.ec);
    assert!(before.authenticate(&token).await.is_ok());

    issuer.publish(None);
    let mut settings = issuer.settings();
    settings.audiences = vec!["somebody else".to_owned()];
    let start =
        |settings| Authenticator::start(vec![settings], clock.clock(), &tasks, Some(&before));
    let narrowed = start(settings).await.unwrap();
    let same = start(issuer.settings()).await.unwrap();
    drop(before);
    assert!(same.authenticate(&token).await.is_ok());
    let refused = narrowed.authenticate(&token).await;
    assert_eq!(
        refused,
        Err(Reason::Audience.into()),
        "nothing is remembered"
    );
    assert_eq!(issuer.fetches(), 1);
    // And it goes on being fetched, once for both.
    let unknown = token_by("unknown", &SIGNERS.ec);
    assert_eq!(same.authenticate(&unknown).await, Err(Reason::Key.into()));
    assert_eq!(
        narrowed.authenticate(&unknown).await,
        Err(Reason::Key.into())
    );
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn fetching_ends_with_the_last_that_needs_it() {
    let (clock, tasks) = (held(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    let before = clock.users();
    let authenticator = issuer.authenticator(&clock, &tasks).await;
    assert!(authenticator.authenticate(&token(&payload())).await.is_ok());
    assert!(clock.users() > before);
    drop(authenticator);
    while clock.users() > before {
        tokio::task::yield_now().await;
    }
}

/// A clock that panics once when it is armed.
struct Trap {
    clock: Hand,
    armed: Arc<AtomicBool>,
}

impl clock::Source for Trap {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    fn instant(&self) -> std::time::Instant {
        let armed = self.armed.swap(false, Ordering::SeqCst);
        assert!(!armed, "the trap that this test has set");
        self.clock.instant()
    }
}

#[tokio::test]
async fn a_panic_while_keys_are_fetched_does_not_end_the_fetching() {
    let (clock, tasks) = (held(), Tasks::new());
    let issuer = Issuer::start(&tasks, Some(jwks())).await;
    // The first use of this clock is for the keys that the first fetch brings.
    let armed = Arc::new(AtomicBool::new(true));
    let trap = Clock::from_source(Trap {
        clock: clock.clone(),
        armed: armed.clone(),
    });
    let started = Authenticator::start(vec![issuer.settings()], trap, &tasks, None);
    let authenticator = started.await.unwrap();
    let token = token_by("ec", &SIGNERS.ec);
    comes_back(&authenticator, &token).await;
    assert!(!armed.load(Ordering::SeqCst), "it has panicked");
    assert!(issuer.fetches() >= 2);

    // And it goes on.
    let fetches = issuer.fetches();
    clock.advance(Duration::from_secs(31));
    issuer.publish(Some(json!({"keys": [ec_jwk("new", &SIGNERS.other_ec)]})));
    let new = token_by("new", &SIGNERS.other_ec);
    assert!(authenticator.authenticate(&new).await.is_ok());
    assert_eq!(issuer.fetches(), fetches + 1);
}
