//! Certificates, and TLS before servers that speak none.

use std::{fs, net::Ipv4Addr, sync::Arc};

use keygate::tasks::Tasks;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
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
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// The name that servers have.
pub(crate) const NAME: &str = "localhost";

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

    /// A certificate for a name, and its key.
    pub(crate) fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// The setting of `[server]` with which a gateway has a certificate.
    pub(crate) fn server_setting(&self) -> String {
        let (certificate, key) = self.issue(NAME, ExtendedKeyUsagePurpose::ServerAuth);
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

    /// The way to the same server for a client that trusts this authority.
    pub(crate) fn trusted(&self, plain: &Endpoint) -> Endpoint {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.certificate))
            .domain_name(NAME);
        let address = plain.uri().authority().unwrap();
        let endpoint = Endpoint::try_from(format!("https://{address}")).unwrap();
        endpoint.tls_config(tls).unwrap()
    }

    /// Speaks TLS before a plain HTTP server on loopback. Its base URL.
    pub(crate) async fn before(&self, base_url: &str, tasks: &Tasks) -> String {
        let (certificate, key) = self.issue(NAME, ExtendedKeyUsagePurpose::ServerAuth);
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
