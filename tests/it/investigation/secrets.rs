//! A leaked secret is found, under every key that fingerprints were ever made with.

use super::{Folder, record};
use crate::support::{
    gateway::records_about,
    program::{run, told},
    serve::Gateway,
    served::{MAIN, SANDBOX_POLICY, Served, target},
};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

async fn leave(folder: &Folder, call: &str, secret: &str) {
    let trail = folder.open();
    let mut record = record(&trail, call);
    record.fingerprints = vec![trail.fingerprint(secret)];
    trail.append(record).await.unwrap();
    trail.close().await.unwrap();
}

#[tokio::test]
async fn records_are_found_under_every_fingerprint_key_that_there_was() {
    let folder = Folder::new();
    leave(&folder, "first", SECRET).await;
    leave(&folder, "other", "another secret").await;
    for version in 2..=4 {
        let output = folder.audit(&["rotate-fingerprint-key"]);
        let (said, errors) = told(&output);
        assert!(output.status.success(), "{errors}");
        assert!(said.contains(&format!("version {version}")), "{said}");
        leave(&folder, &format!("version-{version}"), SECRET).await;
    }
    let find = |input: &str| {
        let args = ["list", "--json", "--oldest", "--secret", "-"];
        super::calls(&folder.audit_with(&args, input.as_bytes()))
    };
    let all = ["first", "version-2", "version-3", "version-4"];
    for input in [
        SECRET.to_owned(),
        format!("  {SECRET}\r\n"),
        format!("Authorization: Bearer {SECRET}\n"),
        format!("export DD_API_KEY='{SECRET}'\n"),
        format!("{{\"data\":{{\"attributes\":{{\"key\":\"{SECRET}\"}}}}}}"),
    ] {
        assert_eq!(find(&input), all, "{input:?}");
    }
    assert_eq!(find("another secret\n"), ["other"]);
    assert_eq!(find("no such secret"), [""; 0]);
    let (_, errors) = told(&folder.audit_with(&["list", "--secret", "-"], b"no such"));
    assert!(
        errors.contains("no record holds a fingerprint of that secret"),
        "{errors}"
    );
    assert!(!errors.contains("no such"), "{errors}");

    // the versions are told apart, and when they were made is in the trail
    let stored = folder.all();
    let versions: Vec<_> = stored
        .iter()
        .filter_map(|it| it.record.fingerprints.first())
        .map(|it| it.to_string()[..2].to_owned())
        .collect();
    assert_eq!(versions, ["v1", "v1", "v2", "v3", "v4"]);
    let rotated = stored.iter().filter(|it| it.record.result() == "rotated");
    let rotated: Vec<_> = rotated.map(|it| it.record.fingerprint_key).collect();
    assert_eq!(rotated, [Some(2), Some(3), Some(4)]);
    let (verified, errors) = told(&folder.audit(&["list", "--kind", "rotated"]));
    assert_eq!(verified.lines().count(), 3, "{errors}");
}

#[tokio::test]
async fn a_key_that_has_no_id_stays_its_makers_own_under_a_new_fingerprint_key() {
    const GET: &str = "keygate.datadog.v1.ApiKeyService/GetApiKey";
    let mut served = Served::with_policy(SANDBOX_POLICY).await;
    let operator = served.token("operator", &["operator"]);
    let key = target(&served.client(), GET, &operator, MAIN).await;
    served.gateway.process.terminate();
    let config = served.setup.config();
    let config = config.to_str().unwrap();
    let rotate = ["audit", "rotate-fingerprint-key", "--config", config];
    let output = run(rotate);
    assert!(output.status.success(), "{}", told(&output).1);
    served.gateway = Gateway::start(&served.setup.config()).await;
    let client = served.client();
    let request = client.request_at(GET, &key, MAIN);
    let found = client.call(GET, Some(&operator), &request).await.ok();
    assert!(found.has_field_by_name("api_key"));
    // whoever has the leaked key finds its making and its reading
    let said = records_about(&served.setup.config(), &key);
    let rpcs: Vec<_> = said.iter().map(|it| it["rpc"].as_str().unwrap()).collect();
    assert!(rpcs.contains(&GET), "{rpcs:?}");
    let made = rpcs.iter().any(|it| it.ends_with("/CreateApiKey"));
    assert!(made, "{rpcs:?}");
}
