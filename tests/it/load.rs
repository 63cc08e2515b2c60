//! Many calls at once, and many in a row.

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use axum::{Router, http::header::CONTENT_TYPE, routing};
use bytes::Bytes;
use keygate::tasks::Tasks;
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::Request;

use crate::support::{
    gateway::{Answer, Client, Sandbox},
    serve::Setup,
};

const SERVICE: &str = "keygate.datadog.v2.CurrentUserApplicationKeyService";
const CALLS: usize = 1000;
const CONNECTIONS: usize = 8;
const SITES: usize = 9;

/// The site and the request id of a call.
fn called(step: &str, number: usize) -> (Value, String) {
    let site = i32::try_from(number % SITES).unwrap() + 1;
    (Value::EnumNumber(site), format!("{step}-{number}"))
}

async fn call(
    client: Client,
    rpc: String,
    token: Arc<str>,
    request: DynamicMessage,
    id: String,
) -> Answer {
    let mut call = Request::new(Bytes::from(request.encode_to_vec()));
    let metadata = call.metadata_mut();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    metadata.insert("x-request-id", id.parse().unwrap());
    let answer = client.send(&rpc, call).await;
    assert_eq!(answer.request_id.as_deref(), Some(id.as_str()));
    answer
}

/// Makes all calls at once. Each key's id, name and value.
async fn all_at_once(
    sandbox: &Sandbox,
    step: &'static str,
    rpc: &str,
    field: &str,
    text: impl Fn(usize) -> String,
) -> Vec<[String; 3]> {
    let rpc = format!("{SERVICE}/{rpc}");
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| sandbox.client()).collect();
    let token: Arc<str> = sandbox.token("admin").into();
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let client = clients[number % CONNECTIONS].clone();
        let (site, id) = called(step, number);
        let mut request = DynamicMessage::new(client.method(&rpc).input());
        request.set_field_by_name("site", site);
        request.set_field_by_name(field, Value::String(text(number)));
        let call = call(client, rpc.clone(), token.clone(), request, id);
        calls.spawn(async move { (number, call.await.ok()) });
    }
    let mut keys = vec![None; CALLS];
    while let Some(answer) = calls.join_next().await {
        let (number, answer) = answer.unwrap();
        let key = answer.get_field_by_name("application_key").unwrap();
        let key = key.as_message().unwrap().clone();
        let text = |name| {
            key.get_field_by_name(name)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        keys[number] = Some(["id", "name", "key"].map(text));
    }
    keys.into_iter().map(Option::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_calls_at_once_none_is_lost_or_mixed_up() {
    let sandbox = Sandbox::start();
    let name = |number| format!("load-{number}");
    let made = all_at_once(
        &sandbox,
        "make",
        "CreateCurrentUserApplicationKey",
        "name",
        name,
    );
    let made = made.await;
    let get = "GetCurrentUserApplicationKey";
    let read = all_at_once(&sandbox, "read", get, "app_key_id", |it| {
        made[it][0].clone()
    });
    let read = read.await;
    assert!(
        made == read,
        "a key changed between its creation and its read"
    );
    for (number, key) in made.iter().enumerate() {
        assert_eq!(key[1], name(number));
    }
    for part in [0, 2] {
        let distinct: HashSet<_> = made.iter().map(|it| &it[part]).collect();
        assert_eq!(distinct.len(), CALLS);
    }

    // one intent for each creation, and one terminal record for every call
    let mut kinds: HashMap<(String, String), usize> = HashMap::new();
    for record in sandbox.records(&[]) {
        let request = record["request_id"].as_str().unwrap().to_owned();
        let kind = record["kind"].as_str().unwrap().to_owned();
        if kind == "outcome" {
            let number: usize = request.split_once('-').unwrap().1.parse().unwrap();
            assert_eq!(record["outcome"], "succeeded", "{record}");
            assert_eq!(record["resource"]["id"], made[number][0], "{record}");
        }
        *kinds.entry((request, kind)).or_default() += 1;
    }
    assert!(kinds.values().all(|it| *it == 1), "a record is there twice");
    for number in 0..CALLS {
        for (step, kind) in [("make", "intent"), ("make", "outcome"), ("read", "outcome")] {
            let key = (called(step, number).1, kind.to_owned());
            assert!(kinds.contains_key(&key), "{key:?} is missing");
        }
    }
    assert_eq!(kinds.len(), 3 * CALLS);
}

const KEY: &str = r#"{"data":{"type":"api_keys","id":"k","attributes":{"name":"n","key":"v"}}}"#;

/// What a process holds in memory, in KiB.
fn resident(process: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The simulator of the sandbox keeps a log of its own, so the upstream is one
/// that keeps nothing, and is not in the process that is measured.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_flat_over_a_hundred_thousand_calls() {
    const WARM_UP: u32 = 20_000;
    const ALL: u32 = 100_000;
    /// A leak of 100 bytes a call would be 8 MB.
    const GROWTH: i64 = 6 * 1024;

    let tasks = Tasks::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = Router::new().route(
        "/api/v2/api_keys/{id}",
        routing::get(|| async { ([(CONTENT_TYPE, "application/json")], KEY) }),
    );
    tasks.spawn_background(async move { axum::serve(listener, upstream).await.unwrap() });
    let org = format!(
        "[log]\nlevel = \"keygate::cli=info,warn\"\n\n[[datadog]]\nsite = \"us1\"\norg = \"main\"\nbase_url = \"http://{address}\"\n\
         api_key = {{ file = \"key\" }}\napp_key = {{ file = \"key\" }}\n"
    );
    let setup = Setup::new("", &org).await;
    setup.write("key", "a-master-key");
    let gateway = setup.serve().await;
    let token = setup.token();
    // every fourth call goes upstream; the others cost less time
    let methods = [
        "keygate.datadog.v2.ApiKeyService/GetApiKey",
        "keygate.access.v1.AccessService/WhoAmI",
        "keygate.access.v1.AccessService/ListUpstreams",
        "keygate.access.v1.AccessService/ExplainAccess",
    ];

    let run = async |calls: u32| {
        let left = Arc::new(AtomicU32::new(calls));
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let (client, token, left) = (gateway.client(), token.clone(), left.clone());
            let calls = methods.map(|it| (it, client.request(it, "k")));
            callers.spawn(async move {
                let take = |it: u32| it.checked_sub(1);
                while let Ok(number) = left.fetch_update(Relaxed, Relaxed, take) {
                    let (method, request) = &calls[number as usize % calls.len()];
                    client.call(method, Some(&token), request).await.ok();
                }
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller.unwrap();
        }
    };
    let started = keygate::clock::Clock::system().instant();
    run(WARM_UP).await;
    let before = resident(gateway.process.id());
    run(ALL - WARM_UP).await;
    let after = resident(gateway.process.id());
    println!("{before} KiB, then {after} KiB; {:?}", started.elapsed());
    assert!(after - before < GROWTH, "{before} KiB became {after} KiB");
    tasks.stop();
}
