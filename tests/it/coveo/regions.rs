//! Which region a request means.

use keygate::contract::proto::keygate::coveo::v1::{ListApiKeysRequest, Region};

use super::Caller;
use crate::support::{
    served::{SANDBOX_POLICY, Served},
    upstreams::Place,
    vendors::COVEO,
};

/// A role that reaches one region only.
const NARROW: &str = r#"
[roles.narrow]
permissions = ["coveo_api_keys_read"]
upstreams = ["coveo/eu/*"]
keys = "any"

[[grants]]
role = "narrow"
claim = "narrow"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_in_two_regions_needs_its_region_named() {
    let place = |region, name| Place::new(&COVEO, name).on(region);
    let places = vec![
        place("us", "both"),
        place("eu", "both"),
        place("ca", "alone"),
        place("au", "marked").with("default = true"),
        place("hipaa", "marked"),
    ];
    let served = Served::start(&format!("{SANDBOX_POLICY}{NARROW}"), places, "info").await;
    let caller = |role: &str, organization_id: &str, region| Caller {
        client: served.client(),
        token: served.token(role, &[role]),
        organization_id: organization_id.to_owned(),
        region,
    };
    let (unset, us, eu, ca) = (Region::Unspecified, Region::Us, Region::Eu, Region::Ca);
    for (role, organization, region, reason) in [
        ("admin", "both", unset, "INVALID_REQUEST"),
        ("admin", "both", us, ""),
        ("admin", "both", eu, ""),
        ("admin", "both", ca, "UPSTREAM_NOT_CONFIGURED"),
        ("admin", "alone", unset, ""),
        ("admin", "alone", ca, ""),
        ("admin", "alone", us, "UPSTREAM_NOT_CONFIGURED"),
        ("admin", "marked", unset, ""),
        ("admin", "nobody", unset, "UPSTREAM_NOT_CONFIGURED"),
        ("admin", "nobody", us, "UPSTREAM_NOT_CONFIGURED"),
        ("narrow", "both", unset, "INVALID_REQUEST"),
        ("narrow", "both", eu, ""),
        ("narrow", "both", us, "POLICY_DENIED"),
        // who reaches it nowhere does not learn where it is
        ("narrow", "alone", unset, "POLICY_DENIED"),
        ("narrow", "nobody", unset, "POLICY_DENIED"),
    ] {
        let caller = caller(role, organization, region);
        let answer = caller.call(ListApiKeysRequest::default()).await;
        let what = format!("{role} {organization} {region:?}");
        assert_eq!(answer.reason(), reason, "{what}");
        if reason == "INVALID_REQUEST" {
            let details = answer.details().unwrap();
            let violations = &details.bad_request().unwrap().field_violations;
            assert_eq!(violations.len(), 1);
            assert_eq!(violations[0].field, "region", "{what}");
        }
    }
    // what is made in one is not in the other
    let (here, there) = (caller("admin", "both", us), caller("admin", "both", eu));
    let key = here.create("a").await;
    assert_eq!(here.list().await.len(), 1);
    assert_eq!(there.list().await, []);
    there.refused(super::get(&key.id), "KEY_NOT_FOUND").await;
    let marked = caller("admin", "marked", unset).create("a").await;
    assert_eq!(
        caller("admin", "marked", Region::Au)
            .get(&marked.id)
            .await
            .id,
        marked.id
    );

    let answer = caller("admin", "", unset)
        .call(ListApiKeysRequest::default())
        .await;
    let details = answer.details().unwrap();
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "organization_id");
}
