//! What a role's limits leave: keys of one's own, names, scopes.

use serde_json::Value as Json;

use super::{API_KEY, APPLICATION_KEY, Caller, KINDS, Kind, refused};
use crate::support::{gateway::Answer, served::Served};

const POLICY: &str = r#"
[roles.own]
permissions = ["*"]
keys = "own"
reveal = true
max_scopes = ["*"]
allow_unscoped = true

[roles.payments]
permissions = ["*"]
keys = "any"
names = ["payments-*"]
reveal = true
max_scopes = ["*"]
allow_unscoped = true

[roles.scoped]
permissions = ["*"]
keys = "any"
max_scopes = ["*"]

[[grants]]
role = "own"
claim = "own"

[[grants]]
role = "payments"
claim = "payments"

[[grants]]
role = "scoped"
claim = "scoped"
"#;

fn caller(served: &Served, subject: &str, role: &str) -> Caller {
    Caller::new(served.client(), served.token(subject, &[role]))
}

#[track_caller]
fn denied(answer: &Answer) {
    refused(answer, "PERMISSION_DENIED", "POLICY_DENIED");
}

/// The methods of the requests that upstream has received.
fn received(served: &Served) -> Vec<String> {
    let state = served.site().state();
    let requests = state["requests"].as_array().unwrap().iter();
    let method = |it: &Json| it["method"].as_str().unwrap().to_owned();
    requests.map(method).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_ones_own_by_its_fingerprint_whichever_version_made_it() {
    let served = Served::with_policy(POLICY).await;
    let (alice, bob) = (
        caller(&served, "alice", "own"),
        caller(&served, "bob", "own"),
    );
    for kind in KINDS {
        let (_, by_v2) = alice.create_v2(kind, "by v2").await;
        let by_v1 = kind.made(alice.create(kind, "by v1").await);
        let of_bob = kind.made(bob.create(kind, "of bob").await);
        let shown = |value: &str, name: &str| (Some(value.to_owned()), name.to_owned());
        assert_eq!(
            kind.all(alice.list(kind).await),
            [shown(&by_v2, "by v2"), shown(&by_v1, "by v1")]
        );
        assert_eq!(kind.all(bob.list(kind).await), [shown(&of_bob, "of bob")]);

        let before = received(&served).len();
        for value in [&by_v2, &by_v1] {
            denied(&bob.get(kind, value).await);
            denied(&bob.update(kind, value, "taken").await);
            denied(&bob.delete(kind, value).await);
        }
        assert_eq!(received(&served).len(), before, "upstream was asked");

        for (value, name) in [(&by_v2, "x"), (&by_v1, "y")] {
            assert_eq!(
                kind.one(alice.update(kind, value, name).await),
                shown(value, name)
            );
            assert_eq!(kind.one(alice.get(kind, value).await), shown(value, name));
            assert_eq!(
                kind.one(alice.delete(kind, value).await),
                shown(value, name)
            );
            // whose it was is not forgotten
            let gone = alice.get(kind, value).await;
            refused(&gone, "NOT_FOUND", "KEY_NOT_FOUND");
            denied(&bob.get(kind, value).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_looked_up_before_anything_is_changed() {
    let served = Served::with_policy(POLICY).await;
    let other = caller(&served, "other", "own");
    let payments = caller(&served, "payments", "payments");
    let names = |kind: Kind, list: Answer| -> Vec<String> {
        kind.all(list).into_iter().map(|(_, name)| name).collect()
    };
    for kind in KINDS {
        let value = kind.made(other.create(kind, "other").await);
        denied(&payments.create(kind, "other-too").await);
        let own = kind.made(payments.create(kind, "payments-a").await);
        assert_eq!(names(kind, payments.list(kind).await), ["payments-a"]);

        let before = received(&served).len();
        denied(&payments.get(kind, &value).await);
        denied(&payments.update(kind, &value, "payments-b").await);
        denied(&payments.delete(kind, &value).await);
        denied(&payments.update(kind, &own, "other").await);
        let asked = &received(&served)[before..];
        assert!(asked.iter().all(|it| it == "GET"), "{asked:?}");
        assert_eq!(kind.one(other.get(kind, &value).await).1, "other");

        let renamed = payments.update(kind, &own, "payments-b").await;
        assert_eq!(
            kind.one(renamed),
            (Some(own.clone()), "payments-b".to_owned())
        );
        payments.delete(kind, &own).await.ok();
        assert!(names(kind, payments.list(kind).await).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_key_has_all_rights_and_needs_a_role_that_allows_that() {
    let served = Served::with_policy(POLICY).await;
    let free = caller(&served, "free", "own");
    let scoped = caller(&served, "scoped", "scoped");
    let before = received(&served).len();
    denied(&scoped.create(APPLICATION_KEY, "a").await);
    assert_eq!(received(&served).len(), before, "upstream was asked");

    // API keys have no scopes; those of an application key can't be seen in v1
    let value = API_KEY.made(scoped.create(API_KEY, "a").await);
    assert_eq!(
        API_KEY.one(scoped.update(API_KEY, &value, "b").await),
        (None, "b".to_owned())
    );
    let value = APPLICATION_KEY.made(free.create(APPLICATION_KEY, "a").await);
    let before = received(&served).len();
    denied(&scoped.update(APPLICATION_KEY, &value, "b").await);
    assert_eq!(received(&served).len(), before, "upstream was asked");
    let removed = scoped.delete(APPLICATION_KEY, &value).await;
    assert_eq!(APPLICATION_KEY.one(removed), (None, "a".to_owned()));
}
