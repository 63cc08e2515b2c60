//! Handlers that panic: at every point at which they ask for the time or for
//! randomness, one after the other. These come from outside, so a test can make
//! the real handler panic there.

use std::{
    collections::HashSet,
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Instant, SystemTime},
};

use keygate::{
    clock::{self, Clock},
    config::Config,
    random::{self, Random},
    server::Server,
    telemetry::Logs,
};
use prost::Message as _;
use serde_json::{Value as Json, json};
use tokio::task;

use super::{
    bench::call,
    expected::{End, Expected, internals, records_of},
    method::{self, Kind},
};
use crate::support::{
    gateway::{Client, records},
    serve::{Setup, until},
    served::{MAIN, target},
    upstreams::{Place, Upstreams, inject},
};

/// What the panics say; nobody outside may read it.
const WORDS: &str = "panicked on purpose in src/error_table.rs";

/// Keeps the panics that are on purpose out of the output: there are hundreds.
fn be_quiet() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref() != Some(&WORDS) {
            usual(info);
        }
    }));
}

/// Time and randomness that panic at the n-th use.
#[derive(Clone)]
struct Trap {
    left: Arc<AtomicUsize>,
    /// Tasks that ask for the time when nobody calls: they are no handlers.
    idle: Arc<Mutex<HashSet<task::Id>>>,
    is_idle: Arc<AtomicBool>,
    clock: Clock,
    random: Random,
}

impl Trap {
    fn new() -> Self {
        Self {
            left: Arc::default(),
            idle: Arc::default(),
            is_idle: Arc::default(),
            clock: Clock::system(),
            random: Random::system(),
        }
    }

    /// Waits until whoever needs the time when nobody calls has asked for it.
    async fn learn_who_is_idle(&self) {
        self.is_idle.store(true, SeqCst);
        let found = || (!self.idle.lock().unwrap().is_empty()).then_some(());
        until("somebody looks after what is not known", found).await;
        self.is_idle.store(false, SeqCst);
    }

    /// Panics at the n-th use from now, 1 being the next.
    fn set(&self, n: usize) {
        self.left.store(n, SeqCst);
    }

    /// Whether it has not panicked since it was set. It will not any more.
    fn disarm(&self) -> bool {
        self.left.swap(0, SeqCst) > 0
    }

    fn used(&self) {
        // the trail's thread is not a handler
        let Some(task) = task::try_id() else {
            return;
        };
        let mut idle = self.idle.lock().unwrap();
        if self.is_idle.load(SeqCst) {
            idle.insert(task);
        }
        if idle.contains(&task) {
            return;
        }
        drop(idle);
        let used = self
            .left
            .fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1));
        if used == Ok(1) {
            panic::panic_any(WORDS);
        }
    }
}

impl clock::Source for Trap {
    fn now(&self) -> SystemTime {
        self.used();
        self.clock.now()
    }

    fn instant(&self) -> Instant {
        self.used();
        self.clock.instant()
    }
}

impl random::Source for Trap {
    fn fill(&self, buffer: &mut [u8]) {
        self.used();
        buffer.copy_from_slice(&self.random.bytes::<64>()[..buffer.len()]);
    }
}

#[tokio::test]
async fn a_handler_that_panics_tells_nothing_and_is_recorded_and_the_server_goes_on() {
    be_quiet();
    let upstreams = Upstreams::start(Place::everywhere(MAIN)).await;
    let setup = Setup::new("", &upstreams.config).await;
    let trap = Trap::new();
    let config = Config::load(&setup.config()).unwrap();
    let clock = Clock::from_source(trap.clone());
    let random = Random::from_source(trap.clone());
    let server = Server::start(config, Logs::default(), clock, random)
        .await
        .unwrap();
    let client = Client::new(server.grpc());
    let token = setup.token();

    // from here on the keys of the issuer are there: nobody else needs the time
    let who = "keygate.access.v1.AccessService/WhoAmI";
    let message = client.request(who, "");
    client.call(who, Some(&token), &message).await.ok();

    // a change whose answer is lost: from here on what became of it is looked for
    let site = upstreams.at("datadog/us1/main");
    let lost = json!({ "count": 1, "apply": false, "fault": { "reset": "before_response" } });
    inject(site, lost);
    let create = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
    let message = client.request(create, "");
    let answer = client.call(create, Some(&token), &message).await;
    assert_eq!(answer.reason(), "OUTCOME_UNKNOWN");
    trap.learn_who_is_idle().await;

    let mut cells = Vec::new();
    for method in method::all() {
        for n in 1.. {
            let id = format!("{n}.{}", method.name);
            let target = target(&client, &method.name, &token, MAIN).await;
            let message = client.request_at(&method.name, &target, MAIN);
            let request = call(message.encode_to_vec().into(), Some(&token), &id);
            trap.set(n);
            let answer = client.send(&method.name, request).await;
            if trap.disarm() {
                // it has been made to panic everywhere
                assert_eq!(answer.request_id, Some(id));
                let there_is = method.kind != Kind::NotOffered;
                let (right, reason) = (answer.code() == "OK", answer.reason());
                assert_eq!(right, there_is, "{}: {reason}", method.name);
                break;
            }
            assert!(n < 100, "{}: there is no end to it", method.name);
            cells.push((method.clone(), id, answer));
        }
    }
    server.shutdown().await.unwrap();
    let records = records_of(records(&setup.config(), &[]));
    let (mut problems, mut before, mut after) = (Vec::new(), 0, 0);
    let mut begun = None;
    for (method, id, answer) in &cells {
        let Some(records) = records.get(id) else {
            // until there is a call, a panic breaks the connection
            if answer.request_id.is_some() || begun == Some(&method.name) {
                problems.push(format!("{id}: no record"));
            }
            continue;
        };
        begun = Some(&method.name);
        let intended = records.iter().any(|it| it["kind"] == "intent");
        before += usize::from(method.is_mutation() && !intended);
        after += usize::from(intended);
        let expected = expected(intended, records);
        let found = expected
            .problems_of_answer(method, id, answer)
            .into_iter()
            .chain(expected.problems_of_records(method, records))
            .chain(answer.result.as_ref().err().and_then(internals));
        problems.extend(found.map(|it| format!("{id}: {it}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(before > 0 && after > 0, "{before} before, {after} after");
}

/// A change that was about to be made may have been made; nothing else was done.
fn expected(intended: bool, records: &[Json]) -> Expected {
    // upstream may have answered before
    let status = records.last().and_then(|it| it["upstream_status"].as_u64());
    let status = status.map(|it| u16::try_from(it).unwrap());
    let expected = if intended {
        Expected::new("UNKNOWN", "OUTCOME_UNKNOWN", End::Outcome("unknown"))
    } else {
        Expected::new("INTERNAL", "INTERNAL", End::Refused)
    };
    Expected {
        upstream: status.map(|it| it..=it),
        ..expected
    }
}
