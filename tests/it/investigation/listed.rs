//! `keygate audit list`: times and names as people write them, and help where they
//! are wrong.

use std::fs;

use keygate::{
    audit::{Caller, Kind, Record, Resource},
    clock::Clock,
};

use super::{DAY, Folder, calls, record};
use crate::support::{
    gateway::contract,
    program::{run, told},
    served::{MAIN, SANDBOX_POLICY, Served},
};

/// A trail with a record of each of some days before now.
async fn over_days(folder: &Folder, days: &[u32]) {
    for it in days {
        let (trail, _) = folder.open_at(Clock::system().now() - *it * DAY);
        let record = record(&trail, &format!("{it}-days-ago"));
        trail.append(record).await.unwrap();
        trail.close().await.unwrap();
    }
}

#[tokio::test]
async fn times_are_understood_as_people_write_them() {
    let folder = Folder::new();
    over_days(&folder, &[400, 40, 8, 3, 1, 0]).await;
    let day = |days: u32| {
        let time = keygate::clock::rfc3339(Clock::system().now() - days * DAY);
        time[..10].to_owned()
    };
    let clock = |days: u32| format!("{} 00:00", day(days));
    for (args, found) in [
        (vec!["--since", "2h"], vec!["0"]),
        (vec!["--since", "2 days ago"], vec!["1", "0"]),
        (vec!["--since", "a week ago"], vec!["3", "1", "0"]),
        (
            vec!["--since", "2w", "--until", "2 days ago"],
            vec!["8", "3"],
        ),
        (vec!["--until", "1 month ago"], vec!["400", "40"]),
        (vec!["--until", "1y"], vec!["400"]),
        (vec!["--since", "yesterday"], vec!["1", "0"]),
        (vec!["--since", &day(3)], vec!["3", "1", "0"]),
        (vec!["--since", &clock(3), "--until", &clock(2)], vec!["3"]),
        (
            vec!["--since", &format!("{}T00:00:00Z", day(1))],
            vec!["1", "0"],
        ),
        (
            vec!["--until", &format!("{}T01:00:00+01:00", day(30))],
            vec!["400", "40"],
        ),
    ] {
        let found: Vec<_> = found.iter().map(|it| format!("{it}-days-ago")).collect();
        assert_eq!(folder.listed(&args), found, "{args:?}");
    }
}

#[tokio::test]
async fn names_are_understood_by_their_ends_and_parts() {
    let folder = Folder::new();
    let trail = folder.open();
    let mut one = record(&trail, "one");
    one.upstream = Some("datadog/eu/main".to_owned());
    let mut other = record(&trail, "other");
    other.rpc = Some("keygate.coveo.v1.ApiKeyService/ListApiKeys".to_owned());
    other.upstream = Some("coveo/us/acme1a2b3c".to_owned());
    other.caller = Some(Caller {
        subject: "system:serviceaccount:payments:api".to_owned(),
        ..Caller::default()
    });
    other.resource = Some(Resource {
        id: Some("payments one".to_owned()),
        ..Resource::default()
    });
    let mut denied = record(&trail, "denied");
    denied.kind = Kind::Denied;
    denied.outcome = None;
    denied.code = Some("PERMISSION_DENIED".to_owned());
    for it in [one, other, denied] {
        trail.append(it).await.unwrap();
    }
    trail.close().await.unwrap();
    for (args, found) in [
        (vec!["--rpc", "deleteapikey"], vec!["one", "denied"]),
        (
            vec!["--rpc", "ApiKeyService"],
            vec!["one", "other", "denied"],
        ),
        (
            vec!["--rpc", "coveo.v1.ApiKeyService/ListApiKeys"],
            vec!["other"],
        ),
        (vec!["--rpc", "Delete*"], vec!["one", "denied"]),
        (vec!["--upstream", "eu"], vec!["one"]),
        (vec!["--upstream", "datadog/us1"], vec!["denied"]),
        (vec!["--upstream", "DataDog"], vec!["one", "denied"]),
        (vec!["--upstream", "acme1a2b3c"], vec!["other"]),
        (
            vec!["--subject", "system:serviceaccount:payments:*"],
            vec!["other"],
        ),
        (vec!["--subject", "alice"], vec!["one", "denied"]),
        (
            vec!["--issuer", "https://issuer.example"],
            vec!["one", "denied"],
        ),
        // an id, though it is a name too; and a name, where it is no id
        (vec!["--resource", "payments one"], vec!["other"]),
        (vec!["--resource", "payments denied"], vec!["denied"]),
        (vec!["--resource", "payments *"], vec!["one", "denied"]),
        (vec!["--resource", "id-of-one"], vec!["one"]),
        (vec!["--resource-type", "api_key"], vec!["one", "denied"]),
        (vec!["--code", "permission-denied"], vec!["denied"]),
        (vec!["--kind", "denied", "--kind", "intent"], vec!["denied"]),
        (vec!["--outcome", "succeeded"], vec!["one", "other"]),
        (vec!["--call", "one"], vec!["one"]),
        (vec!["--request-id", "request-other"], vec!["other"]),
    ] {
        assert_eq!(folder.listed(&args), found, "{args:?}");
    }
}

