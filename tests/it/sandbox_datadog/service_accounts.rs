//! Keys and tokens of service accounts.

use serde_json::{Value, json};

use super::{Sandbox, client, id};
use crate::support::http::Answer;

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// The path of a service account's application keys.
fn keys(account: &str) -> String {
    format!("/api/v2/service_accounts/{account}/application_keys")
}

/// The path of a service account's access tokens.
fn tokens(account: &str) -> String {
    format!("/api/v2/service_accounts/{account}/access_tokens")
}

fn body(kind: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "attributes": attributes } })
}

fn change(kind: &str, id: &str, attributes: Value) -> Value {
    json!({ "data": { "type": kind, "id": id, "attributes": attributes } })
}

fn data(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.json()["data"].take()
}

async fn key(sandbox: &Sandbox, account: &str, attributes: Value) -> Value {
    let body = body("application_keys", attributes);
    data(&sandbox.http.post(&keys(account), &body).await, 201)
}

async fn token(sandbox: &Sandbox, account: &str, attributes: Value) -> Value {
    let body = body("service_access_tokens", attributes);
    data(&sandbox.http.post(&tokens(account), &body).await, 201)
}

#[tokio::test]
async fn a_site_has_one_and_more_can_be_added() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.site.service_account_id().to_owned();
    let second = sandbox.site.add_service_account("deployer");
    let state = sandbox.site.state();
    let users = state["users"].as_array().unwrap().iter();
    let accounts: Vec<_> = users
        .filter(|it| it["service_account"] == true)
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(accounts, [&first, &second]);
    key(&sandbox, &first, json!({ "name": "first's" })).await;
    key(&sandbox, &second, json!({ "name": "second's" })).await;
    assert_eq!(sandbox.names(&keys(&first)).await, ["first's"]);
    assert_eq!(sandbox.names(&keys(&second)).await, ["second's"]);
}

#[tokio::test]
async fn an_application_key_shows_its_value_when_it_is_made_and_never_again() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.site.service_account_id();
    let made = key(&sandbox, account, json!({ "name": "a" })).await;
    let value = made["attributes"]["key"].as_str().unwrap();
    assert_eq!(value.len(), 40);
    assert_eq!(made["attributes"]["scopes"], Value::Null);
    let owner = json!({ "data": { "type": "users", "id": account } });
    assert_eq!(made["relationships"]["owned_by"], owner);

    let path = format!("{}/{}", keys(account), id(&made));
    let new = change(
        "application_keys",
        id(&made),
        json!({ "name": "b", "scopes": ["x"] }),
    );
    let updated = data(&sandbox.http.patch(&path, &new).await, 200);
    let read = data(&sandbox.http.get(&path).await, 200);
    let listed = data(&sandbox.http.get(&keys(account)).await, 200)[0].take();
    for seen in [updated, read, listed] {
        assert_eq!(seen["attributes"]["name"], "b");
        assert_eq!(seen["attributes"]["scopes"], json!(["x"]));
        assert_eq!(seen["attributes"].get("key"), None);
        assert_eq!(
            seen["relationships"],
            json!({ "leak_information": { "data": null } })
        );
    }
    // The routes of the organization reach it, those of the current user don't.
    let of_all = format!("/api/v2/application_keys/{}", id(&made));
    let seen = sandbox
        .http
        .get(&format!("{of_all}?include=owned_by"))
        .await
        .json();
    assert_eq!(seen["data"]["relationships"]["owned_by"], owner);
    assert_eq!(seen["included"].as_array().unwrap().len(), 1);
    assert_eq!(seen["included"][0]["attributes"]["service_account"], true);
    assert_eq!(
        seen["included"][0]["relationships"]["roles"],
        json!({ "data": [] })
    );
    let own = format!("/api/v2/current_user/application_keys/{}", id(&made));
    assert_eq!(sandbox.http.get(&own).await.status, 404);
    // It opens the site, as the service account.
    let as_account = client(&sandbox.site, value);
    let unscoped = key(&sandbox, account, json!({ "name": "c" })).await;
    assert_eq!(as_account.get("/api/v2/api_keys").await.status, 403);
    let as_account = client(
        &sandbox.site,
        unscoped["attributes"]["key"].as_str().unwrap(),
    );
    let own = as_account
        .get("/api/v2/current_user/application_keys")
        .await;
    assert_eq!(data(&own, 200).as_array().unwrap().len(), 2);

    assert_eq!(sandbox.http.delete(&path).await.status, 204);
    let again = sandbox.http.delete(&path).await;
    assert_eq!(again.status, 404);
    assert_eq!(
        again.json(),
        json!({ "errors": ["Application key not found"] })
    );
}

