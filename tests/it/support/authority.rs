//! Certificates for servers and clients, and clients that show them.

use std::{net::SocketAddr, time::Duration};

use keygate::clock::Clock;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// A certificate and its key (PEM).
pub(crate) type Pair = (String, String);

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A server's certificate for `localhost`.
    pub(crate) fn server(&self) -> Pair {
        self.issue(&["localhost"], ExtendedKeyUsagePurpose::ServerAuth, None)
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
        params.subject_alt_names = names
            .iter()
            .map(|name| {
                let text = (*name).try_into().unwrap();
                match name.contains("://") {
                    true => SanType::URI(text),
                    false => SanType::DnsName(text),
                }
            })
            .collect();
        params.extended_key_usages = vec![usage];
        if let Some(validity) = validity {
            params.not_after = (Clock::system().now() + validity).into();
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Where a client connects that trusts this authority, and shows that
    /// certificate.
    pub(crate) fn endpoint(&self, address: SocketAddr, shown: Option<&Pair>) -> Endpoint {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.certificate))
            .domain_name("localhost");
        if let Some((certificate, key)) = shown {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::try_from(format!("https://{address}")).unwrap();
        endpoint.tls_config(tls).unwrap()
    }
}
