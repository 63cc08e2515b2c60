//! What became of changes whose answer was lost: it is found out later, and told by
//! one more record.

mod clocks;
mod contention;
mod every_change;
mod patience;
mod restarts;
mod same_key;

use std::{collections::HashMap, time::Duration};

use prost_reflect::DynamicMessage;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::support::{
    gateway::{Client, PATIENCE, contract, records},
    http::Http,
    served::{MAIN, SANDBOX_POLICY, Served},
    upstreams::{Place, inject},
    vendors::{Simulator, Vendor},
};

/// Calls don't have long, so that what is lost is soon looked for.
const SERVER: &str = "request_timeout = \"3s\"\nconclude_reserve = \"100ms\"\n";

/// How an answer is lost.
const RESET: &str = "before_response";

struct Bench {
    served: Served,
    client: Client,
    /// Somebody who may do everything.
    token: String,
}

impl Bench {
    async fn start() -> Self {
        Self::with(Place::everywhere(MAIN)).await
    }

    async fn with(places: Vec<Place>) -> Self {
        Self::configured(places, SERVER).await
    }

    /// With these settings of `[server]`.
    async fn configured(places: Vec<Place>, server: &str) -> Self {
        let log = "[log]\nlevel = \"info\"\n";
        let served = Served::configured(SANDBOX_POLICY, places, server, log).await;
        Self {
            client: served.client(),
            token: served.token("alice", &["admin"]),
            served,
        }
    }

    fn simulator(&self, method: &str) -> &dyn Simulator {
        let vendor = Vendor::of(method).unwrap();
        self.served
            .upstreams
            .at(&vendor.upstream(vendor.region, MAIN))
    }

    /// Makes a fault that hits the next request on a method's route, after it took
    /// effect or before.
    fn fault(&self, method: &str, fault: &Json, apply: bool) {
        let route = contract().operation(method).unwrap().route.clone();
        let rule = json!({ "route": route, "count": 1, "apply": apply, "fault": fault });
        inject(self.simulator(method), rule);
    }

    /// Makes a call whose answer is lost. The call's id.
    async fn lose(&self, method: &str, request: &DynamicMessage, apply: bool) -> String {
        self.fault(method, &json!({ "reset": RESET }), apply);
        let answer = self.client.call(method, Some(&self.token), request).await;
        assert_eq!(answer.reason(), "OUTCOME_UNKNOWN", "{method}");
        let id = answer.request_id.unwrap();
        let of_it = self.records();
        let of_it = of_it.iter().find(|it| it["request_id"] == id.as_str());
        of_it.unwrap()["call"].as_str().unwrap().to_owned()
    }

    fn records(&self) -> Vec<Json> {
        records(&self.served.setup.config(), &[])
    }

    /// Waits until it is told of every change what became of it: the records that
    /// say so, by their calls.
    async fn reconciled(&self) -> HashMap<String, Vec<Json>> {
        let reconciled = async {
            loop {
                let (unknown, told) = unknown_and_told(&self.records());
                if unknown.len() <= told.len() {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let told = tokio::time::timeout(PATIENCE * 2, reconciled).await;
        let told = told.unwrap_or_else(|_| {
            let log = self.served.gateway.process.logged();
            let (unknown, told) = unknown_and_told(&self.records());
            panic!("not all is reconciled: {told:#?} of {unknown:#?}; {log}")
        });
        let mut by_call: HashMap<_, Vec<_>> = HashMap::new();
        for record in told {
            let call = record["call"].as_str().unwrap().to_owned();
            by_call.entry(call).or_default().push(record);
        }
        by_call
    }

    async fn unresolved(&self) -> String {
        unresolved(&self.served.gateway.http).await
    }

    /// Makes a key without the gateway.
    async fn outsider_makes(&self, method: &str, name: &str) -> String {
        let simulator = self.simulator(method);
        let masters = simulator.masters();
        let masters: Vec<_> = masters.iter().map(|it| it.expose_secret()).collect();
        let bearer = || vec![("authorization", format!("Bearer {}", masters[0]))];
        let (headers, path, body) = match Vendor::of(method).unwrap().name {
            "datadog" => (
                vec![
                    ("dd-api-key", masters[0].to_owned()),
                    ("dd-application-key", masters[1].to_owned()),
                ],
                "/api/v2/api_keys",
                json!({ "data": { "type": "api_keys", "attributes": { "name": name } } }),
            ),
            "braintrust" => (
                bearer(),
                "/v1/service_token",
                json!({ "name": name, "service_account_id": crate::support::vendors::SERVICE_ACCOUNT }),
            ),
            _ => (
                bearer(),
                "/rest/organizations/main/apikeys",
                json!({ "displayName": name, "privileges": [] }),
            ),
        };
        let answer = Http::new(simulator.base_url(), headers)
            .post(path, &body)
            .await;
        assert!(answer.status.is_success(), "{answer:?}");
        let made = answer.json();
        let id = made.get("id").or(made.pointer("/data/id")).unwrap();
        id.as_str().unwrap().to_owned()
    }
}

/// How many calls are open, as the metrics say.
async fn unresolved(http: &str) -> String {
    let http = Http::new(http.to_owned(), Vec::new());
    let text = http.get("/metrics").await.body;
    let text = std::str::from_utf8(&text).unwrap();
    let mut lines = text.lines();
    let line = lines.find_map(|it| it.strip_prefix("keygate_calls_unresolved "));
    line.unwrap().to_owned()
}

/// The outcomes `unknown` of changes, and what was found out of them later: never
/// more than one record for each.
fn unknown_and_told(records: &[Json]) -> (Vec<Json>, Vec<Json>) {
    let is_change = |it: &&Json| !matches!(it["effect"].as_str(), Some("read" | "reveal"));
    let unknown = records.iter().filter(|it| it["outcome"] == "unknown");
    let unknown: Vec<_> = unknown.filter(is_change).cloned().collect();
    let told = records.iter().filter(|it| it["kind"] == "reconciled");
    let told: Vec<_> = told.cloned().collect();
    for record in &told {
        let of_it = |it: &&Json| it["settles"] == record["settles"];
        assert_eq!(told.iter().filter(of_it).count(), 1, "{record}");
        let mut unknown = unknown.iter();
        let settled = unknown.find(|it| it["id"] == record["settles"]).unwrap();
        for member in ["call", "request_id", "rpc", "effect", "upstream", "caller"] {
            assert_eq!(record[member], settled[member], "{record}");
        }
    }
    (unknown, told)
}

/// What was found out of a call about one key.
#[track_caller]
fn finding<'a>(told: &'a HashMap<String, Vec<Json>>, call: &str) -> (&'a str, Option<&'a str>) {
    let [record] = told[call].as_slice() else {
        panic!("{:?}", told[call]);
    };
    let id = record.pointer("/resource/id").and_then(Json::as_str);
    (record["finding"].as_str().unwrap(), id)
}
