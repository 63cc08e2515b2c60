//! Canaries: random secrets in every credential, key value and token. None may
//! turn up in logs, metrics, trail, statuses or `Debug` output, whatever goes
//! wrong and however much is logged.

mod search;
mod shown;

use std::{collections::BTreeMap, fs};

use keygate::{
    config::Config,
    sandbox::datadog::{self, Site},
};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use tonic::Status;

use crate::support::{
    gateway::{Answer, Client, methods},
    http::Http,
    served::{Org, SANDBOX_POLICY, Served, inject, resource, text},
};
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
    values: Vec<String>,
    /// How often each code came.
    codes: BTreeMap<&'static str, usize>,
}

const MAKERS: [&str; 3] = [
    "keygate.datadog.v2.ApiKeyService/CreateApiKey",
    "keygate.datadog.v2.CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey",
    "keygate.datadog.v2.PersonalAccessTokenService/CreatePersonalAccessToken",
];

/// A random text that no format explains.
fn odd() -> String {
    let random = keygate::random::Random::system();
    format!("odd/{}+{}=&%?~", random.uuid(), random.uuid())
}

impl Hunt {
    async fn start() -> Self {
        let mut other = Org::new("eu", "main", None);
        other.options = datadog::Options {
            api_key: Some(odd().into()),
            app_key: Some(odd().into()),
            ..other.options
        };
        let orgs = vec![Org::new("us1", "main", None), other];
        let served = Served::start(SANDBOX_POLICY, orgs, "trace").await;
        let mut search = Search::default();
        for site in &served.sites {
            search.add("an API key of ours", site.api_key().expose_secret());
            search.add("an application key of ours", site.app_key().expose_secret());
        }
        let mut hunt = Self {
            client: served.client(),
            admin: String::new(),
            served,
            search,
            seen: Vec::new(),
            values: Vec::new(),
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

    /// The value of a key that was made is looked for from now on.
    fn learn(&mut self, value: &str) {
        if self.values.iter().any(|it| it == value) {
            return;
        }
        self.search.add("a key's value", value);
        if let Some((_, secret)) = value.rsplit_once('_') {
            self.search.add("a token's secret part", secret);
        }
        self.values.push(value.to_owned());
    }

    /// So is everything that the simulators hold.
    fn learn_all(&mut self) {
        for state in self.served.sites.clone().iter().map(Site::state) {
            for kind in ["api_keys", "application_keys", "access_tokens"] {
                for key in state[kind].as_array().unwrap() {
                    self.learn(key["key"].as_str().unwrap());
                }
            }
        }
    }

    /// Secrets that upstream might repeat: ours at that site, and keys' values.
    fn secrets(&self, at: usize) -> Vec<String> {
        let site = &self.served.sites[at];
        let ours = [site.api_key(), site.app_key()].map(|it| it.expose_secret().to_owned());
        let values = self.values.iter().rev().take(4).cloned();
        ours.into_iter().chain(values).collect()
    }

    async fn call(&mut self, method: &str, token: Option<&str>, request: &DynamicMessage) {
        let answer = self.client.call(method, token, request).await;
        // the answer to one who may reveal holds the value; that to a list never
        let revealed = token == Some(&self.admin) && !method.contains("/List");
        self.see(method, answer, revealed);
    }

    fn see(&mut self, method: &str, answer: Answer, revealed: bool) {
        *self.codes.entry(answer.code()).or_default() += 1;
        let id = answer.request_id.unwrap_or_default();
        self.seen.push(("a request id".to_owned(), id.into_bytes()));
        let seen = match answer.result {
            Ok(response) => {
                if !revealed {
                    let bytes = response.encode_to_vec();
                    self.seen.push((format!("{method}'s answer"), bytes));
                }
                shown(method, &response).into_bytes()
            }
            Err(status) => all_of(&status),
        };
        self.seen.push((format!("what is shown of {method}"), seen));
    }

    /// A new key or token for a method that takes an id. Its request.
    async fn request(&mut self, method: &str, site: i32) -> DynamicMessage {
        let input = self.client.method(method).input();
        let fields = ["api_key_id", "app_key_id", "token_id"];
        let maker = fields
            .iter()
            .position(|it| input.get_field_by_name(it).is_some());
        let mut target = String::new();
        if let Some(maker) = maker {
            let maker = MAKERS[maker];
            let request = self.at(site, self.client.request(maker, ""));
            let made = self.client.call(maker, Some(&self.admin), &request).await;
            let made = resource(made);
            self.learn(&text(&made, "key"));
            target = text(&made, "id");
        }
        self.at(site, self.client.request(method, &target))
    }

    fn at(&self, site: i32, mut request: DynamicMessage) -> DynamicMessage {
        if request.has_field_by_name("site") {
            request.set_field_by_name("site", prost_reflect::Value::EnumNumber(site));
        }
        request
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

/// Answers that repeat secrets, in every way that is looked at.
fn repeating(secrets: &[String]) -> Vec<Json> {
    let words = format!("these are no good: {}", secrets.join(", "));
    let headers = json!({
        "x-request-id": secrets[0],
        "x-ratelimit-name": secrets[1],
        "location": format!("https://example.test/?api_key={}", secrets[0]),
        "set-cookie": format!("key={}", secrets[1]),
        "www-authenticate": format!("Bearer realm=\"{}\"", secrets[0]),
    });
    let plain = json!({ "errors": [words] });
    let objects = json!({ "errors": [{ "title": words, "detail": words, "meta": words }] });
    let data = json!({ "data": { "id": 1, "type": "api_keys", "attributes": { "name": words } } });
    let mut faults = Vec::new();
    for status in [302, 400, 401, 403, 404, 408, 409, 422, 500] {
        faults.push(json!({ "status": status, "body": plain, "headers": headers }));
    }
    for body in [objects.to_string(), format!("<html><b>{words}</b></html>")] {
        faults.push(json!({ "status": 400, "body": body, "headers": headers }));
    }
    // answers that make no sense
    for body in [
        data.to_string(),
        words.clone(),
        format!("{{\"data\":\"{words}"),
    ] {
        faults.push(json!({ "status": 200, "body": body, "headers": headers }));
    }
    faults.push(json!({ "reset": "mid_body" }));
    faults.push(json!({ "truncate": true }));
    faults
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

    for (at, site) in [(0, 1), (1, 4)] {
        for method in methods() {
            // what works, and what is refused at the door
            for token in [&admin, &reader, &nobody, &forged, &basic] {
                let request = hunt.request(&method, site).await;
                hunt.call(&method, Some(token), &request).await;
            }
            // what upstream refuses, in words that hold secrets: keys' values,
            // and credentials that don't look like any
            if site == 1 || method.starts_with("keygate.access.v1.") {
                continue;
            }
            let request = hunt.request(&method, site).await;
            let secrets = hunt.secrets(at);
            for fault in repeating(&secrets) {
                inject(&hunt.served.sites[at], json!({ "fault": fault }));
                hunt.call(&method, Some(&admin), &request).await;
                hunt.served.sites[at].faults().clear();
            }
        }
    }
    // a limit whose name is a secret: told by upstream, then by the gateway
    for (at, site) in [(0, 1), (1, 4)] {
        let name = hunt.served.sites[at].api_key().expose_secret().to_owned();
        let headers = json!({ "x-ratelimit-name": name, "retry-after": "3600" });
        let fault = json!({ "status": 429, "body": name, "headers": headers });
        inject(&hunt.served.sites[at], json!({ "fault": fault }));
        for method in methods() {
            let request = hunt.at(site, hunt.client.request(&method, "0a0a"));
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
    let plain = Http::new(&hunt.served.http, Vec::new());
    found.extend(hunt.look("the metrics", &plain.get("/metrics").await.body));
    let config = Config::load(&hunt.served.config()).unwrap();
    let config = format!("{config:?}\n{config:#?}");
    found.extend(hunt.look("the configuration", config.as_bytes()));
    let records = hunt.served.records();
    let text = serde_json::to_string_pretty(&records).unwrap();
    found.extend(hunt.look("the records", text.as_bytes()));
    found.extend(files(&hunt));
    hunt.served.process.terminate();
    found.extend(files(&hunt));
    let log = hunt.served.process.logged();
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
    for entry in fs::read_dir(hunt.served.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".secret") {
            continue;
        }
        trail += usize::from(name.starts_with("trail.db"));
        found.extend(hunt.look(&name, &fs::read(&path).unwrap()));
    }
    assert!(trail > 0, "the trail is not there");
    found
}
