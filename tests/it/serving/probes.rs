//! What can be seen of a server that runs.

use std::collections::BTreeSet;

use bytes::Bytes;
use keygate::contract::Contract;
use prost::Message as _;
use prost_reflect::Value;
use serde_json::Value as Json;
use tonic::{Code, Request, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{CREATE, LIST, Stage};
use crate::support::{
    gateway::{is_terminal, records},
    http::Http,
    serve::until,
};

fn services() -> BTreeSet<String> {
    let contract = Contract::load().unwrap();
    let operations = contract.operations().iter();
    operations.map(|it| it.service.clone()).collect()
}

#[tokio::test]
async fn health_is_told_for_each_service_and_reflection_lists_them() {
    let stage = Stage::open("").await;
    let gateway = stage.setup.serve().await;
    let channel = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
    let channel = channel.connect().await.unwrap();

    let mut health = HealthClient::new(channel.clone());
    let mut all = services();
    assert_eq!(all.len(), 12);
    for service in all.iter().map(String::as_str).chain([""]) {
        let service = service.to_owned();
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
    let service = "keygate.datadog.v2.NoSuchService".to_owned();
    let unknown = health.check(HealthCheckRequest { service }).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);

    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = tokio_stream::once(request);
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(requests).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let listed: BTreeSet<_> = list.service.into_iter().map(|it| it.name).collect();
    all.insert("grpc.health.v1.Health".to_owned());
    assert!(listed.is_superset(&all), "{listed:?}");
}

#[tokio::test]
async fn a_request_can_be_followed_and_one_that_is_too_large_is_refused() {
    let stage = Stage::open("max_message_bytes = 4096").await;
    let mut gateway = stage.setup.serve().await;
    let (client, token) = (gateway.client(), stage.setup.token());
    let call = async |rpc: &str, id: &str, length: usize| {
        let mut request = client.request(rpc, "k");
        if length > 0 {
            request.set_field_by_name("name", Value::String("n".repeat(length)));
        }
        let mut call = Request::new(Bytes::from(request.encode_to_vec()));
        let metadata = call.metadata_mut();
        metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
        metadata.insert("x-request-id", id.parse().unwrap());
        client.send(rpc, call).await
    };

    // taken over, returned, and told in errors
    let made = call(CREATE, "order-66", 10).await;
    assert_eq!(made.request_id.as_deref(), Some("order-66"));
    assert_eq!(made.code(), "OK");
    let large = call(CREATE, "large-1", 5000).await;
    assert_eq!(large.code(), "RESOURCE_EXHAUSTED");
    assert_eq!(large.reason(), "REQUEST_TOO_LARGE");
    let details = large.details().unwrap();
    assert_eq!(
        details.error_info().unwrap().metadata["request_id"],
        "large-1"
    );
    // what can't be an id is replaced
    let long = "x".repeat(1000);
    let other = call(LIST, &long, 0).await.request_id.unwrap();
    assert!(!other.is_empty() && other != long);

    let http = Http::new(gateway.http.clone(), Vec::new());
    for (path, text) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = http.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, text.as_bytes())
        );
    }
    let metrics = http.get("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    let counted = format!("keygate_calls_total{{rpc=\"{CREATE}\",code=\"OK\"}} 1");
    assert!(metrics.contains(&counted), "{metrics}");
    assert!(metrics.contains("keygate_calls_in_flight 0"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");

    gateway.process.ask_to_end();
    let code = until("it ends", || gateway.process.ended()).await;
    assert_eq!(code, Some(0));
    let log: Vec<Json> = gateway
        .process
        .logged()
        .lines()
        .map(|it| serde_json::from_str(it).unwrap_or_else(|e| panic!("{e}: {it}")))
        .collect();
    let trail = records(&stage.setup.config(), &[]);
    for (id, code) in [
        ("order-66", "OK"),
        ("large-1", "RESOURCE_EXHAUSTED"),
        // the upstream's answer is none to a list
        (&other, "INTERNAL"),
    ] {
        let lines: Vec<_> = log.iter().filter(|it| it["request_id"] == id).collect();
        let ended: Vec<_> = lines.iter().filter(|it| it["code"] == code).collect();
        assert_eq!(ended.len(), 1, "{id}: {lines:?}");
        let terminal = |it: &&Json| it["request_id"] == id && is_terminal(it);
        let ended: Vec<_> = trail.iter().filter(terminal).collect();
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert_eq!(ended[0]["code"], code);
    }
}