#[tokio::test]
async fn a_wrong_value_is_told_with_what_was_probably_meant() {
    let folder = Folder::new();
    over_days(&folder, &[0]).await;
    for (args, words) in [
        (vec!["--since", "2 dyas ago"], "2 days ago"),
        (vec!["--until", "soon"], "--until \"soon\": this is no time"),
        (
            vec!["--since", "today", "--until", "yesterday"],
            "nothing lies between",
        ),
        (vec!["--rpc", "ListApiKey"], "did you mean `ListApiKeys`?"),
        (vec!["--rpc", "delteapikey"], "did you mean `DeleteApiKey`?"),
        (
            vec!["--rpc", "nonsense"],
            "`keygate permissions` lists them",
        ),
        (
            vec!["--code", "PERMISION_DENIED"],
            "did you mean `PERMISSION_DENIED`?",
        ),
        (vec!["--code", "teapot"], "`UNAUTHENTICATED`"),
        (vec!["--kind", "denid"], "denied"),
        (vec!["--outcome", "success"], "succeeded"),
    ] {
        let output = folder.audit(&[&["list"], args.as_slice()].concat());
        let (said, errors) = told(&output);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {errors}");
        assert!(
            said.is_empty() && errors.contains(words),
            "{args:?}: {errors}"
        );
    }
    // names of upstreams are free, so that these are only hints
    for (upstream, words) in [
        ("datdog", "did you mean `datadog`?"),
        ("datadog/us-1", "did you mean `us1`?"),
        ("my-own-place", "no record fits"),
    ] {
        let output = folder.audit(&["list", "--upstream", upstream]);
        let (said, errors) = told(&output);
        assert!(output.status.success() && said.is_empty());
        assert!(errors.contains(words), "{upstream}: {errors}");
    }
}

#[tokio::test]
async fn of_a_configuration_only_the_trail_matters() {
    let folder = Folder::new();
    over_days(&folder, &[0]).await;
    let config = "\
[server]
grpc = \"nowhere\"
surprise = true

[policy]
file = \"/nobody/may/read/this\"

[audit]
store = \"sqlite:trail.db\"
signing_key = { file = \"not-for-you.pem\" }
retention = \"for ever\"

[[datadog]]
site = \"nowhere\"
";
    fs::write(folder.path("keygate.toml"), config).unwrap();
    let args = ["audit", "list", "--json", "--config", "keygate.toml"];
    let output = folder.keygate(&args).output().unwrap();
    assert!(output.status.success(), "{}", told(&output).1);
    assert_eq!(calls(&output), ["0-days-ago"]);

    for (config, code, words) in [
        ("[server]\n", 78, "audit.store: this is missing"),
        (
            "[audit]\nstore = \"sqlite:none.db\"\n",
            74,
            "there is no audit trail here",
        ),
        (
            "[audit]\nstore = \"mysql://user:hunter2@db\"\n",
            78,
            "`mysql`",
        ),
        ("[audit\n", 78, "this is not TOML"),
    ] {
        fs::write(folder.path("keygate.toml"), config).unwrap();
        let output = folder.keygate(&args).output().unwrap();
        let errors = told(&output).1;
        assert_eq!(output.status.code(), Some(code), "{config}: {errors}");
        assert!(errors.contains(words), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let output = folder.keygate(&["audit", "list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        !folder.path("none.db").exists(),
        "a reader has made a trail"
    );
}

#[tokio::test]
async fn what_callers_wrote_neither_moves_the_cursor_nor_poses_as_a_column() {
    const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nkeygate: all is well  \u{202e}\u{9b}31m";
    let folder = Folder::new();
    let trail = folder.open();
    let hostile = || Some(HOSTILE.to_owned());
    let record = Record {
        request_id: hostile(),
        rpc: hostile(),
        rule: hostile(),
        permission: hostile(),
        upstream: hostile(),
        code: hostile(),
        reason: hostile(),
        caller: Some(Caller {
            subject: HOSTILE.to_owned(),
            ..Caller::default()
        }),
        resource: Some(Resource {
            resource_type: hostile(),
            id: hostile(),
            name: hostile(),
            ..Resource::default()
        }),
        kind: Kind::Denied,
        outcome: None,
        ..record(&trail, "hostile")
    };
    trail.append(record).await.unwrap();
    trail.close().await.unwrap();
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["export", "--format", "ocsf"],
    ] {
        let (said, _) = told(&folder.audit(args));
        assert_eq!(said.lines().count(), 1, "{args:?}: {said:?}");
        let mut shown = said.trim_end_matches('\n').chars();
        assert!(!shown.any(char::is_control), "{args:?}: {said:?}");
        assert!(!said.contains('\u{202e}'), "{args:?}: {said:?}");
    }
    // and what is searched for is not taken for more than it is
    assert_eq!(folder.listed(&["--subject", HOSTILE]), ["hostile"]);
    assert_eq!(folder.listed(&["--subject", "' OR 1=1 --"]), [""; 0]);
}

#[tokio::test]
async fn every_denial_names_what_was_missing_and_the_rule() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, nobody) = (served.client(), served.token("nobody", &[]));
    let mut denied = 0;
    for operation in contract().operations() {
        if operation.permissions.is_empty() {
            continue;
        }
        let request = client.request_at(&operation.method, "0a0a", MAIN);
        client
            .call(&operation.method, Some(&nobody), &request)
            .await;
        denied += 1;
    }
    let records = served.records();
    assert_eq!(records.len(), denied);
    for record in &records {
        let operation = contract()
            .operation(record["rpc"].as_str().unwrap())
            .unwrap();
        assert_eq!(record["kind"], "denied", "{record}");
        assert_eq!(
            record["permission"],
            operation.permissions.join(" or "),
            "{record}"
        );
        assert_eq!(record["rule"], "no grant fits the caller", "{record}");
        assert!(record["policy_version"].is_string(), "{record}");
    }
    let config = served.setup.config();
    let args = [
        "audit",
        "list",
        "--limit",
        "1000",
        "--config",
        config.to_str().unwrap(),
    ];
    let (said, _) = told(&run(args));
    assert_eq!(said.lines().count(), denied);
    for line in said.lines() {
        assert!(
            line.contains(" permission=") && line.contains(" rule=\"no grant"),
            "{line}"
        );
    }
}
