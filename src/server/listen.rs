//! Connections: TCP, and TLS where it is configured.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::{config::Tls, tasks::Tasks};

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate and the key don't fit, or are not supported.
    #[error("the certificate and key can't be used")]
    Tls(#[from] rustls::Error),
}

/// What a connection tells of its other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
}

/// A connection.
pub struct Connection {
    stream: Transport,
    peer: Peer,
    _slot: OwnedSemaphorePermit,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

/// Accepts connections until `closing`, and listens no more from then on. Handshakes don't hold each
/// other up, and at most `most` connections are open at once.
pub fn connections(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    most: usize,
    closing: CancellationToken,
    tasks: &Tasks,
) -> impl Stream<Item = io::Result<Connection>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(16);
    let slots = Arc::new(Semaphore::new(most));
    let spawner = tasks.clone();
    let accept = async move {
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let (tcp, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // such as too many open files: passes when connections close
                    tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            // without it an answer can wait for the other side's delayed
            // acknowledgement; nothing is lost where it can't be set
            let _ = tcp.set_nodelay(true);
            let connect = connect(tcp, Peer { address }, slot, tls.clone(), sender.clone());
            spawner.spawn_background(connect);
        }
    };
    tasks.spawn_background(async move {
        closing.run_until_cancelled_owned(accept).await;
    });
    ReceiverStream::new(receiver)
}

async fn connect(
    tcp: TcpStream,
    peer: Peer,
    slot: OwnedSemaphorePermit,
    tls: Option<TlsAcceptor>,
    sender: mpsc::Sender<io::Result<Connection>>,
) {
    let stream = match tls {
        None => Transport::Plain(tcp),
        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await {
            Ok(Ok(stream)) => Transport::Tls(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::info!(peer = %peer.address, %error, "TLS handshake failed");
                return;
            }
            Err(_) => return,
        },
    };
    let connection = Connection {
        stream,
        peer,
        _slot: slot,
    };
    // the server is gone: so is the connection
    let _ = sender.send(Ok(connection)).await;
}

/// Sets TLS up from its files.
///
/// # Errors
/// [`Error`] if a file can't be used.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| fault(path, e.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|e| fault(&tls.key, format!("no private key can be read from it: {e}")))?;
    let mut config = builder.with_single_cert(certificates(&tls.cert)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |e| fault(path, format!("no certificate can be read from it: {e}"));
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    if all.is_empty() {
        return Err(fault(path, "it holds no certificate".to_owned()));
    }
    Ok(all)
}

fn fault(path: &Path, reason: String) -> Error {
    Error::File {
        path: path.to_owned(),
        reason,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Transport::Plain(it) => Pin::new(it).poll_read(cx, buf),
            Transport::Tls(it) => Pin::new(it.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Transport::Plain(it) => Pin::new(it).poll_write(cx, buf),
            Transport::Tls(it) => Pin::new(it.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Transport::Plain(it) => Pin::new(it).poll_flush(cx),
            Transport::Tls(it) => Pin::new(it.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Transport::Plain(it) => Pin::new(it).poll_shutdown(cx),
            Transport::Tls(it) => Pin::new(it.as_mut()).poll_shutdown(cx),
        }
    }
}
