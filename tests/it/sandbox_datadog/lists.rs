//! Pages, orders and filters.

use std::time::Duration;

use keygate::sandbox::datadog::Options;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Sandbox, client, id};

#[tokio::test]
async fn pages_hold_every_key_once() {
    let sandbox = Sandbox::start().await;
    let mut expected = Vec::new();
    for number in 0..25 {
        // All of the same name: nothing but creation orders them.
        let key = sandbox.api_key(json!({ "name": "same" })).await;
        expected.push(id(&key).to_owned());
        sandbox.hand.advance(Duration::from_micros(number));
    }
    for size in [1, 7, 25, 100] {
        let mut seen = Vec::new();
        for number in 0.. {
            let path =
                format!("/api/v2/api_keys?filter=same&page[size]={size}&page[number]={number}");
            let document = sandbox.http.get(&path).await.json();
            assert_eq!(document["meta"]["page"]["total_filtered_count"], 25);
            assert_eq!(document["meta"]["max_allowed"], 50);
            let data = document["data"].as_array().unwrap();
            assert!(data.len() <= size);
            seen.extend(data.iter().map(|key| id(key).to_owned()));
            if data.is_empty() {
                break;
            }
        }
        assert_eq!(seen, expected, "in pages of {size}");
    }
    assert_eq!(sandbox.names("/api/v2/api_keys").await.len(), 10);
}

#[tokio::test]
async fn an_application_key_page_has_100_unless_asked_otherwise() {
    let sandbox = Sandbox::start().await;
    for number in 0..101 {
        sandbox
            .application_key(json!({ "name": format!("key {number}") }))
            .await;
    }
    for path in [
        "/api/v2/application_keys",
        "/api/v2/current_user/application_keys",
    ] {
        assert_eq!(sandbox.names(path).await.len(), 100);
        let rest = sandbox.names(&format!("{path}?page[number]=1")).await;
        assert_eq!(rest.len(), 2);
    }
}

#[tokio::test]
async fn api_keys_are_filtered_and_sorted() {
    let sandbox = Sandbox::start().await;
    let mut keys = Vec::new();
    for attributes in [
        json!({ "name": "Payments EU" }),
        json!({ "name": "billing", "category": "special" }),
        json!({ "name": "payments us", "remote_config_read_enabled": false }),
    ] {
        sandbox.hand.advance(Duration::from_secs(60));
        keys.push(sandbox.api_key(attributes).await);
    }
    sandbox.hand.advance(Duration::from_secs(60));
    let first = id(&keys[0]);
    let body = json!({ "data": { "type": "api_keys", "id": first, "attributes": { "name": "payments eu" } } });
    let path = format!("/api/v2/api_keys/{first}");
    let changed = sandbox.http.patch(&path, &body).await.json();
    let changed_at = changed["data"]["attributes"]["modified_at"]
        .as_str()
        .unwrap();
    let changed_at = changed_at.replace('+', "%2B");
    let second_at = keys[1]["attributes"]["created_at"].as_str().unwrap();
    let second_at = second_at.replace('+', "%2B");

    let master = "keygate master";
    let [billing, eu, us] = ["billing", "payments eu", "payments us"];
    for (query, expected) in [
        ("", vec![billing, master, eu, us]),
        ("filter=PAYMENTS", vec![eu, us]),
        ("filter=nothing", vec![]),
        ("filter[category]=special", vec![billing]),
        ("filter[remote_config_read_enabled]=false", vec![us]),
        (
            "filter[remote_config_read_enabled]=true",
            vec![billing, master, eu],
        ),
        (
            &format!("filter[created_at][start]={second_at}"),
            vec![billing, us],
        ),
        (
            &format!("filter[created_at][end]={second_at}"),
            vec![billing, master, eu],
        ),
        (
            &format!("filter[modified_at][start]={changed_at}"),
            vec![eu],
        ),
        (
            &format!("filter[modified_at][end]={second_at}"),
            vec![billing, master],
        ),
        ("sort=name", vec![billing, master, eu, us]),
        ("sort=-name", vec![us, eu, master, billing]),
        ("sort=created_at", vec![master, eu, billing, us]),
        ("sort=-created_at", vec![us, billing, eu, master]),
        ("sort=modified_at", vec![master, billing, us, eu]),
        ("sort=-modified_at", vec![eu, us, billing, master]),
        (
            "filter=payments&sort=-created_at&page[size]=1&unknown=1",
            vec![us],
        ),
    ] {
        let names = sandbox.names(&format!("/api/v2/api_keys?{query}")).await;
        assert_eq!(names, expected, "{query}");
    }
    for (sort, rising) in [("last4", true), ("-last4", false)] {
        let document = sandbox
            .http
            .get(&format!("/api/v2/api_keys?sort={sort}"))
            .await
            .json();
        let data = document["data"].as_array().unwrap();
        let ends: Vec<_> = data
            .iter()
            .map(|key| key["attributes"]["last4"].as_str())
            .collect();
        assert!(
            ends.is_sorted_by(|a, b| if rising { a <= b } else { a >= b }),
            "{ends:?}"
        );
    }
}

