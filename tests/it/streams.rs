//! Lists as streams: all pages, each key once, as fast as the caller takes them,
//! and one record.
//!
//! The methods come from the descriptor: every server stream over pages is tried.

mod walk;

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};
use tonic::{Request, Streaming};

use crate::support::{
    gateway::{Client, contract, method, methods},
    http::Http,
    serve::until,
    served::{MAIN, SANDBOX_POLICY, Served},
    upstreams::{Place, inject},
};
use walk::{Stream, make, make_in_order, total};

/// How much a page of Datadog's and of Braintrust's holds.
const PAGE: usize = 100;

/// Every method that streams what upstream lists.
fn streams() -> Vec<Stream> {
    let all = methods().into_iter();
    let all = all.filter(|it| method(it).is_server_streaming());
    let all = all.filter(|it| contract().operation(it).unwrap().route.is_some());
    all.map(Stream::new).collect()
}

async fn served() -> Served {
    Served::start(SANDBOX_POLICY, Place::everywhere(MAIN), "info").await
}

fn call(stream: &Stream, token: &str, client: &Client, id: &str) -> Request<Bytes> {
    let request = client.request(&stream.method, "");
    let mut call = Request::new(Bytes::from(request.encode_to_vec()));
    let metadata = call.metadata_mut();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    metadata.insert("x-request-id", id.parse().unwrap());
    call
}

/// The records of a request.
fn records(served: &Served, id: &str) -> Vec<Json> {
    let mut records = served.records();
    records.retain(|it| it["request_id"] == id);
    records
}

