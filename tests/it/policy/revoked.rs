//! What is under way when it is denied, narrowed, or its caller's token ends.

use std::time::Duration;

use bytes::Bytes;
use keygate::{clock::Clock, sandbox::issuer::Claims, tasks::Tasks};
use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;

use super::{Caller, WHO_AM_I, replace};
use crate::support::{
    gateway::{Client, method},
    serve::until,
    served::{SANDBOX_POLICY, Served, resource, text},
    upstreams::inject,
};

/// Streams, one by number of page and one by cursor, what makes what they list,
/// and the field that holds it.
const STREAMS: [(&str, &str, &str); 2] = [
    (
        "datadog.v2.ApiKeyService/StreamApiKeys",
        "datadog.v2.ApiKeyService/CreateApiKey",
        "api_key",
    ),
    ("StreamServiceTokens", "CreateServiceToken", "service_token"),
];
const KEYS: usize = 230;

/// A name that takes room, so that few fit between the gateway and a caller who
/// does not read.
fn long(name: &str, number: usize) -> String {
    format!("{name}-{number} {}", "long ".repeat(180))
}

/// Makes keys whose names begin with these in turn.
async fn make(admin: &Caller, create: &'static str, names: &[&str]) {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..KEYS {
        let admin = admin.clone();
        let name = long(names[number % names.len()], number);
        calls.spawn(async move { admin.call(create, json!({ "name": name })).await.ok() });
    }
    calls.join_all().await;
}

/// A stream of which the first message has been read.
struct Begun {
    method: &'static str,
    messages: Streaming<Bytes>,
    read: Vec<DynamicMessage>,
    id: String,
}

impl Begun {
    async fn new(served: &Served, caller: &Caller, stream: &str) -> Self {
        let client = Client::with(served.gateway.grpc, |it| {
            it.initial_stream_window_size(4096)
                .initial_connection_window_size(4096)
        });
        let (method, mut call) = caller.ready(stream, &json!({}));
        let id = keygate::random::Random::system().uuid().to_string();
        call.metadata_mut()
            .insert("x-request-id", id.parse().unwrap());
        let messages = client.open(method, call).await.unwrap().into_inner();
        let mut begun = Self {
            method,
            messages,
            read: Vec::new(),
            id,
        };
        assert!(begun.next().await.unwrap());
        begun
    }

    /// Reads a message, if there is one.
    async fn next(&mut self) -> Result<bool, Status> {
        let Some(message) = self.messages.message().await? else {
            return Ok(false);
        };
        let message = DynamicMessage::decode(method(self.method).output(), message);
        self.read.push(message.unwrap());
        Ok(true)
    }

    /// Reads on to the end.
    async fn end(&mut self) -> Result<(), Status> {
        while self.next().await? {}
        Ok(())
    }

    /// Its record, as soon as there is one.
    async fn record(&self, served: &Served) -> Json {
        until("it is recorded", || {
            let mut records = served.records();
            records.retain(|it| it["request_id"] == self.id);
            assert!(records.len() < 2, "{records:#?}");
            records.pop()
        })
        .await
    }
}