#[tokio::test]
async fn a_token_may_have_no_end() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.site.service_account_id();
    let endless = json!({ "name": "endless", "scopes": ["dashboards_read"] });
    let endless = token(&sandbox, account, endless).await;
    assert_eq!(endless["attributes"]["expires_at"], Value::Null);
    let ends = "2099-04-08T16:45:23.208Z";
    let ending = json!({ "name": "ending", "scopes": ["dashboards_read"], "expires_at": ends });
    let ending = token(&sandbox, account, ending).await;
    assert_eq!(ending["attributes"]["expires_at"], ends);
    for (sort, expected) in [
        ("expires_at", ["ending", "endless"]),
        ("-expires_at", ["endless", "ending"]),
    ] {
        let path = format!("{}?sort={sort}", tokens(account));
        assert_eq!(sandbox.names(&path).await, expected, "{sort}");
    }
    let soon = json!({ "name": "a", "scopes": ["x"], "expires_at": "1970-01-01T00:00:00Z" });
    for attributes in [
        soon,
        json!({ "name": "a" }),
        json!({ "name": "a", "scopes": [] }),
    ] {
        let body = body("service_access_tokens", attributes);
        let answer = sandbox.http.post(&tokens(account), &body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let personal = body(
        "personal_access_tokens",
        json!({ "name": "a", "scopes": ["x"] }),
    );
    let answer = sandbox.http.post(&tokens(account), &personal).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn the_list_of_personal_tokens_has_those_of_service_accounts_too() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.site.service_account_id();
    let personal = sandbox.token("personal").await;
    let service = json!({ "name": "service", "scopes": ["dashboards_read"] });
    let service = token(&sandbox, account, service).await;
    let value = service["attributes"]["key"].as_str().unwrap();
    assert!(value.starts_with("ddsat_"));
    let owner = json!({ "data": { "type": "service_account", "id": account } });
    assert_eq!(service["relationships"]["owned_by"], owner);

    let mixed = "/api/v2/personal_access_tokens";
    let listed = data(&sandbox.http.get(mixed).await, 200);
    let told = |at: usize| {
        let owner = &listed[at]["relationships"]["owned_by"]["data"];
        (listed[at]["type"].clone(), owner["type"].clone())
    };
    assert_eq!(told(0), (json!("personal_access_tokens"), json!("users")));
    assert_eq!(
        told(1),
        (json!("service_access_tokens"), json!("service_account"))
    );
    let of_account = format!("{mixed}?filter[owned_by]={account}");
    assert_eq!(sandbox.names(&of_account).await, ["service"]);
    assert_eq!(sandbox.names(&tokens(account)).await, ["service"]);

    // One of either kind is not there among the others.
    for path in [
        format!("{mixed}/{}", id(&service)),
        format!("{}/{}", tokens(account), id(&personal)),
    ] {
        assert_eq!(sandbox.http.get(&path).await.status, 404, "{path}");
        assert_eq!(sandbox.http.delete(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_token_is_read_changed_and_revoked() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.site.service_account_id();
    let made = json!({ "name": "a", "scopes": ["dashboards_read"] });
    let made = token(&sandbox, account, made).await;
    sandbox.site.report_leak(id(&made), "github").unwrap();
    let path = format!("{}/{}", tokens(account), id(&made));
    let answer = sandbox
        .http
        .get(&format!("{path}?include=leak_information"))
        .await;
    assert_eq!(answer.header("content-type"), "application/vnd.api+json");
    let read = answer.json();
    assert_eq!(read["data"]["attributes"].get("key"), None);
    assert_eq!(read["data"]["attributes"]["modified_at"], Value::Null);
    assert_eq!(read["included"][0]["attributes"]["leak_source"], "github");

    let new = change("service_access_tokens", id(&made), json!({ "name": "b" }));
    let updated = data(&sandbox.http.patch(&path, &new).await, 200);
    assert_eq!(updated["attributes"]["name"], "b");
    assert_eq!(updated["attributes"]["scopes"], json!(["dashboards_read"]));
    assert!(updated["attributes"]["modified_at"].is_string());

    for _ in 0..2 {
        assert_eq!(sandbox.http.delete(&path).await.status, 204);
    }
    assert_eq!(sandbox.http.get(&path).await.status, 404);
    assert_eq!(sandbox.http.patch(&path, &new).await.status, 404);
    assert!(sandbox.names(&tokens(account)).await.is_empty());
}

#[tokio::test]
async fn only_the_account_itself_reaches_what_it_has() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.site.service_account_id();
    let other = sandbox.site.add_service_account("other");
    let state = sandbox.site.state();
    let user = state["users"][0]["id"].as_str().unwrap();
    let key = key(&sandbox, account, json!({ "name": "a" })).await;
    let token = json!({ "name": "a", "scopes": ["dashboards_read"] });
    let token = self::token(&sandbox, account, token).await;
    for (kind, path, made) in [
        ("application_keys", keys as fn(&str) -> String, id(&key)),
        ("service_access_tokens", tokens, id(&token)),
    ] {
        let new = change(kind, made, json!({ "name": "b" }));
        let item = format!("{}/{made}", path(&other));
        assert!(sandbox.names(&path(&other)).await.is_empty());
        assert_eq!(sandbox.http.get(&item).await.status, 404, "{item}");
        assert_eq!(sandbox.http.patch(&item, &new).await.status, 404, "{item}");
        assert_eq!(sandbox.http.delete(&item).await.status, 404, "{item}");
        // A user who is a person is no service account.
        for account in [NOBODY, user, "invalidId"] {
            let missing = json!({ "errors": ["Service account not found"] });
            let item = format!("{}/{made}", path(account));
            let body = body(kind, json!({ "name": "a", "scopes": ["x"] }));
            for answer in [
                sandbox.http.get(&path(account)).await,
                sandbox.http.post(&path(account), &body).await,
                sandbox.http.get(&item).await,
                sandbox.http.patch(&item, &new).await,
                sandbox.http.delete(&item).await,
            ] {
                assert_eq!(answer.status, 404, "{account}");
                assert_eq!(answer.json(), missing);
            }
        }
    }
    assert_eq!(sandbox.names(&keys(account)).await, ["a"]);
    assert_eq!(sandbox.names(&tokens(account)).await, ["a"]);
}

#[tokio::test]
async fn it_takes_a_scope_of_its_own() {
    let sandbox = Sandbox::start().await;
    let account = sandbox.site.service_account_id();
    let scoped = async |scope: &str| {
        let key = sandbox.application_key(json!({ "name": scope, "scopes": [scope] }));
        let key = key.await;
        client(&sandbox.site, key["attributes"]["key"].as_str().unwrap())
    };
    let may = scoped("service_account_write").await;
    let may_not = scoped("org_app_keys_write").await;
    for path in [keys(account), tokens(account)] {
        assert_eq!(may.get(&path).await.status, 200);
        assert_eq!(may_not.get(&path).await.status, 403);
        let nowhere = path.replace(account, NOBODY);
        assert_eq!(may.get(&nowhere).await.status, 404);
        assert_eq!(
            may_not.get(&nowhere).await.status,
            403,
            "it tells nothing of what is there"
        );
    }
    let personal = may.get("/api/v2/personal_access_tokens").await;
    assert_eq!(personal.status, 403);
}
