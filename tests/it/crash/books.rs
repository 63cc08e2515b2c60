//! Compares what callers were told and what the vendors have received with what
//! the trail says.
//!
//! A change is known by its upstream's route and by the name that the request
//! gives, which no other has, or by the ids that it is about.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::OnceLock,
};

use keygate::{
    audit::{Kind, Location, Order, Outcome, Position, Query, Reader, Record, Settings, Stored},
    contract::Operation,
};
use serde_json::Value as Json;

use super::callers::{NAME, Told};
use crate::support::{
    gateway::{contract, method},
    upstreams::Upstreams,
    vendors::{self, NAMES},
};

/// A change: the vendor, the route, and what of.
type Change = (String, String, String);

/// The trail so far, and what the vendors that run now have received.
#[derive(Clone, Default)]
pub(crate) struct Books {
    last: Option<Position>,
    /// The intents of calls without a terminal record, by the call.
    open: HashMap<String, Vec<Record>>,
    /// The calls that have one.
    ended: HashSet<String>,
    /// Terminal records by the request's id.
    by_request: HashMap<String, Vec<Record>>,
    intents: HashMap<Change, usize>,
    succeeded: HashMap<Change, usize>,
    /// Every key that was made, and not asked to be deleted.
    made: HashSet<String>,
    received: HashMap<Change, usize>,
    accepted: HashMap<Change, usize>,
    /// The last request of each vendor that was looked at.
    seen: HashMap<String, u64>,
    /// How many outcomes there are of each kind.
    pub(crate) outcomes: HashMap<&'static str, usize>,
}

/// The records of a trail after this position, oldest first.
pub(crate) fn records(trail: &Path, after: Option<Position>) -> Vec<Stored> {
    let settings = Settings {
        store: Location::Sqlite(trail.to_owned()),
        origin: "keygate".to_owned(),
        signer: None,
    };
    let reader = Reader::open(&settings).unwrap();
    let query = Query {
        order: Order::Oldest,
        after,
        ..Query::default()
    };
    reader.records(query).map(Result::unwrap).collect()
}

impl Books {
    /// Reads what the trail says since it was read last. No call may be under way.
    ///
    /// # Panics
    /// If a place is empty, a call has ended twice, or one has not ended.
    pub(crate) fn read(&mut self, trail: &Path) {
        for Stored {
            position, record, ..
        } in records(trail, self.last)
        {
            let next = self.last.map_or(0, |it| it.0 + 1);
            assert_eq!(position.0, next, "a place in the trail is empty");
            self.last = Some(position);
            self.enter(record);
        }
        let open: Vec<_> = self.open.values().collect();
        assert!(open.is_empty(), "intents without an outcome: {open:#?}");
    }

    fn enter(&mut self, record: Record) {
        match record.kind {
            Kind::Intent => {
                if let Some(change) = changes(&record) {
                    *self.intents.entry(change).or_default() += 1;
                }
                if record.effect.as_deref() == Some("delete") {
                    self.made.remove(id(&record));
                }
                let open = self.open.entry(record.call.clone()).or_default();
                open.push(record);
            }
            Kind::Outcome | Kind::Denied | Kind::Refused => self.end(record),
            // they end no call
            Kind::Reconciled | Kind::Pruned | Kind::Rotated => {}
        }
    }

    fn end(&mut self, record: Record) {
        if let Some(outcome) = record.outcome {
            *self.outcomes.entry(outcome.name()).or_default() += 1;
        }
        // a call about several keys has a pair of records for each
        if let Some(open) = self.open.get_mut(&record.call) {
            let own = open.iter().position(|it| id(it) == id(&record));
            open.remove(own.unwrap_or(0));
            if open.is_empty() {
                self.open.remove(&record.call);
            }
            self.ended.insert(record.call.clone());
        } else {
            let first = self.ended.insert(record.call.clone());
            assert!(first, "a call has ended twice: {record:#?}");
        }
        if record.outcome == Some(Outcome::Succeeded) {
            if let Some(change) = changes(&record) {
                *self.succeeded.entry(change).or_default() += 1;
            }
            if record.effect.as_deref() == Some("create") {
                self.made.insert(id(&record).to_owned());
            }
        }
        let request = record.request_id.clone().unwrap();
        self.by_request.entry(request).or_default().push(record);
    }

    /// Every answer has its terminal record, which says the same.
    pub(crate) fn tell(&mut self, told: &[Told]) {
        for told in told {
            let records = self.by_request.get(&told.request_id);
            let records = records.unwrap_or_else(|| panic!("{told:?} is not in the trail"));
            for record in records {
                assert_eq!(record.rpc.as_deref(), Some(told.rpc), "{told:?}");
                assert_eq!(record.code.as_deref(), Some(told.code), "{told:?}");
                if told.code == "OK" {
                    assert_eq!(record.outcome, Some(Outcome::Succeeded), "{told:?}");
                }
                if let Some(told) = &told.id {
                    assert_eq!(id(record), told, "{record:#?}");
                }
            }
        }
        self.by_request.clear();
    }

