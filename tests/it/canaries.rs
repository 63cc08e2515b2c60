//! Canaries: random secrets in every credential, key value and token. None may
//! turn up in logs, metrics, trail, statuses or `Debug` output, whatever goes
//! wrong and however much is logged.

mod repeating;
mod search;
mod shown;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    sync::Arc,
};

use keygate::{config::Config, contract::Effect};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tonic::Status;

use crate::support::{
    gateway::{Client, contract, methods},
    http::Http,
    served::{MAIN, SANDBOX_POLICY, Served, target},
    tls::Authority,
    upstreams::{Place, inject},
    vendors::Vendor,
};
use repeating::{held, repeating, secrets};
use search::Search;
use shown::shown;

/// What was found, and where the search goes on.
struct Hunt {
    served: Served,
    client: Client,
    admin: String,
    search: Search,
    /// What a caller or an operator sees, with where that was.
    seen: Vec<(String, Vec<u8>)>,
    /// The values of keys.
    values: HashSet<String>,
    /// How often each code came.
    codes: BTreeMap<&'static str, usize>,
}

/// The name of places whose credentials don't look like any.
const ODD: &str = "odd";

/// A random text that no format explains.
fn odd() -> String {
    let random = keygate::random::Random::system();
    format!("odd/{}+{}=&%?~", random.uuid(), random.uuid())
}

impl Hunt {
    async fn start() -> Self {
        // what speaks TLS logs too
        let authority = Arc::new(Authority::new());
        let mut places = Place::everywhere(MAIN);
        for place in Place::everywhere(ODD) {
            let masters = place.vendor.masters.iter().map(|_| odd().into());
            let masters = masters.collect();
            places.push(place.with_masters(masters).over_tls(&authority));
        }
        let (server, log) = (authority.server_setting(), "[log]\nlevel = \"trace\"\n");
        let served = Served::configured(SANDBOX_POLICY, places, &server, log).await;
        let mut search = Search::default();
        for (place, simulator) in served.upstreams.all() {
            let settings = place.vendor.masters.iter();
            for (setting, secret) in settings.zip(simulator.masters()) {
                search.add(&format!("{setting} of ours"), secret.expose_secret());
            }
        }
        let mut hunt = Self {
            client: Client::with(served.gateway.grpc, |it| authority.trusted(&it, None)),
            admin: String::new(),
            served,
            search,
            seen: Vec::new(),
            values: HashSet::new(),
            codes: BTreeMap::new(),
        };
        hunt.admin = hunt.token("admin", &["admin"]);
        hunt
    }

    /// A token that is looked for.
    fn token(&mut self, subject: &str, roles: &[&str]) -> String {
        let token = self.served.token(subject, roles);
        self.search.add("a token", &token);
        let signature = token.rsplit('.').next().unwrap();
        self.search.add("a token's signature", signature);
        token
    }

    /// The value of a key is looked for from now on.
    fn learn(&mut self, value: &str) {
        if !self.values.insert(value.to_owned()) {
            return;
        }
        self.search.add("a key's value", value);
        if let Some((_, secret)) = value.rsplit_once('_') {
            self.search.add("a token's secret part", secret);
        }
    }

    /// So is everything that the simulators hold.
    fn learn_all(&mut self) {
        let all = self.served.upstreams.all();
        let held: Vec<_> = all.flat_map(|(place, it)| held(place, it)).collect();
        held.concat().iter().for_each(|it| self.learn(it));
    }

    async fn call(&mut self, method: &str, token: Option<&str>, request: &DynamicMessage) {
        let answer = self.client.call(method, token, request).await;
        self.see(&format!("{method}'s request"), shown(request).into_bytes());
        // the answer to one who may reveal holds the value, unless it never does
        let effect = contract().operation(method).unwrap().effect;
        let revealed = token == Some(&self.admin) && effect != Effect::Read;
        *self.codes.entry(answer.code()).or_default() += 1;
        let id = answer.request_id.unwrap_or_default();
        self.see("a request id", id.into_bytes());
        for message in &answer.messages {
            if !revealed {
                self.see(&format!("{method}'s answer"), message.encode_to_vec());
            }
            self.see(
                &format!("what is shown of {method}"),
                shown(message).into_bytes(),
            );
        }
        if let Err(status) = &answer.result {
            self.see(&format!("{method}'s status"), all_of(status));
        }
    }

    fn see(&mut self, what: &str, seen: Vec<u8>) {
        self.seen.push((what.to_owned(), seen));
    }

    /// A request about a new key or token, if the method takes one.
    async fn request(&mut self, method: &str, place: &str) -> DynamicMessage {
        let target = target(&self.client, method, &self.admin, place).await;
        if contract().operation(method).unwrap().effect == Effect::Delete {
            // it will not be there in the end
            self.learn_all();
        }
        self.client.request_at(method, &target, place)
    }

