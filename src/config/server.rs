//! `[server]`: the two ports, and what they put up with.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use rustls::{pki_types::PrivateKeyDer, sign::CertifiedKey};

use super::values::{Certificates, duration};
use crate::{
    pem,
    settings::{Item, Read, Table},
};

/// The listening ports and their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where gRPC is served. Port 0 is any free one.
    pub grpc: SocketAddr,
    /// Where metrics and health are served over plain HTTP.
    pub http: SocketAddr,
    /// TLS on the gRPC port; `None` is plain text.
    pub tls: Option<Tls>,
    /// Threads that run requests.
    pub worker_threads: usize,
    /// The largest request that is decoded, in bytes.
    pub max_message_bytes: usize,
    /// Connections that are open at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Calls at once on one connection.
    pub max_concurrent_streams: u32,
    /// Calls at once on all connections; further ones are refused.
    pub max_in_flight: usize,
    /// How long running calls may take to finish at shutdown.
    pub shutdown_grace: Duration,
    /// The longest that a call takes, whatever deadline its caller set.
    pub request_timeout: Duration,
    /// The part of a call's time that is kept for writing down how it ended.
    pub conclude_reserve: Duration,
}

/// Where the server's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that vouch for it (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Certificates (PEM) that vouch for clients. If it is set, a client without
    /// such a certificate is turned away.
    pub client_ca: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            grpc: (Ipv4Addr::LOCALHOST, 50051).into(),
            http: (Ipv4Addr::LOCALHOST, 9090).into(),
            tls: None,
            worker_threads: 1,
            max_message_bytes: 1 << 20,
            max_connections: 4096,
            max_concurrent_streams: 1024,
            max_in_flight: 4096,
            shutdown_grace: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            conclude_reserve: Duration::from_millis(200),
        }
    }
}

impl Server {
    pub(super) fn read(table: &mut Table<'_>) -> Option<Self> {
        const MS: Duration = Duration::from_millis(1);
        const HOUR: Duration = Duration::from_secs(3600);
        let d = Self::default();
        let server = Self {
            grpc: table.or("grpc", d.grpc),
            http: table.or("http", d.http),
            tls: table.optional("tls"),
            worker_threads: table.number("worker_threads", d.worker_threads, 1..=1024),
            max_message_bytes: table.number(
                "max_message_bytes",
                d.max_message_bytes,
                1024..=64 << 20,
            ),
            max_connections: table.number("max_connections", d.max_connections, 1..=1_000_000),
            max_concurrent_streams: table.number(
                "max_concurrent_streams",
                d.max_concurrent_streams,
                1..=1_000_000,
            ),
            max_in_flight: table.number("max_in_flight", d.max_in_flight, 1..=1_000_000),
            shutdown_grace: duration(
                table,
                "shutdown_grace",
                d.shutdown_grace,
                Duration::ZERO..=HOUR,
            ),
            request_timeout: duration(table, "request_timeout", d.request_timeout, MS..=HOUR),
            conclude_reserve: duration(
                table,
                "conclude_reserve",
                d.conclude_reserve,
                Duration::ZERO..=HOUR,
            ),
        };
        if server.grpc == server.http && server.grpc.port() != 0 {
            table.fault(
                "http",
                "this is the address of `grpc` too; give it another port",
            );
        }
        if server.conclude_reserve >= server.request_timeout {
            table.fault(
                "conclude_reserve",
                "this must be shorter than `request_timeout`, or no call has any time",
            );
        }
        Some(server)
    }
}

impl Read for Tls {
    fn read(item: &Item<'_>) -> Option<Self> {
        item.table(|table| {
            let cert = table.required::<Certificates>("cert");
            let key = table.required::<PrivateKey>("key");
            let client_ca = table.optional::<Certificates>("client_ca");
            let (cert, key) = (cert?, key?);
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            if CertifiedKey::from_der(cert.chain, key.der, &provider).is_err() {
                table.fault(
                    "key",
                    "this is not the private key of the certificate in `cert`",
                );
            }
            Some(Self {
                cert: cert.path,
                key: key.path,
                client_ca: client_ca.map(|it| it.path),
            })
        })
    }
}

struct PrivateKey {
    path: PathBuf,
    der: PrivateKeyDer<'static>,
}

impl Read for PrivateKey {
    fn read(item: &Item<'_>) -> Option<Self> {
        let path = PathBuf::read(item)?;
        let der = pem::private_key(&path);
        let der = der.map_err(|fault| item.fault(fault.to_string())).ok()?;
        Some(Self { path, der })
    }
}
