//! Keys that are fetched over TLS, from a server that the settings trust or not.

use rcgen::CertifiedKey;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Serves [`jwks`] over TLS, with a certificate that it returns beside its URL.
async fn serve(tasks: &Tasks) -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/jwks", listener.local_addr().unwrap());
    tasks.spawn_background(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(mut connection) = acceptor.accept(connection).await else {
                continue;
            };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                connection.read_buf(&mut request).await.unwrap();
            }
            let body = jwks().to_string();
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.shutdown().await.unwrap();
        }
    });
    (url, cert.pem())
}

#[tokio::test]
async fn keys_come_over_tls_from_whom_the_settings_trust() {
    let (clock, tasks) = (held(), Tasks::new());
    let (url, certificate) = serve(&tasks).await;
    let (_, of_another) = serve(&tasks).await;
    for (ca, trusted) in [
        (Some(&certificate), true),
        (Some(&of_another), false),
        (None, false),
    ] {
        let ca = ca.map(|it| file(it));
        let Keys::Url(url, fetching) = Keys::jwks(&url).unwrap() else {
            panic!("it is a URL");
        };
        let fetching = Fetching {
            ca: ca.as_ref().map(|it| it.to_path_buf()),
            ..fetching
        };
        let issuers = vec![issuer(Keys::Url(url, fetching))];
        let started = Authenticator::start(issuers, clock.clock(), &tasks, None).await;
        let found = started.unwrap().authenticate(&token(&payload())).await;
        match trusted {
            true => assert_eq!(found.as_deref(), Ok(&caller())),
            false => assert_eq!(found, Err(Error::KeysUnavailable)),
        }
    }
    tasks.stop();
}