fn told(status: &Status) -> (&'static str, String, String) {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    let rule = info.metadata.get("rule").cloned();
    (
        keygate::status::code_name(status.code()),
        info.reason.clone(),
        rule.unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_stream_ends_within_a_second_when_it_is_denied() {
    for (stream, create, _) in STREAMS {
        let served = Served::with_policy(SANDBOX_POLICY).await;
        let admin = Caller::new(&served, "admin", &["admin"]);
        make(&admin, create, &["a"]).await;
        for (deny, rule) in [
            ("[deny]\nsubjects = [\"mallory\"]\n", "deny.subjects[0]"),
            ("[deny]\nrpcs = [\"*/Stream*\"]\n", "deny.rpcs[0]"),
            (
                "[deny]\nupstreams = [\"*/*/main\", \"braintrust/main\"]\n",
                "",
            ),
        ] {
            let mallory = Caller::new(&served, "mallory", &["admin"]);
            let mut begun = Begun::new(&served, &mallory, stream).await;
            let clock = Clock::system();
            let written = clock.instant();
            replace(&served, &format!("{SANDBOX_POLICY}{deny}"));
            // nobody reads meanwhile
            let record = begun.record(&served).await;
            let after = clock.instant() - written;
            assert!(after < Duration::from_secs(1), "{stream}: {after:?}");
            let ended = begun.end().await.unwrap_err();
            let (code, reason, named) = told(&ended);
            assert_eq!((code, &*reason), ("PERMISSION_DENIED", "POLICY_DENIED"));
            assert!(
                named.starts_with(rule) && named.starts_with("deny."),
                "{named}"
            );
            assert_eq!(record["kind"], "denied", "{record:#}");
            assert_eq!(record["rule"], named, "{record:#}");
            assert_eq!(record["code"], code, "{record:#}");
            // what it got before is what it got, and is what is recorded
            assert_eq!(record["items"], begun.read.len(), "{record:#}");
            assert!(begun.read.len() < KEYS, "{record:#}");

            replace(&served, SANDBOX_POLICY);
            while mallory.call(stream, json!({})).await.reason() == "POLICY_DENIED" {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_grant_is_taken_away_ends_too() {
    let (stream, create, _) = STREAMS[0];
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let admin = Caller::new(&served, "admin", &["admin"]);
    make(&admin, create, &["a"]).await;
    let reader = Caller::new(&served, "reader", &["reader"]);
    let mut begun = Begun::new(&served, &reader, stream).await;
    let policy = SANDBOX_POLICY.replace("claim = \"reader\"", "claim = \"another\"");
    replace(&served, &policy);
    let record = begun.record(&served).await;
    let ended = begun.end().await.unwrap_err();
    assert_eq!(told(&ended).2, "no grant fits the caller");
    assert_eq!(record["kind"], "denied", "{record:#}");
    assert_eq!(record["permission"], "api_keys_read", "{record:#}");
    assert_eq!(record["items"], begun.read.len(), "{record:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_stream_shows_what_the_policy_lets_through_from_then_on() {
    let narrow = SANDBOX_POLICY.replace("[roles.reader]", "[roles.reader]\nnames = [\"b-*\"]");
    for (stream, create, field) in STREAMS {
        let served = Served::with_policy(SANDBOX_POLICY).await;
        let admin = Caller::new(&served, "admin", &["admin"]);
        make(&admin, create, &["a", "b"]).await;
        let reader = Caller::new(&served, "reader", &["reader"]);
        let mut begun = Begun::new(&served, &reader, stream).await;
        let before = text(
            &admin.call(WHO_AM_I, json!({})).await.ok(),
            "policy_version",
        );
        let version = async || {
            text(
                &admin.call(WHO_AM_I, json!({})).await.ok(),
                "policy_version",
            )
        };
        replace(&served, &narrow);
        while version().await == before {}
        begun.end().await.unwrap();

        let names: Vec<_> = begun
            .read
            .iter()
            .map(|it| {
                let key = it.get_field_by_name(field).unwrap();
                text(key.as_message().unwrap(), "name")
            })
            .collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "{stream}: twice");
        let of = |name: &str| names.iter().filter(|it| it.starts_with(name)).count();
        assert_eq!(of("b-"), KEYS / 2, "{stream}");
        // those were on their way
        assert!(of("a-") < KEYS / 4, "{stream}: {} of the others", of("a-"));
        let record = begun.record(&served).await;
        assert_eq!(record["outcome"], "succeeded", "{record:#}");
        assert_eq!(record["items"], names.len(), "{record:#}");
        assert_eq!(record["policy_version"], version().await, "{record:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_caller_s_token() {
    for (stream, create, _) in STREAMS {
        let served = Served::with_policy(SANDBOX_POLICY).await;
        let admin = Caller::new(&served, "admin", &["admin"]);
        make(&admin, create, &["a"]).await;
        let mut claims = Claims::new("brief", &["admin"]);
        claims.ttl = Duration::from_secs(3);
        let brief = Caller {
            client: served.client(),
            token: served.setup.mint(&claims),
        };
        let mut begun = Begun::new(&served, &brief, stream).await;
        let record = begun.record(&served).await;
        let ended = begun.end().await.unwrap_err();
        let (code, reason, _) = told(&ended);
        assert_eq!((code, &*reason), ("UNAUTHENTICATED", "TOKEN_EXPIRED"));
        assert_eq!(record["kind"], "refused", "{record:#}");
        assert_eq!(record["reason"], "TOKEN_EXPIRED", "{record:#}");
        assert_eq!(record["items"], begun.read.len(), "{record:#}");
        assert!(begun.read.len() < KEYS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_under_way_is_denied_and_a_change_that_was_sent_is_brought_to_its_end() {
    const GET: &str = "datadog.v2.ApiKeyService/GetApiKey";
    const CREATE: &str = "datadog.v2.ApiKeyService/CreateApiKey";
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let mallory = Caller::new(&served, "mallory", &["admin"]);
    let id = mallory.make(CREATE, json!({ "name": "a" })).await;
    let before = served.upstreams.requests().len();
    // longer than it takes for the policy to hold
    let slow = json!({ "fault": { "delay_ms": 4_000 } });
    inject(served.site(), slow);
    let (reader, creator) = (mallory.clone(), mallory.clone());
    let tasks = Tasks::new();
    let read = tasks.spawn(async move { reader.call(GET, json!({ "api_key_id": id })).await });
    let create = tasks.spawn(async move { creator.call(CREATE, json!({ "name": "b" })).await });
    until("both were sent", || {
        (served.upstreams.requests().len() == before + 2).then_some(())
    })
    .await;
    let clock = Clock::system();
    let written = clock.instant();
    replace(
        &served,
        &format!("{SANDBOX_POLICY}[deny]\nsubjects = [\"mallory\"]\n"),
    );
    let read = read.await.unwrap();
    let after = clock.instant() - written;
    assert!(after < Duration::from_secs(1), "{after:?}");
    assert_eq!(super::rule(&read), "deny.subjects[0]");
    // nobody else could ever show its value
    let made = resource(create.await.unwrap());
    assert!(made.has_field_by_name("key"));
    let kinds: Vec<_> = served
        .records()
        .into_iter()
        .skip(2)
        .map(|it| it["kind"].clone())
        .collect();
    assert_eq!(kinds.len(), 3);
    assert!(kinds.contains(&"denied".into()) && kinds.contains(&"intent".into()));
    assert_eq!(kinds[2], "outcome");
}
