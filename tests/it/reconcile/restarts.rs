//! Crashes and outages: what was under way is looked for after the next start, for
//! as long as it takes.

use std::time::Duration;

use keygate::clock::Clock;
use prost_reflect::{DynamicMessage, Value};
use serde_json::json;

use super::{Bench, finding, unknown_and_told};
use crate::support::{
    gateway::{Client, PATIENCE},
    served::{MAIN, id, target},
    upstreams::{Place, requests},
};

/// A change of each sort at each vendor.
const CHANGES: [&str; 10] = [
    "keygate.datadog.v2.ApiKeyService/CreateApiKey",
    "keygate.datadog.v2.ApiKeyService/DeleteApiKey",
    "keygate.datadog.v2.ApiKeyService/UpdateApiKey",
    "keygate.datadog.v1.ApiKeyService/CreateApiKey",
    "keygate.datadog.v1.ApiKeyService/DeleteApiKey",
    "keygate.braintrust.v1.ServiceTokenService/CreateServiceToken",
    "keygate.braintrust.v1.ServiceTokenService/DeleteServiceToken",
    "keygate.coveo.v1.ApiKeyService/CreateApiKey",
    "keygate.coveo.v1.ApiKeyService/UpdateApiKey",
    "keygate.coveo.v1.ApiKeyService/DeleteApiKey",
];

const BULK: &str = "keygate.coveo.v1.ApiKeyService/BulkDisableApiKeys";

/// Waits until something is so.
pub(super) async fn waiting(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{what}: never"));
}

impl Bench {
    /// How many requests upstream leaves without an answer.
    fn hung(&self, method: &str) -> usize {
        let requests = requests(self.simulator(method)).into_iter();
        requests.filter(|it| it["fault"] == "hang").count()
    }

    /// Sends a request that gets no answer, and returns as soon as upstream has it.
    pub(super) async fn begin(&self, method: &str, request: DynamicMessage, apply: bool) {
        let before = self.hung(method);
        self.fault(method, &json!({ "hang": true }), apply);
        self.send(method, request);
        waiting("upstream has the request", || self.hung(method) > before).await;
    }

    /// Sends a request, and waits for nothing.
    fn send(&self, method: &str, request: DynamicMessage) {
        let (client, token) = (self.client.clone(), self.token.clone());
        let method = method.to_owned();
        #[allow(clippy::disallowed_methods)] // it goes with the test
        tokio::spawn(async move { client.call(&method, Some(&token), &request).await.code() });
    }

    /// Kills the gateway where it stands.
    pub(super) fn kill(&mut self) {
        self.served.gateway.process.kill();
    }

