//! TLS on the gRPC port, with and without certificates of clients.

use rcgen::ExtendedKeyUsagePurpose;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::Stage;
use crate::support::{
    serve::Gateway,
    tls::{Authority, NAME},
};

/// Whether a client gets an answer.
async fn answered(
    gateway: &Gateway,
    authority: &Authority,
    identity: Option<(String, String)>,
) -> bool {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&authority.certificate))
        .domain_name(NAME);
    if let Some((certificate, key)) = identity {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Endpoint::try_from(format!("https://{}", gateway.grpc)).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
    let request = HealthCheckRequest::default();
    HealthClient::new(channel).check(request).await.is_ok()
}

#[tokio::test]
async fn only_clients_that_trust_and_are_trusted_are_served() {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let (ours, theirs) = (Authority::new(), Authority::new());
    let client = |authority: &Authority| Some(authority.issue("client", ClientAuth));
    for mutual in [false, true] {
        let client_ca = if mutual {
            ", client_ca = \"ca.pem\""
        } else {
            ""
        };
        let tls = format!("tls = {{ cert = \"cert.pem\", key = \"key.pem\"{client_ca} }}");
        let stage = Stage::open(&tls).await;
        let (certificate, key) = ours.issue(NAME, ServerAuth);
        stage.setup.write("cert.pem", &certificate);
        stage.setup.write("key.pem", &key);
        stage.setup.write("ca.pem", &ours.certificate);
        let gateway = stage.setup.serve().await;
        assert!(answered(&gateway, &ours, client(&ours)).await);
        assert!(!answered(&gateway, &theirs, client(&ours)).await);
        assert_eq!(answered(&gateway, &ours, None).await, !mutual);
        assert_eq!(answered(&gateway, &ours, client(&theirs)).await, !mutual);
        // a server's certificate is none for a client
        let server = Some(ours.issue(NAME, ServerAuth));
        assert_eq!(answered(&gateway, &ours, server).await, !mutual);
        let plain = Endpoint::try_from(format!("http://{}", gateway.grpc)).unwrap();
        let mut plain = HealthClient::new(plain.connect_lazy());
        assert!(plain.check(HealthCheckRequest::default()).await.is_err());
    }
}
