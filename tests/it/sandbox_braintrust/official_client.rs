//! The vendor's own Python client.

use keygate::{clock::Clock, sandbox::braintrust::Options};
use secrecy::ExposeSecret as _;
use tokio::process::Command;

use super::Sandbox;
use crate::support::{clock, python};

#[tokio::test(flavor = "multi_thread")]
async fn completes_every_operation() {
    let python = tokio::task::spawn_blocking(python::python).await.unwrap();
    // Self-hosted data planes can be anywhere.
    for path in ["", "/braintrust/api"] {
        let options = Options {
            path: path.to_owned(),
            ..Options::default()
        };
        // The script looks at the time of day.
        let (_, hand) = clock::manual();
        let sandbox = Sandbox::start_at(options, Clock::system(), hand).await;
        let output = Command::new(&python)
            .arg(python::scripts().join("braintrust_official.py"))
            .arg(sandbox.instance.base_url())
            .arg(sandbox.instance.service_account_id())
            .env(
                "BRAINTRUST_API_KEY",
                sandbox.instance.token().expose_secret(),
            )
            .env_remove("BRAINTRUST_BASE_URL")
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success() && output.stdout == b"ok\n",
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}
