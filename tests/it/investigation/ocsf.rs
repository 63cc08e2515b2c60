//! Events are what the Open Cybersecurity Schema Framework says that they are: held
//! against its schemas, of every version that there is.

use serde_json::Value as Json;

use crate::support::{
    program::{run, told},
    python,
    served::{MAIN, SANDBOX_POLICY, Served, target},
};

#[tokio::test]
async fn events_of_everything_that_happens_keep_to_the_schema() {
    let mut served = Served::with_policy(SANDBOX_POLICY).await;
    let client = served.client();
    let tokens = [
        Some(served.token("admin", &["admin"])),
        Some(served.token("nobody", &[])),
        None,
    ];
    for method in crate::support::gateway::methods() {
        for token in &tokens {
            let key = target(&client, &method, tokens[0].as_ref().unwrap(), MAIN).await;
            let request = client.request_at(&method, &key, MAIN);
            client.call(&method, token.as_deref(), &request).await;
        }
    }
    served.gateway.process.terminate();
    let (config, folder) = (served.setup.config(), served.setup.folder.path());
    let config = config.to_str().unwrap();
    // upkeep leaves records too
    let audit = |args: &[&str]| {
        let output = run([&["audit"], args, &["--config", config]].concat());
        assert!(output.status.success(), "{}", told(&output).1);
        output.stdout
    };
    audit(&["rotate-fingerprint-key"]);
    let events = audit(&["export", "--format", "ocsf"]);
    let path = folder.join("events.jsonl");
    std::fs::write(&path, &events).unwrap();

    let output = python::script("ocsf_validate.py")
        .arg(&path)
        .output()
        .unwrap();
    let (said, errors) = told(&output);
    assert!(output.status.success(), "{said}{errors}");
    let versions: Vec<_> = said.lines().collect();
    assert!(versions.len() >= 5, "{said}");

    let events = String::from_utf8(events).unwrap();
    let events = events
        .lines()
        .map(|it| serde_json::from_str::<Json>(it).unwrap());
    let events: Vec<_> = events.collect();
    let records = served.records();
    assert_eq!(events.len(), records.len());
    for (at, (event, record)) in events.iter().zip(&records).enumerate() {
        assert_eq!(event["metadata"]["uid"], record["id"]);
        assert_eq!(event["metadata"]["sequence"], at);
        assert_eq!(event["unmapped"]["record"], *record, "nothing is lost");
        let activity = match record["effect"].as_str() {
            Some("create") => 1,
            Some("read" | "reveal") => 2,
            Some("update") => 3,
            Some("delete") => 4,
            _ => 99,
        };
        assert_eq!(event["activity_id"], activity, "{record}");
        let failed = ["refused", "denied"].contains(&record["kind"].as_str().unwrap());
        assert!(!failed || event["status_id"] == 2, "{event}");
    }
    for status in [1, 2, 99] {
        assert!(
            events.iter().any(|it| it["status_id"] == status),
            "{status}"
        );
    }
}
