//! The connections of a simulator: HTTP/1.1, each of which can be reset from
//! within a request.

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::tasks::Tasks;

/// Resets the connection that a request came on. A request extension.
#[derive(Clone)]
pub(super) struct Abort(CancellationToken);

impl Abort {
    /// Resets it. What was not answered yet never will be.
    pub(super) fn abort(&self) {
        self.0.cancel();
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, router: Router, tasks: Tasks) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => tasks.spawn_background(serve(stream, router.clone())),
            // Out of file descriptors, say: that passes when a connection ends.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    // Without it a small answer may wait for the peer's delayed ACK. A socket
    // that refuses is one whose peer has left.
    let _ = stream.set_nodelay(true);
    let abort = CancellationToken::new();
    let service = {
        let abort = Abort(abort.clone());
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(abort.clone());
            router.clone().oneshot(request.map(Body::new))
        })
    };
    let mut connection = http1::Builder::new()
        // An idle connection in a client's pool stays as long as the client likes.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        biased;
        () = abort.cancelled() => {}
        // A client that left early is no fault of the simulator's.
        _ = &mut connection => return,
    }
    let stream = connection.into_parts().io.into_inner();
    // With no linger, closing sends RST instead of FIN.
    let _ = stream.set_zero_linger();
}
