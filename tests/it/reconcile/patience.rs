//! How long it is asked what became of a change, and what is said in the end.

use std::time::Duration;

use jiff::Timestamp;
use keygate::{clock::Clock, config::Config, random::Random, server::Server, telemetry::Logs};
use serde_json::{Value as Json, json};

use super::{Bench, finding, restarts::waiting, unknown_and_told, unresolved};
use crate::support::{
    clock::{Lag, behind, running},
    served::{MAIN, target},
    upstreams::{Place, inject, requests},
    vendors::{self, Vendor},
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Longer than it is ever waited before it is asked again.
const ROUND: Duration = Duration::from_secs(20);

/// What makes a key at each vendor.
const CREATES: [&str; 3] = [
    "keygate.datadog.v2.ApiKeyService/CreateApiKey",
    "keygate.braintrust.v1.ServiceTokenService/CreateServiceToken",
    "keygate.coveo.v1.ApiKeyService/CreateApiKey",
];

/// One of each vendor, with this time.
pub(super) fn everywhere(clock: &Clock) -> Vec<Place> {
    let all = vendors::ALL.into_iter();
    all.map(|it| Place::new(it, MAIN).with_clock(clock.clone()))
        .collect()
}

impl Bench {
    /// Makes a key at each vendor, and is killed before it has an answer.
    async fn crash_in_creates(&mut self) {
        for create in CREATES {
            let request = self.client.request_at(create, "", MAIN);
            self.begin(create, request, true).await;
        }
        self.kill();
        self.served.upstreams.clear();
    }

    /// Starts the server again, in the test, with this time.
    pub(super) async fn start_with(&self, clock: Clock) -> Server {
        let config = Config::load(&self.served.setup.config()).unwrap();
        let server = Server::start(config, Logs::default(), clock, Random::system());
        server.await.unwrap()
    }

    fn told(&self) -> Vec<Json> {
        unknown_and_told(&self.records()).1
    }

    pub(super) async fn told_of(&self, calls: usize) -> Vec<Json> {
        waiting("it is told", || self.told().len() >= calls).await;
        self.told()
    }

    /// Waits until these vendors have been asked in vain, more than once.
    async fn asked_in_vain(&self, vendors: &[&str], hands: &[&Lag]) {
        let told = self.told().len();
        let asked = || -> Vec<usize> {
            let all = self.served.upstreams.all();
            let of_them = all.filter(|(place, _)| vendors.contains(&place.vendor.name));
            let reads = |it: Vec<Json>| it.iter().filter(|it| it["method"] == "GET").count();
            of_them.map(|(_, it)| reads(requests(it))).collect()
        };
        // the first may have been under way, and the last may not be over
        for _ in 0..3 {
            let before = asked();
            assert_eq!(before.len(), vendors.len());
            hands.iter().for_each(|it| it.advance(ROUND));
            let more = || asked().iter().zip(&before).all(|(now, then)| now > then);
            waiting("it is asked again", more).await;
        }
        assert_eq!(self.told().len(), told);
    }
}

fn of_vendor<'a>(records: &'a [Json], vendor: &str) -> Vec<&'a Json> {
    let is_its = |it: &&Json| it["upstream"].as_str().unwrap().starts_with(vendor);
    records.iter().filter(is_its).collect()
}

fn time(record: &Json) -> Timestamp {
    record["time"].as_str().unwrap().parse().unwrap()
}

