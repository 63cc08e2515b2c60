//! The vendor's own Python client.

use keygate::{clock::Clock, sandbox::braintrust::Options};
use secrecy::ExposeSecret as _;

use super::Sandbox;
use crate::support::{clock, packages::is_ok, python};

#[tokio::test(flavor = "multi_thread")]
async fn completes_every_operation() {
    // Self-hosted data planes can be anywhere.
    for path in ["", "/braintrust/api"] {
        let options = Options {
            path: path.to_owned(),
            ..Options::default()
        };
        // The script looks at the time of day.
        let (_, hand) = clock::manual();
        let sandbox = Sandbox::start_at(options, Clock::system(), hand).await;
        is_ok(|| {
            python::script("braintrust_official.py")
                .arg(sandbox.instance.base_url())
                .arg(sandbox.instance.service_account_id())
                .env(
                    "BRAINTRUST_API_KEY",
                    sandbox.instance.token().expose_secret(),
                )
                .env_remove("BRAINTRUST_BASE_URL")
                .output()
        });
    }
}
