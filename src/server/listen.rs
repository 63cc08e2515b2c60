//! Connections: TCP, and TLS where it is configured.
//!
//! A connection is let in by the state that holds when it comes, and asked to end
//! when the state that holds then would not let it in any more.

mod connection;

use std::{future::pending, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Error, state::State, tls::Certificate};
use crate::{clock::Clock, live::Live, tasks::Tasks};
use connection::Transport;
pub use connection::{Connection, Peer};

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often it is looked whether a client's certificate ends.
const LOOK: Duration = Duration::from_secs(10);
/// How long before that its connection is asked to end, so that the client comes
/// back with the next one in time.
const AHEAD: Duration = Duration::from_secs(30);

/// Where connections come from, and what they are held to.
#[derive(Clone, Debug)]
pub struct Port {
    /// What says who may connect.
    pub live: Live<State>,
    /// Time, for certificates.
    pub clock: Clock,
    /// What no more connections are accepted from, and what asks open ones to end.
    pub closing: CancellationToken,
}

/// A port of that setting's.
///
/// # Errors
/// [`Error::Listen`] if it can't be had.
pub(super) async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|fault| Error::Listen {
        setting,
        address,
        fault,
    })
}

/// Where a port is.
///
/// # Errors
/// [`Error::Listen`] if the system does not tell.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, Error> {
    listener.local_addr().map_err(|fault| Error::Listen {
        setting: "server",
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        fault,
    })
}

/// Accepts connections, `most` of them at once, until the port is closing, and
/// returns when the last one has ended. Each is handed to `serve`, with what asks
/// it to end. Handshakes don't hold each other up.
pub async fn serve<F>(
    port: Port,
    listener: TcpListener,
    most: usize,
    serve: impl Fn(Connection, CancellationToken) -> F + Clone + Send + 'static,
    tasks: &Tasks,
) where
    F: Future<Output = ()> + Send,
{
    let open = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(most));
    let accept = async {
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let (tcp, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // such as too many open files: passes when connections close
                    tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            // without it an answer can wait for the other side's delayed
            // acknowledgement; nothing is lost where it can't be set
            let _ = tcp.set_nodelay(true);
            let (port, serve) = (port.clone(), serve.clone());
            tasks.spawn(open.track_future(async move {
                let connect = port
                    .closing
                    .run_until_cancelled(port.connect(tcp, address, slot));
                if let Some(Some((connection, ended))) = connect.await {
                    let end = port.closing.child_token();
                    let peer = connection.peer.clone();
                    let serving = serve(connection, end.clone());
                    tokio::join!(serving, port.watch(&peer, &end, &ended));
                }
            }));
        }
    };
    port.closing.run_until_cancelled(accept).await;
    drop(listener);
    open.close();
    open.wait().await;
}

impl Port {
    /// A connection that may be used, and what tells that it has ended.
    async fn connect(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
        slot: OwnedSemaphorePermit,
    ) -> Option<(Connection, CancellationToken)> {
        let (stream, certificate) = match &self.live.current().tls {
            None => (Transport::Plain(tcp), None),
            Some(tls) => {
                let accepted = timeout(HANDSHAKE, tls.acceptor().accept(tcp)).await.ok()?;
                let failed = |error: &io::Error| {
                    tracing::info!(peer = %address, %error, "TLS handshake failed");
                };
                let stream = accepted.inspect_err(failed).ok()?;
                let certificate = Certificate::of(stream.get_ref().1).map(Arc::new);
                (Transport::Tls(Box::new(stream)), certificate)
            }
        };
        let ended = CancellationToken::new();
        let connection = Connection {
            stream,
            peer: Peer {
                address,
                certificate,
            },
            _slot: slot,
            _end: ended.clone().drop_guard(),
        };
        Some((connection, ended))
    }

    /// Asks a connection to end when it would not be let in any more. Returns when
    /// it has ended.
    async fn watch(&self, peer: &Peer, end: &CancellationToken, ended: &CancellationToken) {
        tokio::select! {
            () = ended.cancelled() => return,
            () = self.distrusted(peer) => {}
        }
        tracing::info!(peer = %peer.address, "the client's certificate counts no more");
        end.cancel();
    }

    async fn distrusted(&self, peer: &Peer) {
        if self.live.current().tls.is_none() {
            return pending().await;
        }
        let mut changes = self.live.changes();
        let mut state = self.live.current();
        let mut at = self.clock.now();
        while state.admit(Some(peer), at).is_ok() {
            tokio::select! {
                () = sleep(LOOK) => at = self.clock.now() + AHEAD,
                _ = changes.wait_for(|now| !now.has_tls_of(&state)) => {
                    at = self.clock.now();
                    state = self.live.current();
                }
            }
        }
    }
}
