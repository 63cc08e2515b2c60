//! Callers that make mixed calls to all vendors, one after the other, and keep
//! what they were told.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use keygate::{
    clock::Clock,
    contract::{Effect, Operation},
    random::Random,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _};
use tokio::task::JoinSet;
use tonic::Request;

use crate::support::{
    gateway::{Answer, Client, contract, method},
    vendors::{self, NAMES, Source},
};

/// How names begin that requests of the tests give; each is given once.
pub(crate) const NAME: &str = "a key of the tests ";

/// What a caller was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) request_id: String,
    pub(crate) rpc: &'static str,
    /// The gRPC code's name.
    pub(crate) code: &'static str,
    /// The `ErrorInfo.reason`.
    pub(crate) reason: String,
    /// The id of what was made, read or changed.
    pub(crate) id: Option<String>,
    /// Which caller it was.
    pub(crate) caller: usize,
    /// How many calls this had made before.
    pub(crate) before: u32,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Callers.
pub(crate) struct Callers {
    token: String,
    /// How the ids of their requests begin.
    name: &'static str,
    state: Mutex<State>,
    made: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Ids by the method that makes such, to be called on.
    targets: HashMap<&'static str, Vec<String>>,
    told: Vec<Told>,
}

impl Callers {
    pub(crate) fn new(token: String) -> Arc<Self> {
        Self::named("call", token)
    }

    /// Some that are told from others by the ids of their requests.
    pub(crate) fn named(name: &'static str, token: String) -> Arc<Self> {
        Arc::new(Self {
            token,
            name,
            state: Mutex::default(),
            made: AtomicU64::new(0),
        })
    }

    /// Starts so many callers, each with a connection of its own, that go on until
    /// it breaks, or a call was told that the trail can't be written.
    pub(crate) fn start(
        self: &Arc<Self>,
        callers: usize,
        client: impl Fn(usize) -> Client,
        random: &Random,
    ) -> JoinSet<()> {
        let mut all = JoinSet::new();
        for number in 0..callers {
            let (own, client, random) = (self.clone(), client(number), random.clone());
            all.spawn(async move {
                let mut before = 0;
                while own.call(number, &client, &random, before).await {
                    before += 1;
                }
            });
        }
        all
    }

    /// What all were told since this was asked last.
    pub(crate) fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.state.lock().unwrap().told)
    }

    /// How many have been told something since then.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().told.len()
    }

    /// What was made is not to be called on any more.
    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().targets.clear();
    }

    /// One call of any kind. Whether an answer came that lets one go on.
    async fn call(&self, caller: usize, client: &Client, random: &Random, before: u32) -> bool {
        let (operation, target) = self.choose(random);
        self.call_on(operation, &target, caller, client, before)
            .await
    }

    /// One call that makes something.
    pub(crate) async fn make(&self, client: &Client, rpc: &str) -> bool {
        self.on(client, rpc, "").await
    }

    /// One call on this key.
    pub(crate) async fn on(&self, client: &Client, rpc: &str, target: &str) -> bool {
        let operation = contract().operation(rpc).unwrap();
        self.call_on(operation, target, 0, client, 0).await
    }

    /// Makes a key, reads it with its value, and deletes it. Whether all of that was
    /// answered so that one can go on.
    pub(crate) async fn round(&self, client: &Client, service: &str) -> bool {
        let rpc = |verb: &str| format!("{service}/{verb}ApiKey");
        if !self.make(client, &rpc("Create")).await {
            return false;
        }
        let target = {
            let mut state = self.state.lock().unwrap();
            let made = state.targets.get_mut(rpc("Create").as_str());
            made.and_then(Vec::pop).unwrap()
        };
        self.on(client, &rpc("Get"), &target).await
            && self.on(client, &rpc("Delete"), &target).await
    }

    async fn call_on(
        &self,
        operation: &'static Operation,
        target: &str,
        caller: usize,
        client: &Client,
        before: u32,
    ) -> bool {
        let request = client.request(&operation.method, target);
        let number = self.made.fetch_add(1, Relaxed);
        let request_id = format!("{}-{number}", self.name);
        let mut call = Request::new(Bytes::from(request.encode_to_vec()));
        let metadata = call.metadata_mut();
        let token = format!("Bearer {}", self.token);
        metadata.insert("authorization", token.parse().unwrap());
        metadata.insert("x-request-id", request_id.parse().unwrap());
        metadata.insert("grpc-timeout", "20S".parse().unwrap());
        let clock = Clock::system();
        let since = clock.instant();
        let answer = client.send(&operation.method, call).await;
        let took = clock.instant() - since;
        let is_whole = is_whole(&answer);
        // whoever has the message was told what is in it, whatever came of the end
        let has_it =
            !answer.messages.is_empty() && !client.method(&operation.method).is_server_streaming();
        if !is_whole && !has_it {
            return false;
        }
        let code = if is_whole { answer.code() } else { "OK" };
        assert!(
            !has_it || code == "OK",
            "told beside an error: {:?}",
            answer.result
        );
        let reason = answer.reason();
        let may_go_on = is_whole && reason != "AUDIT_UNAVAILABLE" && reason != "OUTCOME_UNKNOWN";
        let id = answer.messages.first().and_then(id);
        let mut state = self.state.lock().unwrap();
        state.told.push(Told {
            request_id,
            rpc: &operation.method,
            code,
            reason,
            id: id.clone(),
            caller,
            before,
            took,
        });
        if operation.effect == Effect::Create
            && let Some(id) = id
        {
            state.targets.entry(&operation.method).or_default().push(id);
        }
        may_go_on
    }

    /// A method, and what it is called on; most of them change something.
    fn choose(&self, random: &Random) -> (&'static Operation, String) {
        let [kind, which, at, _] = random.bytes::<4>().map(usize::from);
        static METHODS: OnceLock<[Vec<&Operation>; 2]> = OnceLock::new();
        let [changes, reads] = METHODS.get_or_init(|| methods().into());
        let of = if kind < 200 { changes } else { reads };
        let operation: &'static Operation = of[which % of.len()];
        let Some(maker) = maker(operation) else {
            return (operation, String::new());
        };
        let mut state = self.state.lock().unwrap();
        match state.targets.get_mut(maker).filter(|it| !it.is_empty()) {
            Some(targets) => {
                let at = at % targets.len();
                let target = match operation.effect {
                    // nobody else is to be called on what may be gone
                    Effect::Delete => targets.swap_remove(at),
                    _ => targets[at].clone(),
                };
                (operation, target)
            }
            None => (contract().operation(maker).unwrap(), String::new()),
        }
    }
}

