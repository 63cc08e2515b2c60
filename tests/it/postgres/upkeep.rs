//! A trail of several trees is looked after: what is old goes from all of them, and
//! fingerprints get a new key, also while replicas serve.

use std::time::{Duration, SystemTime};

use keygate::{
    audit::{
        Entry, Kind, Location, Outcome, Owner, Projection, Reader, Record, Settings, Trail,
        tree::Hash,
    },
    clock::Clock,
    random::Random,
};

use super::*;
use crate::support::{
    clock::Hand,
    gateway::records_about,
    serve::until,
    served::{resource, text},
    trail,
};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
const SECRET: &str = "a leaked secret";
const UPSTREAM: &str = "datadog/us1/main";

/// How many old and how many new records each tree has: of old ones of both, more
/// than are removed in one piece.
const OLD: u64 = 300;
const NEW: u64 = 40;

impl Stage {
    fn settings(&self, origin: &str) -> Settings {
        let url = self.postgres.url_with_password(DATABASE, DATABASE);
        let pem = self.setup.folder.path().join("signing.pem");
        Settings {
            store: url.parse::<Location>().unwrap(),
            origin: origin.to_owned(),
            signer: Some(note::Signer::load(&pem, origin).unwrap()),
        }
    }

    /// Opens a tree as a gateway would have at a time of day.
    pub(super) fn open_at(&self, origin: &str, now: SystemTime) -> Trail {
        let clock = Hand::at(now).clock();
        Trail::open(&self.settings(origin), clock, Random::system()).unwrap()
    }

    /// Leaves records of 500 and of 3 days ago in the trees of `one` and `two`.
    async fn two_ages(&self) {
        let now = Clock::system().now();
        for (age, days, count) in [("old", 500, OLD), ("new", 3, NEW)] {
            for origin in ["one", "two"] {
                let trail = self.open_at(origin, now - days * DAY);
                let entry = |it| {
                    let call = format!("{age}-{origin}-{it}");
                    let mut record = record(&trail, &call);
                    // calls at once don't come in the order of their times
                    let at = now - days * DAY - Duration::from_millis(it);
                    record.time = Record::new(Kind::Outcome, "", "", at).time;
                    let created = Projection::Created {
                        upstream: UPSTREAM.to_owned(),
                        resource_type: "api_key".to_owned(),
                        id: format!("id-of-{call}"),
                        owner: Owner {
                            issuer: "https://issuer.example".to_owned(),
                            subject: "alice".to_owned(),
                        },
                    };
                    Entry {
                        record,
                        projections: vec![created],
                    }
                };
                let entries = (0..count).map(entry).collect();
                trail.append_all(entries).await.unwrap();
                trail.keep(trail.checkpoint().unwrap()).await;
                trail.close().await.unwrap();
            }
        }
    }

    pub(super) fn reader(&self) -> Reader {
        Reader::open(&self.settings("one")).unwrap()
    }

    /// The roots of these trees as they were when they had so many records.
    fn roots(&self, sizes: &[(String, u64)]) -> Vec<Hash> {
        let reader = self.reader();
        let roots = sizes.iter().map(|(it, size)| reader.root(it, *size));
        roots.collect::<Result<_, _>>().unwrap()
    }