    fn look(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        self.search.find(place, bytes)
    }
}

/// All that a status carries, to the last byte.
fn all_of(status: &Status) -> Vec<u8> {
    let mut all = format!("{status:?}\n{status}\n{}\n", status.message()).into_bytes();
    all.extend(status.details());
    for (name, value) in status.metadata().clone().into_headers().iter() {
        all.extend(name.as_str().as_bytes());
        all.extend(value.as_bytes());
    }
    all
}

// the client has to answer while the test waits for the gateway to end
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_turns_up_anywhere_but_in_the_answer_that_is_to_hold_it() {
    let mut hunt = Hunt::start().await;
    let admin = hunt.admin.clone();
    let reader = hunt.token("reader", &["reader"]);
    let nobody = hunt.token("nobody", &[]);
    let forged = format!("{}x", hunt.token("forged", &["admin"]));
    let basic = odd();
    hunt.search.add("what is no token", &basic);

    for place in [MAIN, ODD] {
        for method in methods() {
            // what works, and what is refused at the door
            for token in [&admin, &reader, &nobody, &forged, &basic] {
                let request = hunt.request(&method, place).await;
                hunt.call(&method, Some(token), &request).await;
            }
            // what upstream refuses, in words that hold secrets: keys' values,
            // and credentials that don't look like any
            let Some(vendor) = Vendor::of(&method).filter(|_| place == ODD) else {
                continue;
            };
            let request = hunt.request(&method, place).await;
            let upstream = vendor.upstream(vendor.region, place);
            let mut all = hunt.served.upstreams.all();
            let (there, simulator) = all.find(|(it, _)| it.upstream() == upstream).unwrap();
            let secrets = secrets(there, simulator);
            drop(all);
            for fault in repeating(vendor, &secrets) {
                let simulator = hunt.served.upstreams.at(&upstream);
                inject(simulator, json!({ "fault": fault }));
                hunt.call(&method, Some(&admin), &request).await;
                hunt.served.upstreams.clear();
            }
        }
    }
    // a limit whose name is a secret: told by upstream, then by the gateway
    for place in [MAIN, ODD] {
        for (_, simulator) in hunt
            .served
            .upstreams
            .all()
            .filter(|(it, _)| it.name == place)
        {
            let name = simulator.masters()[0].expose_secret().to_owned();
            let headers = json!({ "x-ratelimit-name": name, "retry-after": "3600" });
            let fault = json!({ "status": 429, "body": name, "headers": headers });
            inject(simulator, json!({ "fault": fault }));
        }
        for method in methods() {
            let request = hunt.client.request_at(&method, "0a0a", place);
            for _ in 0..2 {
                hunt.call(&method, Some(&admin), &request).await;
            }
        }
    }
    hunt.learn_all();
    everywhere(hunt).await;
}

async fn everywhere(mut hunt: Hunt) {
    let mut found = Vec::new();
    for (place, bytes) in &hunt.seen {
        found.extend(hunt.look(place, bytes));
    }
    let plain = Http::new(&hunt.served.gateway.http, Vec::new());
    found.extend(hunt.look("the metrics", &plain.get("/metrics").await.body));
    let config = Config::load(&hunt.served.setup.config()).unwrap();
    let config = format!("{config:?}\n{config:#?}");
    found.extend(hunt.look("the configuration", config.as_bytes()));
    let records = hunt.served.records();
    let text = serde_json::to_string_pretty(&records).unwrap();
    found.extend(hunt.look("the records", text.as_bytes()));
    found.extend(files(&hunt));
    hunt.served.gateway.process.terminate();
    found.extend(files(&hunt));
    let log = hunt.served.gateway.process.logged();
    found.extend(hunt.look("the log", log.as_bytes()));

    // it was looked at something, and everything happened
    assert!(hunt.search.secrets() > 100, "{}", hunt.search.secrets());
    assert!(records.len() > 400, "{}", records.len());
    assert!(log.lines().count() > 500, "{}", log.lines().count());
    for code in [
        "OK",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "INTERNAL",
        "UNAVAILABLE",
        "UNKNOWN",
    ] {
        assert!(hunt.codes.contains_key(code), "no {code}: {:?}", hunt.codes);
    }
    // one of each kind says enough
    let mut kinds = BTreeMap::new();
    for find in found {
        let kind = find.split(", after ").next().unwrap().to_owned();
        kinds.entry(kind).or_insert(find);
    }
    assert!(kinds.is_empty(), "{:#?}", kinds.values());
}

/// What is found in the files of the trail.
fn files(hunt: &Hunt) -> Vec<String> {
    let mut found = Vec::new();
    let mut trail = 0;
    for entry in fs::read_dir(hunt.served.setup.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        trail += usize::from(name.starts_with("trail.db"));
        found.extend(hunt.look(&name, &fs::read(&path).unwrap()));
    }
    assert!(trail > 0, "the trail is not there");
    found
}
