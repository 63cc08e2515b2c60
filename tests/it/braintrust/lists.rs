//! Cursors and filters of lists, and all pages as a stream.

use prost_reflect::Value;

use super::{Caller, received, refused, served, text};
use crate::support::{
    gateway::Answer,
    served::{SANDBOX_POLICY, resources, text as text_of},
};

fn names(answer: Answer) -> Vec<String> {
    let all = resources(answer);
    all.iter().map(|it| text_of(it, "name")).collect()
}

#[tokio::test]
async fn a_page_begins_or_ends_at_an_id() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let mut ids = Vec::new();
    for name in ["d", "c", "b", "a"] {
        let made = admin.create(name).await;
        ids.insert(0, crate::support::served::id(made));
    }
    let list = async |fields: &[(&str, Value)]| {
        let answer = admin.call("ListServiceTokens", fields).await;
        let asked = received(&served).pop().unwrap();
        (names(answer), asked)
    };
    let limit = |limit: i32| ("limit", Value::I32(limit));
    let path = |query: &str| format!("GET /v1/service_token{query}");
    let (a, b, d) = (ids[0].as_str(), ids[1].as_str(), ids[3].as_str());
    for (fields, found, query) in [
        (vec![], vec!["a", "b", "c", "d"], String::new()),
        (vec![limit(0)], vec![], "?limit=0".to_owned()),
        (
            vec![limit(2), ("starting_after", text(b))],
            vec!["c", "d"],
            format!("?limit=2&starting_after={b}"),
        ),
        (
            vec![limit(2), ("ending_before", text(d))],
            vec!["b", "c"],
            format!("?limit=2&ending_before={d}"),
        ),
        (
            vec![("ids", Value::List(vec![text(d), text(a)]))],
            vec!["a", "d"],
            format!("?ids={d}&ids={a}"),
        ),
        (
            vec![
                ("service_token_name", text("c")),
                ("org_name", text("sandbox")),
            ],
            vec!["c"],
            "?service_token_name=c&org_name=sandbox".to_owned(),
        ),
        (
            vec![("service_token_name", text("a&org_name=b"))],
            vec![],
            "?service_token_name=a%26org_name%3Db".to_owned(),
        ),
    ] {
        let found: Vec<_> = found.into_iter().map(str::to_owned).collect();
        assert_eq!(list(&fields).await, (found, path(&query)));
    }
}

#[tokio::test]
async fn only_one_cursor_and_only_ids_are_sent_on() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    let both = vec![("starting_after", text("a")), ("ending_before", text("b"))];
    let many = Value::List(vec![text("a"); 101]);
    for (fields, field) in [
        (both, "ending_before"),
        (vec![("starting_after", text(""))], "starting_after"),
        (vec![("starting_after", text("a/b"))], "starting_after"),
        (vec![("ending_before", text("a,b"))], "ending_before"),
        (vec![("ids", Value::List(vec![text("a,b")]))], "ids"),
        (vec![("ids", many)], "ids"),
        (vec![("limit", Value::I32(-1))], "limit"),
        (vec![("org_name", text(&"a".repeat(1025)))], "org_name"),
    ] {
        for rpc in ["ListApiKeys", "ListServiceTokens"] {
            let answer = admin.call(rpc, &fields).await;
            refused(&answer, "INVALID_ARGUMENT", "INVALID_REQUEST");
            let details = answer.details().unwrap();
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, field, "{violations:?}");
            assert_eq!(violations.len(), 1, "{violations:?}");
        }
    }
    assert!(served.upstreams.requests().is_empty());
    // what looks like an id and is nobody's is for upstream to tell
    let fields = [("starting_after", text("a"))];
    let nobody = admin.call("ListApiKeys", &fields).await;
    refused(&nobody, "INVALID_ARGUMENT", "UPSTREAM_REJECTED");
    let told = nobody.result.unwrap_err();
    assert!(told.message().ends_with("No object with id a"), "{told}");
}

#[tokio::test]
async fn a_stream_asks_for_page_after_page_with_its_filters() {
    let served = served(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    for name in ["b", "a"] {
        admin.create(name).await.ok();
    }
    // the instance has API keys for several pages
    let streamed = admin.call("StreamApiKeys", &[]).await;
    streamed.result.unwrap();
    let key = |at: usize| {
        let message = &streamed.messages[at];
        let key = message.get_field_by_name("api_key").unwrap();
        key.as_message().unwrap().clone()
    };
    let keys: Vec<_> = (0..streamed.messages.len()).map(key).collect();
    let all = [("limit", Value::I32(1000))];
    assert_eq!(keys, resources(admin.call("ListApiKeys", &all).await));
    let last = text_of(&keys[99], "id");
    let asked = received(&served);
    let page = "GET /v1/api_key?limit=100";
    assert!(asked.contains(&page.to_owned()));
    assert!(asked.contains(&format!("{page}&starting_after={last}")));

    let filter = [("service_token_name", text("a"))];
    let streamed = admin.call("StreamServiceTokens", &filter).await;
    assert_eq!(streamed.messages.len(), 1);
    let asked = received(&served).pop().unwrap();
    assert_eq!(
        asked,
        "GET /v1/service_token?service_token_name=a&limit=100"
    );
}