    pub(super) async fn start_again(&mut self) {
        self.served.gateway = self.served.setup.serve().await;
        self.client = Client::new(self.served.gateway.grpc);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_has_left_is_found_out_once_upstream_is_back() {
    let mut bench = Bench::start().await;
    let mut begun = Vec::new();
    for method in CHANGES {
        for apply in [true, false] {
            let target = target(&bench.client, method, &bench.token, MAIN).await;
            let request = bench.client.request_at(method, &target, MAIN);
            begun.push((method, request, apply));
        }
    }
    let create = "keygate.coveo.v1.ApiKeyService/CreateApiKey";
    let mut keys = Vec::new();
    for _ in 0..3 {
        let request = bench.client.request_at(create, "", MAIN);
        keys.push(id(bench
            .client
            .call(create, Some(&bench.token), &request)
            .await));
    }
    let mut bulk = bench.client.request_at(BULK, "", MAIN);
    let ids = keys.iter().map(|it| Value::String(it.clone())).collect();
    bulk.set_field_by_name("api_key_ids", Value::List(ids));
    begun.push((BULK, bulk, true));
    for (method, request, apply) in &begun {
        bench.begin(method, request.clone(), *apply).await;
    }
    bench.kill();

    // upstream is down meanwhile
    for (_, simulator) in bench.served.upstreams.all() {
        simulator.faults().clear();
        let down = json!({ "fault": { "status": 503, "body": "" } });
        crate::support::upstreams::inject(simulator, down);
    }
    bench.start_again().await;
    let who = "keygate.access.v1.AccessService/WhoAmI";
    let request = bench.client.request(who, "");
    bench
        .client
        .call(who, Some(&bench.token), &request)
        .await
        .ok();
    let (unknown, told) = unknown_and_told(&bench.records());
    // as many as the calls, and two more keys of one of them
    let open = begun.len() + 2;
    assert_eq!((unknown.len(), told.len()), (open, 0));
    let is_asked = |bench: &Bench| {
        bench.served.upstreams.all().all(|(_, it)| {
            let down = |it: &serde_json::Value| it["method"] == "GET" && it["status"] == 503;
            requests(it).iter().any(down)
        })
    };
    waiting("all vendors are asked", || is_asked(&bench)).await;
    assert_eq!(bench.unresolved().await, open.to_string());

    // another crash changes nothing
    bench.kill();
    bench.start_again().await;
    assert_eq!(unknown_and_told(&bench.records()).1.len(), 0);
    bench.served.upstreams.clear();
    let told = bench.reconciled().await;
    assert_eq!(told.values().map(Vec::len).sum::<usize>(), open);
    let mut wrong = Vec::new();
    for call in unknown {
        let call_id = call["call"].as_str().unwrap();
        if call["rpc"] == BULK {
            let found = told[call_id].iter().map(|it| &it["finding"]);
            let found: Vec<_> = found.collect();
            assert_eq!(found, ["applied"; 3]);
            continue;
        }
        // the calls began in their order
        let place = told[call_id][0]["request_id"].clone();
        let records = bench.records();
        let mut intents: Vec<_> = records
            .iter()
            .filter(|it| it["kind"] == "intent")
            .filter(|it| told.contains_key(it["call"].as_str().unwrap()))
            .collect();
        intents.dedup_by_key(|it| it["call"].clone());
        let at = intents.iter().position(|it| it["request_id"] == place);
        let (method, _, apply) = &begun[at.unwrap()];
        let expected = if *apply { "applied" } else { "not_applied" };
        let found = finding(&told, call_id).0;
        if found != expected {
            wrong.push(format!("{method}, {apply}: {:#}", told[call_id][0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bench.served.verify();
    assert_eq!(bench.unresolved().await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_crash_has_left_is_told_within_a_minute_of_the_start() {
    const CALLS: usize = 64;
    const MINUTE: Duration = Duration::from_secs(60);
    // as it comes: calls may take as long as they may
    let mut bench = Bench::configured(Place::everywhere(MAIN), "").await;
    let create = CHANGES[0];
    for apply in [true, false] {
        let hang = json!({ "hang": true });
        for _ in 0..CALLS / 2 {
            bench.fault(create, &hang, apply);
        }
    }
    for _ in 0..CALLS {
        bench.send(create, bench.client.request_at(create, "", MAIN));
    }
    waiting("upstream has them all", || bench.hung(create) == CALLS).await;
    bench.kill();
    bench.served.upstreams.clear();
    let clock = Clock::system();
    let started = clock.instant();
    bench.start_again().await;
    let told = bench.reconciled().await;
    let took = clock.instant() - started;
    println!("{CALLS} calls were told of {took:?} after the start");
    assert!(took < MINUTE, "{took:?}");

    assert_eq!(told.len(), CALLS);
    let state = bench.served.site().state();
    let keys = state["api_keys"].as_array().unwrap();
    let mut applied = 0;
    for call in told.keys() {
        let record = &told[call][0];
        let (finding, id) = finding(&told, call);
        let name = &record["resource"]["name"];
        let there = keys.iter().find(|it| it["name"] == *name);
        assert_eq!(there.and_then(|it| it["id"].as_str()), id, "{record:#}");
        assert_eq!(finding == "applied", id.is_some(), "{record:#}");
        assert_ne!(finding, "ambiguous", "{record:#}");
        applied += usize::from(id.is_some());
    }
    assert_eq!(applied, CALLS / 2);
}
