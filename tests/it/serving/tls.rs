//! TLS on the gRPC port, with and without certificates of clients.

use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::Stage;
use crate::support::{
    serve::Gateway,
    tls::{Authority, Pair},
};

/// The way to a gateway that speaks no TLS.
fn plain(gateway: &Gateway) -> Endpoint {
    Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap()
}

/// Whether a client gets an answer.
async fn answered(gateway: &Gateway, authority: &Authority, shown: Option<Pair>) -> bool {
    let endpoint = authority.trusted(&plain(gateway), shown.as_ref());
    let request = HealthCheckRequest::default();
    let mut health = HealthClient::new(endpoint.connect_lazy());
    health.check(request).await.is_ok()
}

#[tokio::test]
async fn only_clients_that_trust_and_are_trusted_are_served() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let client = |authority: &Authority| Some(authority.client(&["client"]));
    for mutual in [false, true] {
        let client_ca = if mutual {
            ", client_ca = \"ca.pem\""
        } else {
            ""
        };
        let tls = format!("tls = {{ cert = \"cert.pem\", key = \"key.pem\"{client_ca} }}");
        let stage = Stage::open(&tls).await;
        let (certificate, key) = ours.server();
        stage.setup.write("cert.pem", &certificate);
        stage.setup.write("key.pem", &key);
        stage.setup.write("ca.pem", &ours.certificate);
        let gateway = stage.setup.serve().await;
        assert!(answered(&gateway, &ours, client(&ours)).await);
        assert!(!answered(&gateway, &theirs, client(&ours)).await);
        assert_eq!(answered(&gateway, &ours, None).await, !mutual);
        assert_eq!(answered(&gateway, &ours, client(&theirs)).await, !mutual);
        // a server's certificate is none for a client
        let server = Some(ours.server());
        assert_eq!(answered(&gateway, &ours, server).await, !mutual);
        let mut plain = HealthClient::new(plain(&gateway).connect_lazy());
        assert!(plain.check(HealthCheckRequest::default()).await.is_err());
    }
}
