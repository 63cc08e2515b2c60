//! Retention: what old records say goes, the proof that they were there stays.

use std::fs;

use keygate::{
    audit::{
        Kind, Outcome, Owner, Position, Projection, Reader,
        tree::{Hash, proof},
    },
    clock::Clock,
};

use super::{DAY, Folder, record};
use crate::support::{
    gateway::records,
    program::{run, told},
    serve::{Setup, until},
    served::SANDBOX_POLICY,
};

const SECRET: &str = "a leaked secret";

/// Records of 500 and of 3 days ago, all of them of a known secret. Of two calls of
/// long ago nobody knows how they have ended.
async fn two_ages(folder: &Folder) {
    let now = Clock::system().now();
    for (age, days) in [("old", 500), ("new", 3)] {
        let (trail, _) = folder.open_at(now - days * DAY);
        for at in 0..1200 {
            let mut record = record(&trail, &format!("{age}-{at}"));
            record.fingerprints = vec![trail.fingerprint(SECRET)];
            let mut entry = keygate::audit::Entry::from(record);
            if at == 7 {
                entry.projections.push(Projection::Created {
                    upstream: "datadog/us1/main".to_owned(),
                    resource_type: "api_key".to_owned(),
                    id: format!("key-of-{age}"),
                    owner: Owner {
                        issuer: "https://issuer.example".to_owned(),
                        subject: "alice".to_owned(),
                    },
                });
            }
            trail.append_detached(vec![entry]);
        }
        if age == "old" {
            let mut intent = record(&trail, "open");
            intent.kind = Kind::Intent;
            intent.outcome = None;
            trail.append(intent.clone()).await.unwrap();
            let mut lost = intent;
            lost.call = "lost".to_owned();
            trail.append(lost.clone()).await.unwrap();
            let mut unknown = trail.next(&lost, Kind::Outcome);
            unknown.outcome = Some(Outcome::Unknown);
            trail.append(unknown).await.unwrap();
        }
        trail.close().await.unwrap();
    }
}

/// Every occurrence of these bytes in the trail's files.
fn occurrences(folder: &Folder, bytes: &[u8]) -> usize {
    let files = fs::read_dir(folder.0.path()).unwrap();
    let content = files.map(|it| fs::read(it.unwrap().path()).unwrap());
    content
        .map(|it| it.windows(bytes.len()).filter(|it| *it == bytes).count())
        .sum()
}

#[tokio::test]
async fn what_is_old_goes_and_the_tree_stays_provable() {
    let folder = Folder::new();
    two_ages(&folder).await;
    let before = folder.all();
    assert_eq!(before.len(), 2404, "with an outcome of the open call");
    let (size, root) = {
        let reader = Reader::open(&folder.settings()).unwrap();
        let size = reader.end().unwrap().0;
        (size, reader.root("keygate", size).unwrap())
    };
    assert!(occurrences(&folder, b"payments old-600") > 0);

    let dry = folder.audit(&["prune", "--before", "400 days ago", "--dry-run"]);
    let (said, errors) = told(&dry);
    assert!(
        said.contains("1200 records") && said.contains("would be removed"),
        "{said}{errors}"
    );
    assert!(said.contains("3 records stay"), "{said}");
    assert_eq!(folder.all(), before, "nothing was removed yet");

    let done = folder.audit(&["prune", "--before", "400 days ago"]);
    let (said, errors) = told(&done);
    assert!(done.status.success(), "{errors}");
    assert!(
        said.contains("1200 records") && said.contains(" removed"),
        "{said}"
    );

    // what is left: everything new, and all of the calls that nobody knows the end of
    let after = folder.all();
    let (pruned, kept) = after.split_last().unwrap();
    let expected: Vec<_> = before
        .iter()
        .filter(|it| !it.record.call.starts_with("old-"))
        .cloned()
        .collect();
    assert_eq!(kept, expected);
    for call in ["open", "lost"] {
        let of_call = kept.iter().filter(|it| it.record.call == call);
        assert_eq!(of_call.count(), 2, "{call}");
    }
    // it is written down what was removed, and by whom
    assert_eq!(pruned.record.kind, Kind::Pruned);
    let told_of = pruned.record.pruned.clone().unwrap();
    assert_eq!((told_of.from, told_of.to, told_of.records), (0, 1200, 1200));
    assert!(
        pruned
            .record
            .rule
            .as_ref()
            .unwrap()
            .starts_with("keygate audit prune --before")
    );
    let by = pruned.record.caller.clone().unwrap();
    assert!(by.subject.starts_with("uid:"), "{by:?}");
    // and nothing of it is left on the disk
    assert_eq!(occurrences(&folder, b"payments old-"), 0);

    let reader = Reader::open(&folder.settings()).unwrap();
    assert_eq!(
        reader.root("keygate", size).unwrap(),
        root,
        "the tree is what it was"
    );
    for stored in before.iter().step_by(97) {
        let at = stored.position.0;
        let (_, index, leaf) = reader.place(Position(at)).unwrap().unwrap();
        assert_eq!((index, leaf), (at, Hash::leaf(&stored.body)));
        let path = reader.inclusion("keygate", index, size).unwrap();
        assert_eq!(
            proof::root_by_inclusion(leaf, index, size, &path),
            Some(root)
        );
    }
    // neither names nor secrets find what was removed
    let find = |args: &[&str]| folder.listed(args).len();
    assert_eq!(find(&["--subject", "alice"]), 1204);
    assert_eq!(find(&["--resource", "id-of-old-3"]), 0);
    assert_eq!(find(&["--until", "400 days ago"]), 3);
    let secret = folder.audit_with(
        &["list", "--json", "--limit", "9999", "--secret", "-"],
        SECRET.as_bytes(),
    );
    assert_eq!(super::calls(&secret).len(), 1200);
    // whose keys they are stays known
    let trail = folder.open();
    let ids = ["key-of-old".to_owned(), "key-of-new".to_owned()];
    let owners = trail
        .owners("datadog/us1/main", "api_key", &ids)
        .await
        .unwrap();
    assert_eq!(owners.len(), 2);
    trail.close().await.unwrap();
    // an export says that something is missing
    let export = folder.audit(&["export"]);
    let (said, errors) = told(&export);
    assert_eq!(said.lines().count(), after.len());
    assert!(errors.contains("1200 records had been pruned"), "{errors}");

    let again = folder.audit(&["prune", "--before", "400 days ago"]);
    assert!(
        told(&again).0.contains("nothing from before"),
        "{}",
        told(&again).0
    );
    assert_eq!(
        folder.all(),
        after,
        "nothing to remove is nothing to tell of"
    );
}