/// The one record of a request.
#[track_caller]
fn record(served: &Served, id: &str) -> Json {
    let records = records(served, id);
    let [record] = records.as_slice() else {
        panic!("{id}: {records:#?}");
    };
    record.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_has_every_key_once_newest_first_and_leaves_one_record() {
    for stream in streams() {
        let served = served().await;
        let (client, admin) = (served.client(), served.token("admin", &["admin"]));
        let made = make(&client, &stream, &admin, 2 * PAGE + 30).await;
        let id = format!("all of {}", stream.method);
        let id = id.replace(' ', "-");
        let answer = client
            .send(&stream.method, call(&stream, &admin, &client, &id))
            .await;
        answer.result.unwrap();
        let ids: Vec<_> = answer.messages.iter().map(|it| stream.id(it)).collect();
        let expected = total(&served, &stream);
        assert_eq!(ids.len(), expected, "{}", stream.method);
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{}: twice", stream.method);
        let times: Vec<_> = answer.messages.iter().map(|it| stream.time(it)).collect();
        assert!(times.is_sorted_by(|a, b| a >= b), "{}", stream.method);
        for made in made {
            assert!(ids.contains(&made), "{}: {made} is missing", stream.method);
        }
        let record = record(&served, &id);
        assert_eq!(record["kind"], "outcome", "{record:#}");
        assert_eq!(record["outcome"], "succeeded", "{record:#}");
        assert_eq!(record["items"], expected, "{record:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_touch_only_own_keys_streams_only_those() {
    for stream in streams() {
        let served = served().await;
        let (client, admin) = (served.client(), served.token("admin", &["admin"]));
        let operator = served.token("operator", &["operator"]);
        make(&client, &stream, &admin, 5).await;
        let own = make_in_order(&client, &stream, &operator, 3).await;
        make(&client, &stream, &admin, PAGE).await;
        let id = format!("own-{}", stream.method);
        let answer = client
            .send(&stream.method, call(&stream, &operator, &client, &id))
            .await;
        answer.result.unwrap();
        let mut ids: Vec<_> = answer.messages.iter().map(|it| stream.id(it)).collect();
        ids.reverse();
        assert_eq!(ids, own, "{}", stream.method);
        assert_eq!(record(&served, &id)["items"], own.len());
    }
}

/// A stream of which one message has been read, and whose caller takes no more for
/// now.
async fn begun(
    served: &Served,
    stream: &Stream,
    token: &str,
    id: &str,
) -> (Streaming<Bytes>, Vec<DynamicMessage>) {
    let client = Client::with(served.gateway.grpc, |it| {
        it.initial_stream_window_size(4096)
            .initial_connection_window_size(4096)
    });
    let call = call(stream, token, &client, id);
    let mut messages = client
        .open(&stream.method, call)
        .await
        .unwrap()
        .into_inner();
    let first = messages.message().await.unwrap().unwrap();
    let first = DynamicMessage::decode(method(&stream.method).output(), first).unwrap();
    (messages, vec![first])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_that_come_and_go_disturb_nothing_and_a_page_waits_for_its_reader() {
    for stream in streams() {
        let served = served().await;
        let (client, admin) = (served.client(), served.token("admin", &["admin"]));
        // long names: few messages fit between the gateway and a reader who waits
        let made = make(&client, &stream, &admin, 5 * PAGE).await;
        let before = stream.pages(&served);
        let id = format!("disturbed-{}", stream.method);
        let (mut messages, mut read) = begun(&served, &stream, &admin, &id).await;
        // of keys that were read, of those that come next, and of the last
        let mut gone: Vec<_> = [&made[..30], &made[240..270], &made[470..]].concat();
        stream.remove(&client, &admin, &gone).await;
        make(&client, &stream, &admin, 30).await;
        let asked = stream.pages(&served) - before;
        assert!(
            asked < 6,
            "{}: {asked} pages before they were wanted",
            stream.method
        );
        while let Some(message) = messages.message().await.unwrap() {
            let message = DynamicMessage::decode(method(&stream.method).output(), message);
            read.push(message.unwrap());
        }
        let ids: Vec<_> = read.iter().map(|it| stream.id(it)).collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{}: twice", stream.method);
        gone.sort_unstable();
        for made in made {
            let is_gone = gone.binary_search(&made).is_ok();
            assert!(
                is_gone || ids.contains(&made),
                "{}: {made} is missing",
                stream.method
            );
        }
        assert_eq!(
            record(&served, &id)["items"],
            ids.len(),
            "{}",
            stream.method
        );
    }
}

async fn calls_in_flight(served: &Served) -> String {
    let http = Http::new(&served.gateway.http, Vec::new());
    let metrics = http.get("/metrics").await.body;
    let metrics = String::from_utf8_lossy(&metrics);
    let line = metrics
        .lines()
        .find(|it| it.starts_with("keygate_calls_in_flight "));
    line.unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_whose_reader_goes_ends_and_is_recorded() {
    for stream in streams() {
        let served = served().await;
        let (client, admin) = (served.client(), served.token("admin", &["admin"]));
        make(&client, &stream, &admin, 5 * PAGE).await;
        let id = format!("left-{}", stream.method);
        let (messages, _) = begun(&served, &stream, &admin, &id).await;
        assert_eq!(calls_in_flight(&served).await, "1");
        drop(messages);
        let record = until("it is recorded", || records(&served, &id).pop()).await;
        assert_eq!(record["outcome"], "unknown", "{record:#}");
        assert_eq!(record["code"], "CANCELLED", "{record:#}");
        let items = record["items"].as_u64().unwrap();
        assert!((1..500).contains(&items), "{record:#}");
        while calls_in_flight(&served).await != "0" {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_keeps_to_its_deadline_whoever_is_slow() {
    for stream in streams() {
        let served = served().await;
        let (client, admin) = (served.client(), served.token("admin", &["admin"]));
        make(&client, &stream, &admin, 5 * PAGE).await;
        // a reader who does not read
        let slow = format!("slow-{}", stream.method);
        let narrow = Client::with(served.gateway.grpc, |it| {
            it.initial_stream_window_size(4096)
        });
        let mut request = call(&stream, &admin, &narrow, &slow);
        request.set_timeout(Duration::from_secs(2));
        let messages = narrow.open(&stream.method, request).await.unwrap();
        // an upstream that does not answer
        let hanging = format!("hanging-{}", stream.method);
        let fault = json!({ "fault": { "hang": true } });
        until("pages were read", || {
            (stream.pages(&served) > 0).then_some(())
        })
        .await;
        let mut request = call(&stream, &admin, &client, &hanging);
        request.set_timeout(Duration::from_secs(2));
        inject(stream.simulator(&served), fault);
        let answer = client.send(&stream.method, request).await;
        assert_eq!(answer.code(), "DEADLINE_EXCEEDED", "{}", stream.method);
        for id in [slow, hanging] {
            let record = until("it is recorded", || records(&served, &id).pop()).await;
            assert_eq!(record["code"], "DEADLINE_EXCEEDED", "{record:#}");
            assert_eq!(record["outcome"], "unknown", "{record:#}");
        }
        drop(messages);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_page_that_fails_ends_the_stream_with_its_error() {
    for stream in streams() {
        let served = served().await;
        let (client, admin) = (served.client(), served.token("admin", &["admin"]));
        make(&client, &stream, &admin, 5 * PAGE).await;
        for (status, code) in [(500, "UNAVAILABLE"), (403, "FAILED_PRECONDITION")] {
            let id = format!("failing-{status}-{}", stream.method);
            let (mut messages, _) = begun(&served, &stream, &admin, &id).await;
            let fault = json!({ "fault": { "status": status, "body": "{}" } });
            inject(stream.simulator(&served), fault);
            let ended = loop {
                match messages.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{}: it ended well", stream.method),
                    Err(status) => break status,
                }
            };
            assert_eq!(keygate::status::code_name(ended.code()), code);
            let record = record(&served, &id);
            assert_eq!(record["code"], code, "{record:#}");
            assert_eq!(record["upstream_status"], status, "{record:#}");
            assert!(record["items"].as_u64().unwrap() > 0, "{record:#}");
            served.upstreams.clear();
        }
    }
}