/// Whether it came from keygate, and to its end.
fn is_whole(answer: &Answer) -> bool {
    match answer.details() {
        None => true,
        Some(details) => details.error_info().is_some(),
    }
}

/// The methods that change something, and those that don't.
fn methods() -> (Vec<&'static Operation>, Vec<&'static Operation>) {
    let all = contract().operations().iter();
    all.filter(|it| it.not_offered.is_none() && !it.deprecated)
        .filter(|it| is_simple(it))
        .partition(|it| it.effect.is_mutation())
}

/// Whether it takes one id, of something that can be made, or none; and answers
/// with little.
fn is_simple(operation: &Operation) -> bool {
    // a stream's record comes when it ends, after what it tells
    let listed = ["List", "Stream", "Watch"];
    if listed.iter().any(|it| operation.rpc.starts_with(it)) {
        return operation.method == "keygate.datadog.v2.ApiKeyService/ListApiKeys";
    }
    let key = vendors::key(&method(&operation.method));
    key.is_none_or(|it| it.member == "id" && matches!(it.source, Source::Made(_)))
}

/// The method that makes what a method is called on.
fn maker(operation: &Operation) -> Option<&'static str> {
    match vendors::key(&method(&operation.method))?.source {
        Source::Made(maker) => Some(maker),
        Source::Listed(_) => None,
    }
}

/// The id of the one key or token in an answer.
fn id(message: &DynamicMessage) -> Option<String> {
    let descriptor = message.descriptor();
    let mut keys = descriptor
        .fields()
        .filter(|it| !it.is_list() && message.has_field(it));
    keys.find_map(|field| {
        let value = message.get_field(&field);
        let id = value.as_message()?.get_field_by_name("id")?;
        Some(id.as_str()?.to_owned())
    })
}

#[tokio::test]
async fn there_is_something_to_call_everywhere() {
    let (changes, reads) = methods();
    for vendor in vendors::ALL {
        let package = format!("keygate.{}.", vendor.name);
        for methods in [&changes, &reads] {
            assert!(methods.iter().any(|it| it.method.starts_with(&package)));
        }
    }
    let request = Client::new(([127, 0, 0, 1], 1).into());
    for operation in changes {
        let request = request.request(&operation.method, "x");
        let named = NAMES.iter().find_map(|it| request.get_field_by_name(it));
        let named = named.is_some_and(|it| it.as_str().unwrap().starts_with(NAME));
        assert!(
            named || maker(operation).is_some(),
            "{}: nothing would tell its effect",
            operation.method
        );
    }
}