#[tokio::test]
async fn a_trail_that_a_gateway_writes_to_is_pruned_by_its_setting() {
    let setup = Setup::new("", "").await;
    setup.write("policy.toml", SANDBOX_POLICY);
    let folder = Folder::new();
    two_ages(&folder).await;
    fs::copy(
        folder.path("trail.db"),
        setup.folder.path().join("trail.db"),
    )
    .unwrap();
    let gateway = setup.serve().await;
    let config = setup.config();
    let args =
        |args: &[&str]| run([&["audit"], args, &["--config", config.to_str().unwrap()]].concat());
    // what nobody will ever know is settled first: no upstream is configured
    until("both calls are settled", || {
        let settled = told(&args(&["list", "--json", "--kind", "reconciled"])).0;
        (settled.lines().count() == 2).then_some(())
    })
    .await;
    let refused = args(&["prune", "--before", "400 days ago"]);
    assert_eq!(refused.status.code(), Some(69));
    assert!(
        told(&refused)
            .1
            .contains("set `retention` in its `[audit]`"),
        "{}",
        told(&refused).1
    );
    let dry = args(&["prune", "--before", "400 days ago", "--dry-run"]);
    // with two intents and an outcome, which stay where nothing has settled them
    assert!(told(&dry).0.contains("1203 records"), "{}", told(&dry).0);

    // without a restart
    let text = fs::read_to_string(&config).unwrap();
    let with = text.replace("[audit]\n", "[audit]\nretention = \"400d\"\n");
    setup.write("keygate.toml", &with);
    let list = || records(&config, &[]);
    let pruned = until("records are pruned", || {
        let old = list()
            .iter()
            .any(|it| it["call"].as_str().unwrap().starts_with("old-"));
        (!old).then(list)
    })
    .await;
    let telling = pruned.iter().find(|it| it["kind"] == "pruned").unwrap();
    assert_eq!(telling["rule"], "audit.retention");
    assert_eq!(telling["pruned"]["records"], 1203);
    assert!(telling.get("caller").is_none());
    let log = gateway.process.logged();
    assert!(
        log.contains("records whose time is over were removed"),
        "{log}"
    );
    assert!(
        !log.contains("this has changed, and takes a restart"),
        "{log}"
    );
    let mut kept = pruned.iter().filter(|it| it["call"] == "lost");
    assert_eq!(kept.next().unwrap()["kind"], "reconciled");
    assert!(kept.next().is_none());
}

#[tokio::test]
async fn a_wrong_retention_is_told() {
    let setup = Setup::new("", "").await;
    let text = fs::read_to_string(setup.config()).unwrap();
    for (retention, words) in [
        ("\"1h\"", "must be from"),
        ("\"long\"", "must be a length of time"),
    ] {
        let with = format!("[audit]\nretention = {retention}\n");
        setup.write("keygate.toml", &text.replace("[audit]\n", &with));
        let config = setup.config();
        let args = ["check", "--config", config.to_str().unwrap()];
        let output = run(args);
        assert_eq!(output.status.code(), Some(78));
        let errors = told(&output).1;
        assert!(
            errors.contains("audit.retention") && errors.contains(words),
            "{errors}"
        );
    }
}
