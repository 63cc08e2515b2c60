//! What a key may do is held against the ceilings of the policy.

use keygate::contract::proto::keygate::coveo::v1::{
    CreateApiKeyRequest, DuplicateApiKeyRequest, Privilege, Privileges, UpdateApiKeyRequest,
};
use serde_json::json;

use super::Bench;

const POLICY: &str = r#"
[roles.limited]
permissions = ["*"]
keys = "any"
max_scopes = ["SEARCH_API:EXECUTE_QUERY:*:*", "PLATFORM:*:VIEW:*", "PLATFORM:SOURCE:EDIT:mine-*"]

[roles.unscoped]
permissions = ["*"]
keys = "any"
allow_unscoped = true

[[grants]]
role = "limited"
claim = "limited"

[[grants]]
role = "unscoped"
claim = "unscoped"
"#;

/// Privileges, each `owner targetDomain type targetId level`; `-` is absent.
fn privileges(all: &[&str]) -> Privileges {
    let one = |text: &&str| {
        let part = |at: usize| {
            let part = text.split(' ').nth(at).filter(|it| *it != "-");
            part.map(str::to_owned)
        };
        Privilege {
            owner: part(0),
            target_domain: part(1),
            r#type: part(2),
            target_id: part(3),
            level: part(4),
        }
    };
    Privileges {
        values: all.iter().map(one).collect(),
    }
}

fn create(all: &[&str]) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        display_name: Some("a".to_owned()),
        privileges: Some(privileges(all)),
        ..CreateApiKeyRequest::default()
    }
}

fn update(id: &str, all: &[&str]) -> UpdateApiKeyRequest {
    UpdateApiKeyRequest {
        api_key_id: id.to_owned(),
        privileges: Some(privileges(all)),
        ..UpdateApiKeyRequest::default()
    }
}

fn duplicate(id: &str) -> DuplicateApiKeyRequest {
    DuplicateApiKeyRequest {
        api_key_id: id.to_owned(),
        ..DuplicateApiKeyRequest::default()
    }
}

const WITHIN: &[&[&str]] = &[
    &[],
    &["SEARCH_API EXECUTE_QUERY"],
    &["SEARCH_API EXECUTE_QUERY - *"],
    &["PLATFORM SOURCE VIEW *", "PLATFORM FIELD VIEW"],
    &["PLATFORM SOURCE EDIT mine-1"],
];

const BEYOND: &[&[&str]] = &[
    &["PLATFORM SOURCE EDIT *"],
    &["PLATFORM SOURCE EDIT"],
    &["PLATFORM SOURCE EDIT theirs"],
    &["PLATFORM SOURCE"],
    &["SEARCH_API EXECUTE_QUERY", "SEARCH_API IMPERSONATE"],
    // a level is more than its type says
    &["PLATFORM SOURCE VIEW * EDIT_ALL"],
    &["PLATFORM SOURCE VIEW - EDIT_ALL"],
    // what looks like another part is none
    &["PLATFORM SOURCE EDIT x:VIEW:y"],
    &["PLATFORM SOURCE:VIEW EDIT *"],
    &["platform source view *"],
];

#[tokio::test(flavor = "multi_thread")]
async fn privileges_stay_within_the_ceiling() {
    let bench = Bench::start(POLICY).await;
    let limited = bench.caller("limited", "limited");
    let key = limited.create("key").await.id;
    for within in WITHIN {
        let made = limited.ask(create(within)).await.api_key.unwrap();
        assert_eq!(made.privileges, Some(privileges(within)));
        limited.ask(update(&key, within)).await;
        let held = limited.get(&key).await;
        assert_eq!(held.privileges, Some(privileges(within)));
        let copy = limited.ask(duplicate(&made.id)).await.api_key.unwrap();
        assert_eq!(copy.privileges, Some(privileges(within)));
    }
    let before = bench.held(&key);
    let (http, path) = bench.upstream();
    for beyond in BEYOND {
        let ((), asked) = bench.asked(limited.denied(create(beyond))).await;
        assert!(asked.is_empty(), "{asked:?}");
        let ((), asked) = bench.asked(limited.denied(update(&key, beyond))).await;
        assert!(
            asked.iter().all(|it| it == "GET /{api_key_id}"),
            "{asked:?}"
        );
        assert_eq!(bench.held(&key), before, "{beyond:?}");

        // whoever made the source
        let body: Vec<_> = privileges(beyond)
            .values
            .into_iter()
            .map(|it| {
                json!({ "owner": it.owner, "targetDomain": it.target_domain, "type": it.r#type,
                    "targetId": it.target_id, "level": it.level })
            })
            .collect();
        let body = json!({ "displayName": "source", "privileges": body });
        let source = http.post(&path, &body).await.json();
        let id = source["id"].as_str().unwrap();
        let ((), asked) = bench.asked(limited.denied(duplicate(id))).await;
        assert_eq!(asked, ["GET /{api_key_id}"], "{beyond:?}");
        // what does not touch its privileges is another matter
        let rename = UpdateApiKeyRequest {
            api_key_id: id.to_owned(),
            display_name: Some("renamed".to_owned()),
            ..UpdateApiKeyRequest::default()
        };
        limited.ask(rename).await;
        assert_eq!(bench.held(id)["privileges"], body["privileges"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_template_allows_can_t_be_seen() {
    let bench = Bench::start(POLICY).await;
    let limited = bench.caller("limited", "limited");
    let unscoped = bench.caller("unscoped", "unscoped");
    let template = |display_name: Option<&str>| CreateApiKeyRequest {
        display_name: display_name.map(str::to_owned),
        api_key_template_id: Some("anonymous-search".to_owned()),
        ..CreateApiKeyRequest::default()
    };
    limited.denied(template(Some("a"))).await;
    let asked = CreateApiKeyRequest {
        privileges: Some(privileges(&["SEARCH_API EXECUTE_QUERY"])),
        ..template(Some("a"))
    };
    limited.denied(asked).await;
    let made = unscoped.ask(template(None)).await.api_key.unwrap();
    assert_eq!(made.display_name.as_deref(), Some("Anonymous search"));
    assert_eq!(
        made.api_key_template_id.as_deref(),
        Some("anonymous-search")
    );
    limited.denied(duplicate(&made.id)).await;
    unscoped.ask(duplicate(&made.id)).await;

    // and to be free of scopes is no ceiling for them
    unscoped.denied(create(&["SEARCH_API EXECUTE_QUERY"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_privilege_names_its_owner_and_its_domain() {
    let bench = Bench::start(POLICY).await;
    let limited = bench.caller("limited", "limited");
    let key = limited.create("key").await.id;
    for wrong in ["PLATFORM", "- SOURCE VIEW *", "-"] {
        for answer in [
            limited.call(create(&[wrong])).await,
            limited.call(update(&key, &[wrong])).await,
        ] {
            assert_eq!(answer.reason(), "INVALID_REQUEST", "{wrong}");
            let details = answer.details().unwrap();
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, "privileges");
        }
    }
}