    /// Every effect upstream has its intent, and every recorded success happened.
    pub(crate) fn compare(&mut self, upstreams: &Upstreams) {
        for (place, simulator) in upstreams.all() {
            let vendor = place.vendor.name;
            let state = simulator.state();
            for request in state["requests"].as_array().unwrap() {
                self.receive(vendor, request);
            }
            let text = state.to_string();
            let made = std::mem::take(&mut self.made);
            self.made = made.into_iter().filter(|it| !text.contains(it)).collect();
        }
        assert!(self.made.is_empty(), "made, and not there: {:?}", self.made);
        for (change, received) in &self.received {
            let intents = self.intents.get(change).copied().unwrap_or_default();
            assert!(
                *received <= intents,
                "{received} of {change:?}, {intents} intents"
            );
        }
        for (change, succeeded) in &self.succeeded {
            let accepted = self.accepted.get(change).copied().unwrap_or_default();
            assert!(
                *succeeded <= accepted,
                "{succeeded} of {change:?}, {accepted} upstream"
            );
        }
    }

    fn receive(&mut self, vendor: &str, request: &Json) {
        let number = request["number"].as_u64().unwrap();
        let seen = self.seen.entry(vendor.to_owned()).or_default();
        if number <= *seen {
            return;
        }
        // an entry that fell out of the log would be one that nobody looked at
        assert_eq!(number, *seen + 1, "{vendor}'s log is too short");
        *seen = number;
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let route = routed(&format!("{} {}", text("method"), text("route")));
        if !mutations().contains(&(vendor.to_owned(), route.clone())) {
            return;
        }
        let accepted = request["status"].as_u64().is_some_and(|it| it < 300);
        for of in subjects(request) {
            let change = (vendor.to_owned(), route.clone(), of);
            *self.accepted.entry(change.clone()).or_default() += usize::from(accepted);
            *self.received.entry(change).or_default() += 1;
        }
    }

    /// The vendors are new ones, which have received nothing.
    pub(crate) fn turn(&mut self) {
        self.intents.clear();
        self.succeeded.clear();
        self.made.clear();
        self.received.clear();
        self.accepted.clear();
        self.seen.clear();
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> u64 {
        self.last.map_or(0, |it| it.0 + 1)
    }
}

fn id(record: &Record) -> &str {
    let resource = record.resource.as_ref();
    resource.and_then(|it| it.id.as_deref()).unwrap_or_default()
}

/// The changes that a record is about.
fn changes(record: &Record) -> Option<Change> {
    let operation = contract().operation(record.rpc.as_deref()?).unwrap();
    if !operation.effect.is_mutation() {
        return None;
    }
    let resource = record.resource.as_ref().unwrap();
    // an answer may tell the name of what was not named in the request
    let input = method(&operation.method).input();
    let gives = NAMES.iter().any(|it| input.get_field_by_name(it).is_some());
    let name = resource
        .name
        .as_deref()
        .filter(|it| gives && it.starts_with(NAME));
    let copied = resource.copy_of.as_deref();
    let of = name.or(copied).unwrap_or_else(|| id(record));
    let route = routed(operation.route.as_deref().unwrap());
    Some((operation.provider().to_owned(), route, of.to_owned()))
}

/// What a request is about: its name, or the ids in its body or its path.
fn subjects(request: &Json) -> Vec<String> {
    let body = &request["body"];
    if let Some(name) = named(body) {
        return vec![name.to_owned()];
    }
    let (path, route) = (request["path"].as_str(), request["route"].as_str());
    let (path, route) = (path.unwrap(), route.unwrap());
    if route.ends_with("/bulk") {
        let ids = body.as_array().or_else(|| body["apiKeyIds"].as_array());
        let ids = ids.unwrap_or_else(|| panic!("{request}")).iter();
        return ids.map(|it| it.as_str().unwrap().to_owned()).collect();
    }
    // the last part of the path that the route does not name
    let path = path.split('?').next().unwrap_or_default();
    let parts = path.split('/').zip(route.split('/'));
    let ids = parts.filter(|(_, name)| name.starts_with('{'));
    vec![ids.last().unwrap().0.to_owned()]
}

/// The name that a request gives, wherever in its body.
fn named(body: &Json) -> Option<&str> {
    match body {
        Json::String(text) => Some(text.as_str()).filter(|it| it.starts_with(NAME)),
        Json::Array(all) => all.iter().find_map(named),
        Json::Object(all) => all.values().find_map(named),
        _ => None,
    }
}

/// A route without the names of its parameters.
fn routed(route: &str) -> String {
    let part = |it: &str| if it.starts_with('{') { "{}" } else { it }.to_owned();
    route.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The vendors' routes that change something.
fn mutations() -> &'static HashSet<(String, String)> {
    static MUTATIONS: OnceLock<HashSet<(String, String)>> = OnceLock::new();
    MUTATIONS.get_or_init(|| {
        let all = contract().operations().iter();
        let changing = all.filter(|it| it.effect.is_mutation());
        let route = |it: &Operation| Some((it.provider().to_owned(), routed(it.route.as_ref()?)));
        let all: HashSet<_> = changing.filter_map(route).collect();
        assert!(
            vendors::ALL
                .iter()
                .all(|it| all.iter().any(|(name, _)| name == it.name))
        );
        all
    })
}
