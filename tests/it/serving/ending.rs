//! How a server ends.

use std::fs;

use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{CREATE, LIST, Stage};
use crate::support::{
    gateway::{Client, records},
    http::Http,
    serve::until,
};

#[tokio::test]
async fn a_running_call_finishes_while_new_ones_are_refused() {
    let stage = Stage::closed("").await;
    let mut gateway = stage.setup.serve().await;
    let (client, token) = (gateway.client(), stage.setup.token());
    let channel = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.unwrap().into_inner();
    let seen = watch.message().await.unwrap().unwrap();
    assert_eq!(seen.status(), ServingStatus::Serving);

    let request = client.request(CREATE, "");
    let running = client.call(CREATE, Some(&token), &request);
    let operator = async {
        stage.came.acquire().await.unwrap().forget();
        gateway.process.ask_to_end();
        let seen = watch.message().await.unwrap().unwrap();
        assert_eq!(seen.status(), ServingStatus::NotServing);
        let http = Http::new(gateway.http.clone(), Vec::new());
        let readiness = http.get("/readyz").await;
        assert_eq!(readiness.status, 503);
        assert_eq!(&*readiness.body, b"not ready: shutting down\n");
        assert_eq!(http.get("/healthz").await.status, 200);
        // on a connection of its own
        let late = Client::new(gateway.grpc);
        let request = late.request(LIST, "");
        let late = late.call(LIST, Some(&token), &request).await;
        assert_eq!(late.code(), "UNAVAILABLE");
        stage.gate.add_permits(1);
    };
    let (made, ()) = tokio::join!(running, operator);
    made.ok();
    let code = until("it ends", || gateway.process.ended()).await;
    assert_eq!(code, Some(0), "{}", gateway.process.logged());

    let trail = records(&stage.setup.config(), &[]);
    let [intent, outcome] = trail.as_slice() else {
        panic!("{trail:#?}");
    };
    assert_eq!(intent["call"], outcome["call"]);
    assert_eq!(outcome["outcome"], "succeeded");
}

#[tokio::test]
async fn a_trail_that_is_deleted_ends_the_server() {
    let stage = Stage::open("").await;
    let mut gateway = stage.setup.serve().await;
    let (client, token) = (gateway.client(), stage.setup.token());
    let channel = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let service = "keygate.datadog.v2.ApiKeyService".to_owned();
    let watch = health.watch(HealthCheckRequest { service }).await;
    let mut watch = watch.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let request = client.request(CREATE, "");
    client.call(CREATE, Some(&token), &request).await.ok();
    assert_eq!(stage.came.available_permits(), 1);

    fs::remove_file(stage.setup.folder.path().join("trail.db")).unwrap();
    let refused = client.call(CREATE, Some(&token), &request).await;
    assert_eq!(refused.code(), "UNAVAILABLE");
    assert_eq!(refused.reason(), "AUDIT_UNAVAILABLE");
    // no intent, no call
    assert_eq!(stage.came.available_permits(), 1);
    let seen = watch.message().await.unwrap().unwrap();
    assert_eq!(seen.status(), ServingStatus::NotServing);
    let code = until("it ends", || gateway.process.ended()).await;
    let logged = gateway.process.logged();
    assert_eq!(code, Some(74), "{logged}");
    assert!(
        logged.contains("trail.db") && logged.contains("deleted"),
        "{logged}"
    );
}
