//! `keygate sandbox`: what it starts, and what it tells of it.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _};

use http::StatusCode;
use serde_json::Value as Json;

use crate::support::{
    gateway::Sandbox,
    http::Http,
    program::{run, told},
};

const SITES: [&str; 9] = [
    "us1", "us3", "us5", "eu", "ap1", "ap2", "uk1", "us1-fed", "us2-fed",
];
const REGIONS: [&str; 5] = ["us", "ca", "eu", "au", "hipaa"];

/// The names of all simulated vendors.
fn vendors() -> BTreeSet<String> {
    let sites = SITES.map(|it| format!("datadog/{it}"));
    let regions = REGIONS.map(|it| format!("coveo/{it}"));
    let braintrust = ["braintrust/default".to_owned()];
    sites.into_iter().chain(regions).chain(braintrust).collect()
}

fn names(table: &Json) -> BTreeSet<String> {
    table.as_object().unwrap().keys().cloned().collect()
}

/// The status with which a vendor answers a list with these masters.
async fn status(sandbox: &Sandbox, vendor: &str, masters: &Json) -> StatusCode {
    let text = |name: &str| masters[name].as_str().unwrap_or_default().to_owned();
    let bearer = || vec![("authorization", format!("Bearer {}", text("token")))];
    let (path, headers) = match vendor.split('/').next().unwrap() {
        "datadog" => (
            "/api/v2/api_keys".to_owned(),
            vec![
                ("dd-api-key", text("api_key")),
                ("dd-application-key", text("app_key")),
            ],
        ),
        "braintrust" => ("/v1/api_key".to_owned(), bearer()),
        "coveo" => (
            format!("/rest/organizations/{}/apikeys", text("organization_id")),
            bearer(),
        ),
        _ => panic!("{vendor}"),
    };
    let http = Http::new(sandbox.upstream(vendor), headers);
    http.get(&path).await.status
}

#[tokio::test]
async fn every_vendor_runs_with_masters_of_its_own() {
    let sandbox = Sandbox::start();
    let summary = sandbox.summary();
    assert_eq!(names(&summary["upstreams"]), vendors());
    assert_eq!(names(&summary["masters"]), vendors());
    let having_accounts = vendors().into_iter().filter(|it| !it.starts_with("coveo/"));
    assert_eq!(
        names(&summary["service_accounts"]),
        having_accounts.collect()
    );
    let masters = summary["masters"].as_object().unwrap();
    for (vendor, own) in masters {
        assert_eq!(status(&sandbox, vendor, own).await, 200, "{vendor}");
        let provider = vendor.split('/').next().unwrap();
        let like = masters
            .iter()
            .find(|(it, _)| it.starts_with(provider) && *it != vendor);
        if let Some((_, foreign)) = like {
            let status = status(&sandbox, vendor, foreign).await;
            assert!(status.is_client_error(), "{vendor}: {status}");
        }
    }
    let ids: BTreeSet<_> = REGIONS
        .map(|it| &masters[&format!("coveo/{it}")]["organization_id"])
        .map(|it| it.as_str().unwrap())
        .into();
    assert_eq!(ids.len(), REGIONS.len(), "organizations share an id");
}

#[test]
fn its_configuration_is_one_like_any_other() {
    let sandbox = Sandbox::start();
    let output = run(["check", "--config", sandbox.config().to_str().unwrap()]);
    let (said, errors) = told(&output);
    assert!(output.status.success(), "{errors}");
    assert!(said.contains(" 15 upstreams"), "{said}");

    // what it holds in secret is its owner's alone, and stands in files only
    let config = fs::read_to_string(sandbox.config()).unwrap();
    let folder = sandbox.data_dir().join("secrets");
    let mut secrets = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        let secret = fs::read_to_string(&path).unwrap();
        assert!(!config.contains(&secret), "{}", path.display());
        secrets += 1;
    }
    let told = sandbox.summary()["masters"].as_object().unwrap().values();
    let told = told.flat_map(names).filter(|it| it != "organization_id");
    // and the key that signs the trail, which nobody is told
    assert_eq!(secrets, told.count() + 1);
}