    /// How many rows there are: the answer to a query for one number.
    async fn count(&self, sql: &str) -> i64 {
        let client = self.postgres.client(DATABASE).await;
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// How many records hold a secret, as whoever has found it leaked asks: their
    /// fingerprints' versions.
    fn leaked(&self, secret: &str) -> Vec<String> {
        let found = records_about(&self.replica("investigator"), secret);
        let version = |it: Json| {
            let fingerprint = it["fingerprints"][0].as_str().unwrap();
            fingerprint.split_once(':').unwrap().0.to_owned()
        };
        found.into_iter().map(version).collect()
    }
}

/// Runs `keygate audit …` with a configuration. How it ended, and what it said.
fn audit(config: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let all = [
        &["audit"],
        arguments,
        &["--config", config.to_str().unwrap()],
    ]
    .concat();
    let output = run(&all);
    (output.status.code(), all_told(&output))
}

/// A record of a call that has made a key, and had the secret.
fn record(trail: &Trail, call: &str) -> Record {
    Record {
        rpc: Some("keygate.datadog.v2.ApiKeyService/CreateApiKey".to_owned()),
        effect: Some("create".to_owned()),
        fingerprints: vec![trail.fingerprint(SECRET)],
        ..trail::record(trail, call)
    }
}

const REMAINS: &str = "SELECT count(*) FROM keygate.records WHERE call LIKE 'old-%' AND NOT (
    body IS NULL AND request_id IS NULL AND subject IS NULL AND resource_id IS NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_from_all_trees_and_they_stay_provable() {
    let stage = Stage::start().await;
    stage.two_ages().await;
    // a call of long ago of which nobody knows how it has ended
    let trail = stage.open_at("two", Clock::system().now() - 450 * DAY);
    let mut intent = record(&trail, "lost");
    (intent.kind, intent.outcome) = (Kind::Intent, None);
    trail.append(intent.clone()).await.unwrap();
    let mut unknown = trail.next(&intent, Kind::Outcome);
    unknown.outcome = Some(Outcome::Unknown);
    trail.append(unknown).await.unwrap();
    trail.close().await.unwrap();
    let sizes = stage.reader().origins().unwrap();
    let expected = [OLD + NEW, OLD + NEW + 2];
    assert_eq!(sizes.iter().map(|it| it.1).collect::<Vec<_>>(), expected);
    let roots = stage.roots(&sizes);
    let one = stage.replica("one");
    let before = records(&one, &[]);

    let prune = ["prune", "--before", "400 days ago"];
    let (exit, said) = audit(&one, &[&prune[..], &["--dry-run"]].concat());
    assert_eq!(exit, Some(0), "{said}");
    let both = format!("{} records from before", 2 * OLD);
    assert!(
        said.contains(&both) && said.contains("would be removed"),
        "{said}"
    );
    assert!(said.contains("2 records stay"), "{said}");
    assert_eq!(records(&one, &[]), before, "nothing was removed yet");

    let (exit, said) = audit(&one, &prune);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains(&both) && said.contains(" removed"), "{said}");
    let after = records(&one, &[]);
    let (pruned, kept) = after.split_last().unwrap();
    let expected = before
        .iter()
        .filter(|it| !it["call"].as_str().unwrap().starts_with("old-"));
    assert_eq!(
        kept.iter().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    assert_eq!(pruned["kind"], "pruned");
    assert_eq!(pruned["pruned"]["records"], 2 * OLD);
    assert!(
        pruned["rule"]
            .as_str()
            .unwrap()
            .starts_with("keygate audit prune --before")
    );

    // nothing finds it any more, and the trees are what they were
    assert_eq!(stage.count(REMAINS).await, 0);
    let fingerprints = "SELECT count(*) FROM keygate.fingerprints";
    assert_eq!(stage.count(fingerprints).await, 2 * NEW.cast_signed() + 2);
    assert_eq!(stage.leaked(SECRET).len() as u64, 2 * NEW + 2);
    assert_eq!(records(&one, &["--resource", "id-of-old-two-7"]).len(), 0);
    assert_eq!(stage.roots(&sizes), roots);
    let output = stage.verify(&["one", "two"], &[]);
    let said = all_told(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let by_hash = format!("{OLD} of them are known by their hashes alone");
    assert_eq!(said.matches(&by_hash).count(), 2, "{said}");
    // whose keys they are stays known
    let trail = stage.open_at("one", Clock::system().now());
    let ids = ["old-one", "old-two", "new-two"].map(|it| format!("id-of-{it}-7"));
    let owners = trail.owners(UPSTREAM, "api_key", &ids).await.unwrap();
    assert_eq!(owners.len(), 3);
    trail.close().await.unwrap();

    let (_, said) = audit(&one, &prune);
    assert!(said.contains("nothing from before"), "{said}");
    assert_eq!(
        records(&one, &[]),
        after,
        "nothing to remove is nothing to tell of"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_serve_keep_to_a_retention() {
    let stage = Stage::start().await;
    stage.two_ages().await;
    let [one, two] = ["one", "two"].map(|it| stage.replica(it));
    let (first, second) = (Gateway::start(&one).await, Gateway::start(&two).await);
    let token = stage.token();
    make(&first.client(), &token, "made-before").await.ok();

    // a name that is in use has one writer
    let (exit, said) = audit(&one, &["prune", "--before", "400 days ago"]);
    assert_eq!(exit, Some(69), "{said}");
    assert!(said.contains("a gateway is writing as `one`"), "{said}");
    assert!(said.contains("set `retention` in its `[audit]`"), "{said}");

    let url = stage.postgres.url(DATABASE, DATABASE);
    let unnamed = [
        "audit",
        "prune",
        "--before",
        "400 days ago",
        "--store",
        &url,
    ];
    assert!(fails(&unnamed, 64).contains("use --config"));

    // both are told at once, without a restart
    for config in [&one, &two] {
        let text = std::fs::read_to_string(config).unwrap();
        let text = text.replace("[audit]\n", "[audit]\nretention = \"400d\"\n");
        std::fs::write(config, text).unwrap();
    }
    let begun = Clock::system().instant();
    while stage.count(REMAINS).await > 0 {
        let told = [&first, &second].map(|it| it.process.logged()).concat();
        assert!(
            begun.elapsed() < crate::support::gateway::PATIENCE,
            "{told}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = until("it is told of", || {
        let told = records(&one, &["--kind", "pruned"]);
        (!told.is_empty()).then_some(told)
    })
    .await;
    let [record] = told.as_slice() else {
        panic!("it is told of more than once: {told:#?}");
    };
    assert_eq!(record["rule"], "audit.retention");
    assert_eq!(record["pruned"]["records"], 2 * OLD);
    assert!(record.get("caller").is_none());
    make(&second.client(), &token, "made-meanwhile").await.ok();
    stage.verified(&["one", "two"]);

    // and whoever has a name of their own does more, while they serve
    let (exit, said) = audit(
        &stage.replica("operator"),
        &["prune", "--before", "2 days ago"],
    );
    assert_eq!(exit, Some(0), "{said}");
    let both = format!("{} records from before", 2 * NEW);
    assert!(said.contains(&both), "{said}");
    make(&first.client(), &token, "made-after").await.ok();
    let left = records(&two, &[]);
    let kinds = texts(&left, "kind").into_iter();
    let kinds: Vec<_> = kinds.filter(|it| *it != "pruned").collect();
    assert_eq!(kinds, ["intent", "outcome"].repeat(3));
    assert_eq!(
        stage.made(),
        ["made-before", "made-meanwhile", "made-after"]
    );
    stage.verified(&["one", "two", "operator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_found_under_every_fingerprint_key_of_all_replicas() {
    let stage = Stage::start().await;
    let [one, two] = ["one", "two"].map(|it| stage.replica(it));
    let (mut first, mut second) = (Gateway::start(&one).await, Gateway::start(&two).await);
    let token = stage.token();
    let key = resource(make(&first.client(), &token, "made-before").await);
    let (id, secret) = (text(&key, "id"), text(&key, "key"));
    on(&second.client(), GET, &token, &id).await.ok();
    assert_eq!(stage.leaked(&secret), ["v1", "v1"]);

    let rotate = ["rotate-fingerprint-key"];
    let (exit, said) = audit(&one, &rotate);
    assert_eq!(exit, Some(69), "{said}");
    assert!(said.contains("a gateway is writing as `one`"), "{said}");
    tokio::task::block_in_place(|| assert_eq!(first.process.terminate(), Some(0)));
    let (exit, said) = audit(&one, &rotate);
    assert_eq!(exit, Some(0), "{said}");
    assert!(
        said.contains("key version 2 from now on; 1 older are kept"),
        "{said}"
    );

    // one knows the new key, the other has not been started again
    let first = Gateway::start(&one).await;
    on(&first.client(), GET, &token, &id).await.ok();
    on(&second.client(), GET, &token, &id).await.ok();
    assert_eq!(stage.leaked(&secret), ["v1", "v1", "v2", "v1"]);
    let other = resource(make(&first.client(), &token, "made-after").await);
    assert_eq!(stage.leaked(&text(&other, "key")), ["v2"]);
    assert!(stage.leaked("no such secret").is_empty());

    // whoever has a name of their own makes one while both serve
    let (exit, said) = audit(&stage.replica("operator"), &rotate);
    assert_eq!(exit, Some(0), "{said}");
    assert!(
        said.contains("key version 3 from now on; 2 older are kept"),
        "{said}"
    );
    tokio::task::block_in_place(|| assert_eq!(second.process.terminate(), Some(0)));
    let second = Gateway::start(&two).await;
    on(&second.client(), GET, &token, &id).await.ok();
    on(&first.client(), GET, &token, &id).await.ok();
    assert_eq!(stage.leaked(&secret), ["v1", "v1", "v2", "v1", "v3", "v2"]);
    let rotated = records(&one, &["--kind", "rotated"]);
    let versions: Vec<_> = rotated
        .iter()
        .map(|it| it["fingerprint_key"].as_u64())
        .collect();
    assert_eq!(versions, [Some(2), Some(3)]);
    stage.verified(&["one", "two", "operator"]);
}
