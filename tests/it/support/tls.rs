//! Certificates, and TLS before servers that speak none.

use std::{fs, net::Ipv4Addr, sync::Arc, time::Duration};

use keygate::{clock::Clock, tasks::Tasks};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// The name that servers have.
pub(crate) const NAME: &str = "localhost";

/// A certificate and its key (PEM).
pub(crate) type Pair = (String, String);

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A server's certificate.
    pub(crate) fn server(&self) -> Pair {
        self.issue(&[NAME], ExtendedKeyUsagePurpose::ServerAuth, None)
    }

    /// A client's certificate with these names: URIs and host names.
    pub(crate) fn client(&self, names: &[&str]) -> Pair {
        self.issue(names, ExtendedKeyUsagePurpose::ClientAuth, None)
    }

    /// The same for so long from now.
    pub(crate) fn client_for(&self, names: &[&str], validity: Duration) -> Pair {
        self.issue(names, ExtendedKeyUsagePurpose::ClientAuth, Some(validity))
    }

    fn issue(
        &self,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        validity: Option<Duration>,
    ) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = |name: &&str| match name.contains("://") {
            true => SanType::URI((*name).try_into().unwrap()),
            false => SanType::DnsName((*name).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(name).collect();
        params.extended_key_usages = vec![usage];
        if let Some(validity) = validity {
            params.not_after = (Clock::system().now() + validity).into();
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The setting of `[server]` with which a gateway has a certificate.
    pub(crate) fn server_setting(&self) -> String {
        let (certificate, key) = self.server();
        let certificate = self.file("server.pem", &certificate);
        let key = self.file("server.key", &key);
        format!("tls = {{ cert = \"{certificate}\", key = \"{key}\" }}")
    }

    /// The setting with which an upstream is trusted that has a certificate.
    pub(crate) fn client_setting(&self) -> String {
        format!("ca = \"{}\"\n", self.file("ca.pem", &self.certificate))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The way to the same server for a client that trusts this authority, and shows
    /// that certificate.
    pub(crate) fn trusted(&self, plain: &Endpoint, shown: Option<&Pair>) -> Endpoint {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.certificate))
            .domain_name(NAME);
        if let Some((certificate, key)) = shown {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let address = plain.uri().authority().unwrap();
        let endpoint = Endpoint::try_from(format!("https://{address}")).unwrap();
        endpoint.tls_config(tls).unwrap()
    }

    /// Speaks TLS before a plain HTTP server on loopback. Its base URL.
    pub(crate) async fn before(&self, base_url: &str, tasks: &Tasks) -> String {
        let (certificate, key) = self.server();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plain = base_url.strip_prefix("http://").unwrap().to_owned();
        let spawn = tasks.clone();
        tasks.spawn_background(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, plain) = (acceptor.clone(), plain.clone());
                spawn.spawn_background(async move {
                    // either end may go at any time: that is what is tested
                    let Ok(mut client) = acceptor.accept(stream).await else {
                        return;
                    };
                    if let Ok(mut server) = TcpStream::connect(plain).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        format!("https://{NAME}:{port}")
    }
}
