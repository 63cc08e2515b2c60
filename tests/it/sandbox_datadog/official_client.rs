//! The vendor's own Python client.

use keygate::{clock::Clock, sandbox::datadog::Options};
use secrecy::ExposeSecret as _;

use super::Sandbox;
use crate::support::{clock, packages::is_ok, python};

#[tokio::test(flavor = "multi_thread")]
async fn completes_every_operation() {
    run("datadog_official.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completes_every_operation_of_v1() {
    run("datadog_official_v1.py").await;
}

/// Runs a script against a site of its own.
async fn run(script: &str) {
    // The script looks at the time of day.
    let (_, hand) = clock::manual();
    let sandbox = Sandbox::start_at(Options::default(), Clock::system(), hand).await;
    is_ok(|| {
        python::script(script)
            .arg(sandbox.site.base_url())
            .arg(sandbox.site.service_account_id())
            .env("DD_API_KEY", sandbox.site.api_key().expose_secret())
            .env("DD_APP_KEY", sandbox.site.app_key().expose_secret())
            .env_remove("DD_SITE")
            .output()
    });
    let state = sandbox.site.state();
    let refused = state["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|request| {
            let status = request["status"].as_u64().unwrap();
            !(200..500).contains(&status)
        });
    assert_eq!(refused.count(), 0);
}
