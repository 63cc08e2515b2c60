//! The vendor's own TypeScript client.

use keygate::{clock::Clock, sandbox::coveo::Options};
use secrecy::ExposeSecret as _;

use super::Sandbox;
use crate::support::{clock, node, packages::is_ok};

#[tokio::test(flavor = "multi_thread")]
async fn completes_every_operation() {
    // The script looks at the time of day.
    let (_, hand) = clock::manual();
    let sandbox = Sandbox::start_at(Options::default(), Clock::system(), hand).await;
    is_ok(|| {
        node::script("coveo_official.mjs")
            .arg(sandbox.organization.base_url())
            .arg(sandbox.organization.organization_id())
            .env("COVEO_TOKEN", sandbox.organization.token().expose_secret())
            .output()
    });
    let state = sandbox.organization.state();
    let routes: std::collections::BTreeSet<_> = state["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|request| (200..300).contains(&request["status"].as_u64().unwrap()))
        .map(|request| {
            let route = request["route"].as_str().unwrap();
            let route = route.strip_prefix("/rest/organizations/{organization_id}/apikeys");
            format!("{} {}", request["method"].as_str().unwrap(), route.unwrap())
        })
        .collect();
    let expected = [
        "DELETE /{api_key_id}",
        "GET ",
        "GET /{api_key_id}",
        "POST ",
        "POST /delete/bulk",
        "PUT /activate/bulk",
        "PUT /disable/bulk",
        "PUT /{api_key_id}",
        "PUT /{api_key_id}/activate",
        "PUT /{api_key_id}/activation/extend",
        "PUT /{api_key_id}/disable",
        "PUT /{api_key_id}/duplicate",
    ];
    assert_eq!(
        routes.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}
