//! Cursors, limits and filters.

use keygate::sandbox::braintrust::Options;
use serde_json::json;

use super::{Sandbox, text};

#[tokio::test]
async fn pages_go_forwards_and_backwards_from_an_id() {
    let sandbox = Sandbox::start().await;
    let mut ids = Vec::new();
    for name in ["e", "d", "c", "b", "a"] {
        ids.push(text(&sandbox.token(name).await, "id").to_owned());
    }
    ids.reverse();
    let [a, b, c, d, e] = ids.as_slice() else {
        panic!("five tokens")
    };
    for (query, expected) in [
        (
            String::new(),
            vec!["a", "b", "c", "d", "e", "keygate master"],
        ),
        ("limit=2".to_owned(), vec!["a", "b"]),
        ("limit=0".to_owned(), vec![]),
        (format!("limit=2&starting_after={b}"), vec!["c", "d"]),
        (format!("starting_after={e}"), vec!["keygate master"]),
        // The page before is the one next to the cursor.
        (format!("limit=2&ending_before={d}"), vec!["b", "c"]),
        (format!("limit=2&ending_before={b}"), vec!["a"]),
        (format!("ending_before={a}"), vec![]),
        (format!("ids={c}&ids={a}"), vec!["a", "c"]),
        (format!("ids={c},{a}"), vec!["a", "c"]),
        (format!("ids={c}&starting_after={c}"), vec![]),
        (format!("starting_after={b}&ids={a}&ids={d}"), vec!["d"]),
        ("service_token_name=c".to_owned(), vec!["c"]),
        ("service_token_name=C".to_owned(), vec![]),
        (
            format!("service_token_name=d&starting_after={a}"),
            vec!["d"],
        ),
        ("org_name=sandbox&limit=1".to_owned(), vec!["a"]),
        ("org_name=elsewhere".to_owned(), vec![]),
        ("something=else&limit=1".to_owned(), vec!["a"]),
    ] {
        let path = format!("/v1/service_token?{query}");
        assert_eq!(sandbox.names(&path).await, expected, "{query}");
    }
    for (query, words) in [
        ("limit=-1".to_owned(), "limit must be an integer >= 0"),
        ("limit=many".to_owned(), "limit must be an integer >= 0"),
        (
            format!("starting_after={a}&ending_before={b}"),
            "You may only pass one of starting_after and ending_before",
        ),
        (
            "starting_after=nobody".to_owned(),
            "No object with id nobody",
        ),
        (
            "ending_before=nobody".to_owned(),
            "No object with id nobody",
        ),
    ] {
        let path = format!("/v1/service_token?{query}");
        let answer = sandbox.http.get(&path).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(answer.body, words);
    }
}

#[tokio::test]
async fn api_keys_are_those_that_users_made() {
    let options = Options {
        api_keys: vec!["old".to_owned(), "new".to_owned()],
        ..Options::default()
    };
    let sandbox = Sandbox::start_with(options).await;
    assert_eq!(sandbox.names("/v1/api_key").await, ["new", "old"]);
    let id = sandbox.instance.add_api_key("newest");
    assert_eq!(sandbox.names("/v1/api_key").await, ["newest", "new", "old"]);
    assert_eq!(sandbox.names("/v1/api_key?api_key_name=old").await, ["old"]);

    let path = format!("/v1/api_key/{id}");
    let key = sandbox.http.get(&path).await.json();
    assert_eq!(key["id"], json!(id));
    assert_eq!(key["user_family_name"], json!(null));
    assert_eq!(key.get("key"), None);
    let deleted = sandbox.http.delete(&path).await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.json(), key);
    for answer in [
        sandbox.http.get(&path).await,
        sandbox.http.delete(&path).await,
    ] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body, format!("No api_key with id {id}"));
    }
    assert_eq!(sandbox.names("/v1/api_key").await, ["new", "old"]);
}
