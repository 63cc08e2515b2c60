//! TLS: the server's certificate, and what clients' certificates are worth.
//!
//! A client's certificate is verified when it connects, and again while its
//! connection is used: certificates end, and those that vouch for them change.
//! This module knows no token and no policy.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, UnixTime},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

use crate::{config, pem};

/// How long a verification counts.
const VERIFIED: Duration = Duration::from_secs(1);

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be used.
    #[error("server.tls: {0}")]
    File(#[from] pem::Error),
    /// The certificate and the key don't fit, or are not supported.
    #[error("server.tls: the certificate and key can't be used")]
    Tls(#[from] rustls::Error),
    /// Nothing can be verified with the certificates in `client_ca`.
    #[error("server.tls.client_ca can't be used")]
    ClientCa(#[from] rustls::server::VerifierBuilderError),
}

/// TLS as it is set up. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    /// Where clients have to show a certificate: what verifies it.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// The certificate that a client showed.
pub struct Certificate {
    /// The client's own first, then those that lead to one that we trust.
    chain: Vec<CertificateDer<'static>>,
    names: Arc<[String]>,
    verified: Mutex<Option<Verified>>,
}

/// The last verification that succeeded.
struct Verified {
    by: Arc<dyn ClientCertVerifier>,
    at: SystemTime,
}

impl Tls {
    /// Sets TLS up from its files.
    ///
    /// # Errors
    /// [`Error`] if a file can't be used.
    pub fn load(tls: &config::Tls) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = match &tls.client_ca {
            None => None,
            Some(path) => {
                let roots = Arc::new(pem::authorities(path)?);
                let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
                Some(builder.build()?)
            }
        };
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
        };
        let (chain, key) = (pem::certificates(&tls.cert)?, pem::private_key(&tls.key)?);
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            clients,
        })
    }

    /// Whether it is the same, and not only alike.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.acceptor.config(), other.acceptor.config())
    }

    /// What takes connections.
    #[must_use]
    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Whether clients show a certificate.
    #[must_use]
    pub fn asks_clients(&self) -> bool {
        self.clients.is_some()
    }

    /// Whether a connection whose client has shown this certificate, or none, may
    /// be used at that time.
    #[must_use]
    pub fn admits(&self, certificate: Option<&Certificate>, at: SystemTime) -> bool {
        match (&self.clients, certificate) {
            (None, _) => true,
            (Some(verifier), Some(certificate)) => certificate.is_verified_by(verifier, at),
            (Some(_), None) => false,
        }
    }
}

impl Certificate {
    /// The certificate that the client of a connection showed, if it did. It has
    /// been verified.
    #[must_use]
    pub fn of(connection: &ServerConnection) -> Option<Self> {
        let chain: Vec<_> = connection
            .peer_certificates()?
            .iter()
            .map(|it| it.clone().into_owned())
            .collect();
        Some(Self {
            names: names(chain.first()?),
            chain,
            verified: Mutex::new(None),
        })
    }

    /// Its subject's alternative names (RFC 5280, section 4.2.1.6): first URIs, as
    /// SPIFFE ids, then host names, in lower case.
    #[must_use]
    pub fn names(&self) -> &Arc<[String]> {
        &self.names
    }

    fn is_verified_by(&self, verifier: &Arc<dyn ClientCertVerifier>, at: SystemTime) -> bool {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |it: &Verified| {
            let age = at.duration_since(it.at);
            Arc::ptr_eq(&it.by, verifier) && age.is_ok_and(|age| age < VERIFIED)
        };
        if verified.as_ref().is_some_and(counts) {
            return true;
        }
        let Some((own, others)) = self.chain.split_first() else {
            return false;
        };
        let since_1970 = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let time = UnixTime::since_unix_epoch(since_1970);
        let holds = verifier.verify_client_cert(own, others, time).is_ok();
        *verified = holds.then(|| Verified {
            by: verifier.clone(),
            at,
        });
        holds
    }
}

/// The URIs and host names of a certificate.
fn names(certificate: &CertificateDer<'_>) -> Arc<[String]> {
    let Ok(parsed) = webpki::EndEntityCert::try_from(certificate) else {
        return Arc::default();
    };
    let uris = parsed.valid_uri_names().map(str::to_owned);
    let hosts = parsed.valid_dns_names().map(str::to_ascii_lowercase);
    uris.chain(hosts).collect()
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Certificate");
        shown.field("names", &self.names).finish_non_exhaustive()
    }
}
