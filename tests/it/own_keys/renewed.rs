//! The gateway's own keys change while it runs.

use prost_reflect::Value;

use super::{Caller, assert_denied, ids_of, places};
use crate::support::{
    gateway::PATIENCE,
    serve::Setup,
    served::{MAIN, SANDBOX_POLICY, Served, resource, text},
    upstreams::Upstreams,
    vendors::DATADOG,
};

const SERVICE: &str = "keygate.datadog.v2.ApiKeyService";

#[tokio::test(flavor = "multi_thread")]
async fn with_other_credentials_other_keys_are_out_of_reach_and_no_call_is_lost() {
    let served = super::serve().await;
    let admin = Caller::admin(&served);
    let [create, get, update, delete] =
        ["Create", "Get", "Update", "Delete"].map(|verb| format!("{SERVICE}/{verb}ApiKey"));
    let site = served.site();
    let old = ids_of(&DATADOG, &site.state(), &site.masters()[..1]);
    let other = resource(admin.call(&create, "").await);
    let new = resource(admin.call(&create, "").await);
    let new_id = text(&new, "id");
    admin.call(&get, &new_id).await.ok();
    assert_denied(&admin.call(&delete, &old[0]).await, "the first");

    served
        .upstreams
        .renew("datadog/us1/main", "api_key", &text(&new, "key"));
    let changed = async {
        loop {
            // changes of other keys go on all the while
            let answer = admin.call(&update, &text(&other, "id")).await;
            assert_eq!(answer.code(), "OK", "{}", answer.reason());
            if admin.call(&get, &new_id).await.code() != "OK" {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, changed).await.unwrap();
    assert_denied(&admin.call(&delete, &new_id).await, "the second");
    // the first is a key like any other now
    admin.call(&delete, &old[0]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_at_an_upstream_that_comes_later_are_found_too() {
    let upstreams = Upstreams::start(places()).await;
    let setup = Setup::new("", "").await;
    setup.write("policy.toml", SANDBOX_POLICY);
    let served = Served {
        gateway: setup.serve().await,
        setup,
        upstreams,
    };
    let admin = Caller::admin(&served);
    let before = std::fs::read_to_string(served.setup.config()).unwrap();
    let config = format!("{before}\n{}", served.upstreams.config);
    served.setup.write("keygate.toml", &config);
    let site = served.site();
    let own = ids_of(&DATADOG, &site.state(), &site.masters());
    let get = format!("{SERVICE}/UpdateApiKey");
    let there = async {
        let mut request = admin.client.request_at(&get, &own[0], MAIN);
        request.set_field_by_name("name", Value::String("taken".to_owned()));
        loop {
            let answer = admin.send(&get, &request).await;
            if answer.reason() != "UPSTREAM_NOT_CONFIGURED" {
                return answer;
            }
        }
    };
    // the first call that gets there waits until it is known
    let answer = tokio::time::timeout(PATIENCE, there).await.unwrap();
    assert_denied(&answer, "the first call");
}