/// That a record says so, a day after the change was known to be unknown and no later.
#[track_caller]
fn ambiguous_after_a_day(bench: &Bench, record: &Json, reason: &str) {
    assert_eq!(record["finding"], "ambiguous", "{record:#}");
    assert_eq!(record["reason"], format!("{reason}, for a whole day"));
    let records = bench.records();
    let unknown = records.iter().find(|it| it["id"] == record["settles"]);
    let unknown = unknown.unwrap();
    assert_eq!(record["resource"], unknown["resource"], "{record:#}");
    let after = time(record).duration_since(time(unknown));
    let after = Duration::try_from(after).unwrap();
    assert!(DAY < after && after < DAY + 10 * MINUTE, "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_does_not_tell_for_a_day_is_ambiguous_and_an_outage_is_waited_for() {
    let (clock, hand) = running();
    let mut bench = Bench::with(everywhere(&clock)).await;
    bench.crash_in_creates().await;
    for (create, trouble) in CREATES.into_iter().zip([
        json!({ "status": 403 }),
        json!({ "status": 503, "body": "" }),
        json!({ "truncate": true }),
    ]) {
        inject(bench.simulator(create), json!({ "fault": trouble }));
    }
    let server = bench.start_with(clock).await;
    let all = ["datadog", "braintrust", "coveo"];
    hand.advance(MINUTE);
    bench.asked_in_vain(&all, &[&hand]).await;
    hand.advance(DAY - 5 * MINUTE);
    bench.asked_in_vain(&all, &[&hand]).await;
    assert_eq!(bench.told(), [] as [Json; 0]);

    hand.advance(5 * MINUTE);
    let told = bench.told_of(2).await;
    for (vendor, reason) in [
        ("datadog", "upstream does not let the gateway look"),
        ("coveo", "upstream's answer makes no sense"),
    ] {
        ambiguous_after_a_day(&bench, of_vendor(&told, vendor)[0], reason);
    }

    // who is down says nothing, and nothing is said of it
    hand.advance(3 * DAY);
    bench.asked_in_vain(&["braintrust"], &[&hand]).await;
    let http = format!("http://{}", server.http());
    assert_eq!(unresolved(&http).await, "1");
    bench.served.upstreams.clear();
    hand.advance(ROUND);
    let told = bench.reconciled().await;
    let late = told.values().find(|it| it[0]["finding"] != "ambiguous");
    let late = &late.unwrap()[0];
    let state = bench.simulator(CREATES[1]).state();
    let made = state["service_tokens"].as_array().unwrap().last().unwrap();
    let call = late["call"].as_str().unwrap();
    assert_eq!(finding(&told, call), ("applied", made["id"].as_str()));
    server.shutdown().await.unwrap();
    bench.served.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_configured_any_more_is_waited_for_a_day() {
    const LOST: [&str; 3] = [
        CREATES[0],
        "keygate.datadog.v2.ApiKeyService/UpdateApiKey",
        "keygate.datadog.v2.ApiKeyService/DeleteApiKey",
    ];
    let (clock, hand) = running();
    let mut bench = Bench::with(everywhere(&clock)).await;
    for method in &LOST[1..] {
        let target = target(&bench.client, method, &bench.token, MAIN).await;
        let request = bench.client.request_at(method, &target, MAIN);
        bench.begin(method, request, true).await;
    }
    bench.crash_in_creates().await;
    let whole = std::fs::read_to_string(bench.served.setup.config()).unwrap();
    let without = |vendors: &[&str]| -> String {
        let sections: Vec<_> = whole.split("\n[[").collect();
        let is_gone = |it: &&str| vendors.iter().any(|vendor| it.starts_with(vendor));
        let left: Vec<_> = sections.iter().copied().filter(|it| !is_gone(it)).collect();
        assert_eq!(left.len() + vendors.len(), sections.len());
        left.join("\n[[")
    };
    let configure = |text: &str| bench.served.setup.write("keygate.toml", text);
    configure(&without(&["datadog", "braintrust"]));
    let server = bench.start_with(clock).await;
    hand.advance(MINUTE);
    let told = bench.told_of(1).await;
    assert_eq!(of_vendor(&told, "coveo")[0]["finding"], "applied");

    // it is asked as soon as it is there again
    configure(&without(&["datadog"]));
    server.reload();
    hand.advance(ROUND);
    let told = bench.told_of(2).await;
    assert_eq!(of_vendor(&told, "braintrust")[0]["finding"], "applied");
    hand.advance(DAY - 5 * MINUTE);
    let http = format!("http://{}", server.http());
    assert_eq!(unresolved(&http).await, LOST.len().to_string());
    assert_eq!(bench.told().len(), 2);

    hand.advance(5 * MINUTE);
    let told = bench.told_of(2 + LOST.len()).await;
    let never = of_vendor(&told, "datadog");
    assert_eq!(never.len(), LOST.len());
    for record in never {
        let reason = "the upstream is not among the configured ones";
        ambiguous_after_a_day(&bench, record, reason);
    }
    assert_eq!(unresolved(&http).await, "0");
    server.shutdown().await.unwrap();
    bench.served.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_not_compared_that_clocks_far_apart_show() {
    let (clock, hand) = running();
    let (before, ahead) = running();
    ahead.advance(20 * MINUTE);
    let (after, late) = behind(20 * MINUTE);
    let places = vendors::ALL.into_iter().map(|vendor: &Vendor| {
        let clock = match vendor.name {
            "datadog" => &before,
            "coveo" => &after,
            _ => &clock,
        };
        Place::new(vendor, MAIN).with_clock(clock.clone())
    });
    let mut bench = Bench::with(places.collect()).await;
    bench.crash_in_creates().await;
    let server = bench.start_with(clock.clone()).await;
    let hands = [&hand, &ahead, &late];
    let advance = |by| hands.iter().for_each(|it| it.advance(by));
    advance(MINUTE);
    let told = bench.told_of(1).await;
    assert_eq!(of_vendor(&told, "braintrust")[0]["finding"], "applied");
    advance(DAY - 5 * MINUTE);
    bench.asked_in_vain(&["datadog", "coveo"], &hands).await;
    advance(5 * MINUTE);
    let told = bench.told_of(3).await;
    for vendor in ["datadog", "coveo"] {
        let reason = "upstream's clock and that of the gateway are too far apart";
        ambiguous_after_a_day(&bench, of_vendor(&told, vendor)[0], reason);
    }
    server.shutdown().await.unwrap();
}
