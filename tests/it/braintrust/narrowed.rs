//! What a role's limits leave: tokens of one's own, and names.

use serde_json::json;

use super::{Caller, TOKENS, count, denied, instance, received, served};
use crate::support::{
    http::Http,
    served::{Served, id, resources, text},
    upstreams::inject,
    vendors::SERVICE_ACCOUNT,
};

const POLICY: &str = r#"
[roles.own]
permissions = ["*"]
keys = "own"

[roles.any]
permissions = ["*"]
keys = "any"

[roles.payments]
permissions = ["*"]
keys = "any"
names = ["payments-*"]

[[grants]]
role = "own"
claim = "own"

[[grants]]
role = "any"
claim = "any"

[[grants]]
role = "payments"
claim = "payments"
"#;

/// Makes a token without the gateway.
async fn foreign(served: &Served, name: &str) {
    use secrecy::ExposeSecret as _;
    let instance = instance(served);
    let token = format!("Bearer {}", instance.masters()[0].expose_secret());
    let http = Http::new(instance.base_url(), vec![("authorization", token)]);
    let body = json!({ "name": name, "service_account_id": SERVICE_ACCOUNT });
    assert_eq!(http.post(TOKENS, &body).await.status, 200);
}

/// The values of all tokens.
fn values(served: &Served) -> Vec<String> {
    let tokens = instance(served).state()["service_tokens"].take();
    let tokens = tokens.as_array().unwrap().iter();
    tokens.map(|it| it["key"].to_string()).collect()
}

#[tokio::test]
async fn ones_own_tokens_are_those_one_has_made_or_replaced() {
    let served = served(POLICY).await;
    let alice = Caller::new(&served, "alice", &["own"]);
    let bob = Caller::new(&served, "bob", &["own"]);
    let admin = Caller::new(&served, "admin", &["any"]);
    let token = id(alice.create("a").await);
    let list = async |caller: &Caller| {
        let listed = caller.call("ListServiceTokens", &[]).await;
        let listed = resources(listed);
        listed.iter().map(|it| text(it, "id")).collect::<Vec<_>>()
    };
    assert_eq!(list(&alice).await, std::slice::from_ref(&token));
    assert!(list(&bob).await.is_empty());
    // all but the gateway's own
    assert_eq!(list(&admin).await, std::slice::from_ref(&token));

    // bob can make another of that name, but not one in this one's place
    let before = values(&served);
    denied(&bob.replace("a").await);
    denied(&bob.get(&token).await);
    denied(&bob.delete(&token).await);
    assert_eq!(values(&served), before);
    assert_eq!((count(&served, "PUT"), count(&served, "DELETE")), (0, 0));
    assert_eq!(id(alice.replace("a").await), token);
    let of_bob = id(bob.create("a").await);
    denied(&alice.replace("a").await);
    bob.delete(&of_bob).await.ok();

    // what an admin puts in its place is the admin's
    assert_eq!(id(admin.replace("a").await), token);
    assert!(list(&alice).await.is_empty());
    denied(&alice.replace("a").await);
    denied(&alice.delete(&token).await);
    admin.delete(&token).await.ok();
    // there is none of that name now
    let new = id(alice.replace("a").await);
    assert_eq!(list(&alice).await, [new]);
}

#[tokio::test]
async fn a_token_that_nobody_made_here_is_nobodys_own() {
    let served = served(POLICY).await;
    let alice = Caller::new(&served, "alice", &["own"]);
    foreign(&served, "a").await;
    denied(&alice.replace("a").await);
    // not even beside one's own: upstream does not say which one it would be
    alice.create("a").await.ok();
    denied(&alice.replace("a").await);
    assert_eq!(count(&served, "PUT"), 0);
    // whoever knows upstream's own master by name can't take its place either
    denied(&alice.replace("keygate master").await);
    assert_eq!(count(&served, "PUT"), 0);
}

#[tokio::test]
async fn where_it_can_not_be_told_whose_a_token_is_nothing_is_replaced() {
    let served = served(POLICY).await;
    let alice = Caller::new(&served, "alice", &["own"]);
    alice.create("a").await.ok();
    for body in [
        "{}",
        "[]",
        "null",
        "<html></html>",
        "{\"objects\": 1}",
        "{\"objects\": [1]}",
    ] {
        let fault = json!({ "status": 200, "body": body });
        let rule = json!({ "route": format!("GET {TOKENS}"), "count": 1, "fault": fault });
        inject(instance(&served), rule);
        denied(&alice.replace("a").await);
    }
    for _ in 1..100 {
        alice.create("a").await.ok();
    }
    // all are her own, but there may be more than were looked at
    denied(&alice.replace("a").await);
    assert_eq!(count(&served, "PUT"), 0);
    let asked = received(&served).pop().unwrap();
    assert_eq!(
        asked,
        format!("GET {TOKENS}?limit=100&service_token_name=a")
    );
}

#[tokio::test]
async fn names_bound_what_is_made_replaced_and_deleted() {
    let served = served(POLICY).await;
    let payments = Caller::new(&served, "payments", &["payments"]);
    let admin = Caller::new(&served, "admin", &["any"]);
    let other = id(admin.create("other").await);
    let theirs = id(admin.create("payments-a").await);
    let before = values(&served);
    denied(&payments.create("other").await);
    denied(&payments.replace("other").await);
    denied(&payments.get(&other).await);
    denied(&payments.delete(&other).await);
    assert_eq!(values(&served), before);
    assert_eq!(id(payments.replace("payments-a").await), theirs);
    let listed = resources(payments.call("ListServiceTokens", &[]).await);
    let names: Vec<_> = listed.iter().map(|it| text(it, "name")).collect();
    assert_eq!(names, ["payments-a"]);
    payments.delete(&theirs).await.ok();
    id(payments.replace("payments-b").await);

    // of an API key the name is looked up before it is deleted
    let keys = resources(admin.call("ListApiKeys", &[]).await);
    let field = [("api_key_id", super::text(&text(&keys[0], "id")))];
    denied(&payments.call("DeleteApiKey", &field).await);
    assert_eq!(resources(admin.call("ListApiKeys", &[]).await), keys);
}
