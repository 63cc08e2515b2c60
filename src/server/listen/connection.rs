//! A connection as the transport sees it: bytes, and who is at the other end.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::DropGuard;
use tonic::transport::server::Connected;

use crate::server::tls::Certificate;

/// What a connection tells of its other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate that it showed when it connected.
    pub certificate: Option<Arc<Certificate>>,
}

/// A connection.
pub struct Connection {
    pub(super) stream: Transport,
    pub(super) peer: Peer,
    /// Its place among those that may be open.
    pub(super) _slot: OwnedSemaphorePermit,
    /// Tells that it has ended.
    pub(super) _end: DropGuard,
}

pub(super) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
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
