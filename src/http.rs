//! The one way out over HTTP: a pooled HTTP/1.1 client over rustls.
//!
//! It follows no redirect, keeps no cookie and reads no proxy setting, so that
//! a credential goes to the configured host and nowhere else; [`endpoint`] says
//! which hosts may be configured.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ::http::{Uri, uri::Scheme};
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;

use crate::pem;

/// A client. Cheap to clone; clones share their connections.
pub type Client = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why a client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of certificates can't be used.
    #[error(transparent)]
    Certificates(#[from] pem::Error),
    /// The machine has no certificates to trust.
    #[error("no trusted certificates are installed on this machine; install `ca-certificates`")]
    NoRoots,
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[from] rustls::Error),
}

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How many unused connections are kept for a host. Fewer than the calls in
    /// flight costs a new connection for most calls.
    pub pool_max_idle_per_host: usize,
    /// Certificates to trust instead of the machine's (PEM).
    pub ca: Option<PathBuf>,
}

/// Makes a client.
///
/// # Errors
/// [`Error`] if there is nothing to trust.
pub fn client(options: &Options) -> Result<Client, Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(options.connect_timeout));
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(options.ca.as_deref())?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(options.pool_max_idle_per_host)
        .build(connector))
}

/// TLS as a client speaks it, with certificates to trust instead of the machine's
/// (PEM).
///
/// # Errors
/// [`Error`] if there is nothing to trust.
pub fn tls(ca: Option<&Path>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(path) = ca else {
        use hyper_rustls::ConfigBuilderExt as _;
        return Ok(builder
            .with_native_roots()
            .map_err(|_| Error::NoRoots)?
            .with_no_client_auth());
    };
    let roots = pem::authorities(path)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Why a request has failed, for the log: what is behind the client's own words.
#[must_use]
pub fn cause(error: &legacy::Error) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Reads the address of something whose answers are trusted or that is shown
/// credentials: `https`, or `http` to this machine.
///
/// # Errors
/// What is wrong with it, for the person who wrote it; without the address, which
/// may hold a password.
pub fn endpoint(text: &str) -> Result<Uri, &'static str> {
    const NO_URL: &str = "this must be an https URL, such as \"https://example.com\"";
    let uri: Uri = text.parse().map_err(|_| NO_URL)?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err(NO_URL);
    };
    if authority.as_str().contains('@') {
        return Err("this must not hold a user or a password");
    }
    let host = authority.host();
    if host.is_empty() {
        return Err(NO_URL);
    }
    match scheme {
        it if *it == Scheme::HTTPS => Ok(uri),
        it if *it == Scheme::HTTP && is_loopback(host) => Ok(uri),
        it if *it == Scheme::HTTP => {
            Err("this must be https; http is for addresses of this machine (127.0.0.1) only")
        }
        _ => Err(NO_URL),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|it: IpAddr| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for right in [
            "https://api.datadoghq.com",
            "https://issuer.example/keys.json?v=1",
            "http://127.0.0.1:8080",
            "http://127.9.9.9",
            "http://[::1]:80/jwks",
            "http://localhost:1234/",
        ] {
            assert!(endpoint(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "api.datadoghq.com",
            "http://api.datadoghq.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://0.0.0.0",
            "ftp://127.0.0.1",
            "https://user:pass@api.datadoghq.com",
            "http://127.0.0.1@evil.example",
            "https://",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