#[tokio::test]
async fn application_keys_are_everybodys_or_ones_own() {
    let sandbox = Sandbox::start().await;
    sandbox.application_key(json!({ "name": "mine" })).await;
    let other = sandbox.site.add_user("other");
    let other = client(&sandbox.site, other.expose_secret());
    let body =
        json!({ "data": { "type": "application_keys", "attributes": { "name": "theirs" } } });
    let theirs = other
        .post("/api/v2/current_user/application_keys", &body)
        .await;
    let theirs = theirs.json()["data"].take();
    let owner = theirs["relationships"]["owned_by"]["data"]["id"]
        .as_str()
        .unwrap();

    let all = ["keygate master", "mine", "other master", "theirs"];
    assert_eq!(sandbox.names("/api/v2/application_keys").await, all);
    let own = "/api/v2/current_user/application_keys";
    assert_eq!(sandbox.names(own).await, ["keygate master", "mine"]);
    let path = format!("/api/v2/application_keys?filter[owned_by]={owner}&sort=-name");
    assert_eq!(sandbox.names(&path).await, ["theirs", "other master"]);
    let created_at = theirs["attributes"]["created_at"]
        .as_str()
        .unwrap()
        .replace('+', "%2B");
    let path = format!("/api/v2/application_keys?filter[created_at][start]={created_at}");
    assert_eq!(
        sandbox.names(&path).await.len(),
        4,
        "the clock stands still"
    );
    let path = format!("/api/v2/application_keys?filter[created_at][end]={created_at}");
    // Reads say one microsecond later than the creation did.
    assert_eq!(sandbox.names(&path).await.len(), 0);

    // In a list of one's own keys the owner comes only when it is asked for.
    let document = sandbox.http.get(own).await.json();
    assert_eq!(document["data"][0]["relationships"].get("owned_by"), None);
    let document = sandbox
        .http
        .get(&format!("{own}?include=owned_by"))
        .await
        .json();
    assert!(document["data"][0]["relationships"]["owned_by"]["data"]["id"].is_string());
    assert_eq!(document["included"].as_array().unwrap().len(), 2);

    // What belongs to another user is not there for the current user's routes.
    let id = id(&theirs);
    assert_eq!(sandbox.http.get(&format!("{own}/{id}")).await.status, 404);
    assert_eq!(
        sandbox.http.delete(&format!("{own}/{id}")).await.status,
        404
    );
    let path = format!("/api/v2/application_keys/{id}");
    assert_eq!(sandbox.http.get(&path).await.status, 200);
    assert_eq!(sandbox.http.delete(&path).await.status, 204);
}

#[tokio::test]
async fn tokens_are_filtered_by_owner_and_leak() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.token("first").await;
    sandbox.token("second").await;
    let owner = first["relationships"]["owned_by"]["data"]["id"]
        .as_str()
        .unwrap();
    sandbox.site.report_leak(id(&first), "github").unwrap();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (query, expected) in [
        (format!("filter[owned_by]={nobody}"), vec![]),
        (
            format!("filter[owned_by]={nobody}&filter[owned_by]={owner}"),
            vec!["first", "second"],
        ),
        ("filter[leaked]=true".to_owned(), vec!["first"]),
        ("filter[leaked]=false".to_owned(), vec!["first", "second"]),
        ("sort=leaked".to_owned(), vec!["second", "first"]),
        ("sort=-name&filter=s".to_owned(), vec!["second", "first"]),
    ] {
        let path = format!("/api/v2/personal_access_tokens?{query}");
        assert_eq!(sandbox.names(&path).await, expected, "{query}");
    }
    let path = "/api/v2/personal_access_tokens?include=leak_information&filter=first";
    let document = sandbox.http.get(path).await.json();
    let leak = &document["data"][0]["relationships"]["leak_information"]["data"];
    assert_eq!(document["included"][0]["id"], leak["id"]);
    assert_eq!(
        document["included"][0]["attributes"]["leak_source"],
        "github"
    );
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_refused() {
    let sandbox = Sandbox::start_with(Options::default()).await;
    for path in [
        "api_keys?page[size]=101",
        "api_keys?page[size]=0",
        "api_keys?page[size]=ten",
        "api_keys?page[number]=-1",
        "api_keys?sort=key",
        "api_keys?sort=--name",
        "api_keys?include=owned_by",
        "api_keys?filter[created_at][start]=yesterday",
        "api_keys?filter[modified_at][end]=2020-13-01",
        "api_keys?filter[remote_config_read_enabled]=yes",
        "application_keys?include=created_by",
        "application_keys?sort=modified_at",
        "current_user/application_keys?page[size]=1000",
        "personal_access_tokens?sort=last4",
        "personal_access_tokens?filter[leaked]=1",
    ] {
        let answer = sandbox.http.get(&format!("/api/v2/{path}")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1);
    }
}
