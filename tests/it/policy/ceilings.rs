//! What a key or token may do after a call is held against the ceilings, whether
//! the call gives it or leaves it. Coveo's are tried beside its other tests, those
//! of Datadog's API v1 too.

use serde_json::{Value as Json, json};

use super::{Caller, asked, rule};
use crate::support::served::{Served, resource, text};

const POLICY: &str = r#"
[roles.limited]
permissions = ["*"]
keys = "any"
max_scopes = ["dashboards_*", "monitors_read"]

[roles.scoped]
permissions = ["*"]
keys = "any"
max_scopes = ["*"]

[roles.free]
permissions = ["*"]
keys = "any"
max_scopes = ["*"]
allow_unscoped = true

[roles.none]
permissions = ["*"]
keys = "any"

[[grants]]
role = "limited"
claim = "limited"

[[grants]]
role = "scoped"
claim = "scoped"

[[grants]]
role = "free"
claim = "free"

[[grants]]
role = "none"
claim = "none"
"#;

const WITHIN: &[&[&str]] = &[
    &["dashboards_read", "dashboards_write"],
    &["monitors_read"],
    // a key that may do nothing; tokens have at least one
    &[],
];
const BEYOND: &[&[&str]] = &[
    &["monitors_write"],
    &["dashboards_read", "metrics_read"],
    &["xdashboards_read"],
];

/// A kind of key or token, and how it is made and changed.
struct Kind {
    create: &'static str,
    update: &'static str,
    id: &'static str,
    /// Whether it can be unscoped: then its creation takes a message of scopes.
    is_key: bool,
}

const KINDS: [Kind; 5] = [
    Kind {
        create: "CreateCurrentUserApplicationKey",
        update: "UpdateCurrentUserApplicationKey",
        id: "app_key_id",
        is_key: true,
    },
    Kind {
        create: "CreateCurrentUserApplicationKey",
        update: "v2.ApplicationKeyService/UpdateApplicationKey",
        id: "app_key_id",
        is_key: true,
    },
    Kind {
        create: "CreateServiceAccountApplicationKey",
        update: "UpdateServiceAccountApplicationKey",
        id: "app_key_id",
        is_key: true,
    },
    Kind {
        create: "CreatePersonalAccessToken",
        update: "UpdatePersonalAccessToken",
        id: "token_id",
        is_key: false,
    },
    Kind {
        create: "CreateServiceAccountAccessToken",
        update: "UpdateServiceAccountAccessToken",
        id: "token_id",
        is_key: false,
    },
];

impl Kind {
    /// The fields of a creation with these scopes.
    fn with(&self, scopes: &[&str]) -> Json {
        match self.is_key {
            true => json!({ "scopes": { "values": scopes } }),
            false => json!({ "scopes": scopes }),
        }
    }

    /// The fields of a change; what is null stays as it is.
    fn change(&self, id: &str, name: Option<&str>, scopes: Json) -> Json {
        let mut fields = json!({ "name": name, "scopes": scopes });
        fields[self.id] = id.into();
        fields
    }

    async fn rename(&self, caller: &Caller, id: &str) -> crate::support::gateway::Answer {
        caller
            .call(self.update, self.change(id, Some("renamed"), Json::Null))
            .await
    }
}

fn values(scopes: &[&str]) -> Json {
    json!({ "values": scopes })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_or_given_beyond_the_ceiling() {
    let served = Served::with_policy(POLICY).await;
    let limited = Caller::new(&served, "limited", &["limited"]);
    let none = Caller::new(&served, "none", &["none"]);
    for kind in &KINDS {
        let key = limited.make(kind.create, kind.with(WITHIN[1])).await;
        let none_at_all = |it: &&&[&str]| kind.is_key || !it.is_empty();
        for within in WITHIN.iter().filter(none_at_all) {
            limited.make(kind.create, kind.with(within)).await;
            let change = kind.change(&key, None, values(within));
            limited.call(kind.update, change).await.ok();
        }
        for beyond in BEYOND {
            let denying = async {
                for (rpc, fields) in [
                    (kind.create, kind.with(beyond)),
                    (kind.update, kind.change(&key, None, values(beyond))),
                ] {
                    let denied = limited.call(rpc, fields).await;
                    assert_eq!(rule(&denied), "outside roles.limited.max_scopes", "{rpc}");
                }
                let denied = none.call(kind.create, kind.with(beyond)).await;
                assert_eq!(rule(&denied), "outside roles.none.max_scopes");
            };
            let ((), nothing) = asked(&served, denying).await;
            assert!(nothing.is_empty(), "{nothing:?}");
        }
        if kind.is_key {
            let unscoped = json!({ "unscoped": true });
            for (rpc, fields) in [
                (kind.create, json!({ "scopes": unscoped })),
                // upstream makes an unscoped key where no scopes are given
                (kind.create, json!({ "scopes": null })),
                (kind.update, kind.change(&key, None, unscoped.clone())),
            ] {
                let denied = limited.call(rpc, fields).await;
                assert_eq!(rule(&denied), "outside roles.limited.allow_unscoped");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_keeps_counts_as_what_it_is_given() {
    let served = Served::with_policy(POLICY).await;
    let limited = Caller::new(&served, "limited", &["limited"]);
    let scoped = Caller::new(&served, "scoped", &["scoped"]);
    let free = Caller::new(&served, "free", &["free"]);
    for kind in &KINDS {
        let within = free.make(kind.create, kind.with(WITHIN[0])).await;
        let beyond = free.make(kind.create, kind.with(BEYOND[1])).await;

        // what it keeps has to be looked up, and is not changed
        let (renamed, verbs) = asked(&served, kind.rename(&limited, &within)).await;
        assert_eq!(text(&resource(renamed), "name"), "renamed");
        assert_eq!(verbs, ["GET", "PATCH"], "{}", kind.update);
        let (denied, verbs) = asked(&served, kind.rename(&limited, &beyond)).await;
        assert_eq!(rule(&denied), "outside roles.limited.max_scopes");
        assert_eq!(verbs, ["GET"], "{}", kind.update);

        // what takes from it is another matter, and so is a role without a ceiling
        let less = kind.change(&beyond, Some("less"), values(WITHIN[1]));
        let (_, verbs) = asked(&served, limited.call(kind.update, less)).await;
        assert_eq!(verbs, ["PATCH"], "{}", kind.update);
        kind.rename(&limited, &beyond).await.ok();
        let (renamed, verbs) = asked(&served, kind.rename(&free, &beyond)).await;
        renamed.ok();
        assert_eq!(verbs, ["PATCH"], "{}", kind.update);

        // a ceiling of all scopes is none for a key without any
        if kind.is_key {
            let unscoped = json!({ "scopes": { "unscoped": true } });
            let unscoped = free.make(kind.create, unscoped).await;
            for (caller, role) in [(&limited, "limited"), (&scoped, "scoped")] {
                let denied = kind.rename(caller, &unscoped).await;
                let expected = format!("outside roles.{role}.allow_unscoped");
                assert_eq!(rule(&denied), expected, "{}", kind.update);
            }
            kind.rename(&free, &unscoped).await.ok();
            let scopes = kind.change(&unscoped, None, values(WITHIN[1]));
            limited.call(kind.update, scopes).await.ok();
            kind.rename(&limited, &unscoped).await.ok();
        }
    }
    // each record names what stood in the way
    let denied = served
        .records()
        .into_iter()
        .filter(|it| it["kind"] == "denied");
    for record in denied {
        assert!(
            record["rule"]
                .as_str()
                .unwrap()
                .starts_with("outside roles.")
        );
    }
}
