//! What time, use and exposure make of a key.

use std::time::Duration;

use keygate::sandbox::coveo::Severity;
use serde_json::json;

use super::{Sandbox, client, id};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const FILTERS: [&str; 7] = [
    "ACTIVE",
    "SOON_TO_BE_DISABLED",
    "SOON_TO_BE_EXPIRED",
    "ACTIVE_AND_EXPOSED",
    "WITH_WARNING",
    "ALL_EXPOSED",
    "DEACTIVATED",
];

impl Sandbox {
    /// Expects the one key there is to have this status and to be in these lists.
    async fn expect(&self, status: &str, lists: &[&str]) {
        let key = self.http.get(&self.path("")).await.json()[0].take();
        assert_eq!(key["status"], status);
        for filter in FILTERS {
            let names = self.names(&format!("?status={filter}")).await;
            assert_eq!(names.len() == 1, lists.contains(&filter), "{filter}");
        }
    }
}

#[tokio::test]
async fn a_key_expires() {
    let sandbox = Sandbox::start().await;
    let key = sandbox
        .key(json!({ "displayName": "a", "lifetimeDuration": "P1M" }))
        .await;
    sandbox.expect("ENABLED", &["ACTIVE"]).await;
    sandbox.hand.advance(DAY * 16);
    let warned = ["ACTIVE", "SOON_TO_BE_EXPIRED", "WITH_WARNING"];
    sandbox.expect("SOON_TO_BE_EXPIRED", &warned).await;
    sandbox.hand.advance(DAY * 14);
    sandbox.expect("EXPIRED", &["DEACTIVATED"]).await;

    let token = key["value"].as_str().unwrap();
    let http = client(&sandbox.organization, token);
    assert_eq!(http.get(&sandbox.path("")).await.status, 401);
    let id = id(&key);
    let bulk = json!([id]);
    for (path, body) in [
        (format!("/{id}/activate"), None),
        (format!("/{id}/activation/extend"), None),
        ("/activate/bulk".to_owned(), Some(&bulk)),
    ] {
        assert_eq!(sandbox.put(&path, body).await.status, 412, "{path}");
    }
    let copy = sandbox.put(&format!("/{id}/duplicate"), None).await.json();
    assert_eq!(copy["status"], "ENABLED");
    assert_eq!(copy.get("expirationDate"), None);
}

#[tokio::test]
async fn a_key_that_nobody_uses_is_disabled() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.key(json!({ "displayName": "a" })).await;
    let warned = ["ACTIVE", "SOON_TO_BE_DISABLED", "WITH_WARNING"];
    sandbox.hand.advance(DAY * 76);
    sandbox.expect("SOON_TO_BE_DISABLED", &warned).await;
    sandbox
        .done(&format!("/{}/activation/extend", id(&key)), None)
        .await;
    sandbox.expect("ENABLED", &["ACTIVE"]).await;

    // being refused is a use, too
    sandbox.hand.advance(DAY * 80);
    let http = client(&sandbox.organization, key["value"].as_str().unwrap());
    assert_eq!(http.get(&sandbox.path("")).await.status, 403);
    sandbox.expect("ENABLED", &["ACTIVE"]).await;

    sandbox.hand.advance(DAY * 90);
    sandbox
        .expect("DISABLED_FOR_INACTIVITY", &["DEACTIVATED"])
        .await;
    assert_eq!(sandbox.read(id(&key)).await["enabled"], false);
    sandbox.done(&format!("/{}/activate", id(&key)), None).await;
    sandbox.expect("ENABLED", &["ACTIVE"]).await;
}

#[tokio::test]
async fn a_key_that_was_found_in_public_is_disabled() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.key(json!({ "displayName": "a" })).await;
    let report = |severity| {
        let url = "https://example.com/leak";
        let report = sandbox
            .organization
            .report_exposure(id(&key), severity, url);
        report.unwrap();
    };
    let exposed = [
        "ACTIVE",
        "ACTIVE_AND_EXPOSED",
        "WITH_WARNING",
        "ALL_EXPOSED",
    ];
    report(Severity::Warn);
    sandbox.hand.advance(DAY * 60);
    sandbox.expect("ENABLED", &exposed).await;
    report(Severity::Critical);
    sandbox.expect("ENABLED", &exposed).await;
    sandbox.hand.advance(DAY);
    sandbox
        .expect("DISABLED_EXPOSED", &["ALL_EXPOSED", "DEACTIVATED"])
        .await;
    sandbox
        .done("/activate/bulk", Some(&json!([id(&key)])))
        .await;
    sandbox.expect("ENABLED", &exposed).await;
    assert!(
        sandbox
            .organization
            .report_exposure("nobody", Severity::Low, "")
            .is_err()
    );
}

#[tokio::test]
async fn a_key_is_disabled_and_activated() {
    let sandbox = Sandbox::start().await;
    let key = sandbox.key(json!({ "displayName": "a" })).await;
    for _ in 0..2 {
        sandbox.done(&format!("/{}/disable", id(&key)), None).await;
        sandbox.expect("DISABLED", &["DEACTIVATED"]).await;
    }
    let path = format!("/{}/activation/extend", id(&key));
    assert_eq!(sandbox.put(&path, None).await.status, 412);
    for _ in 0..2 {
        sandbox.done(&format!("/{}/activate", id(&key)), None).await;
        sandbox.expect("ENABLED", &["ACTIVE"]).await;
    }
}
