//! Whoever calls: gRPC over HTTP/2 with as little work as can be.

use std::{cell::Cell, net::SocketAddr, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::join_all;
use h2::client::{self, SendRequest};
use http::{Request, Uri};
use keygate::{
    clock::Clock,
    contract::proto::keygate::datadog::v2::{CreateApiKeyRequest, GetApiKeyRequest},
    tasks::Tasks,
};
use prost::Message;
use tokio::net::TcpStream;

use super::servers::Server;

/// How many keys are read, one after the other.
const KEYS: usize = 1000;
const STRIDE: usize = 387;

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One record: the outcome.
    Read,
    /// Two: the intent before, and the outcome after.
    Mutation,
}

impl Kind {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Read => "reads (GetApiKey: an outcome)",
            Self::Mutation => {
                "mutations (CreateApiKey: an intent, then an outcome with its receipt)"
            }
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Read => "/keygate.datadog.v2.ApiKeyService/GetApiKey",
            Self::Mutation => "/keygate.datadog.v2.ApiKeyService/CreateApiKey",
        }
    }

    /// A call of the key with this number.
    fn frame(self, number: usize) -> Bytes {
        let message = match self {
            Self::Read => GetApiKeyRequest {
                site: 1,
                api_key_id: format!("6f8f7a0e-5b3c-4e55-9c1d-{number:012x}"),
                ..Default::default()
            }
            .encode_to_vec(),
            Self::Mutation => CreateApiKeyRequest {
                site: 1,
                name: "payments-api".to_owned(),
                ..Default::default()
            }
            .encode_to_vec(),
        };
        let mut frame = BytesMut::new();
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).unwrap());
        frame.put_slice(&message);
        frame.freeze()
    }
}

/// What a burst of calls took.
pub(crate) struct Burst {
    pub(crate) calls: u32,
    /// Calls a second.
    pub(crate) rate: f64,
    /// Processor time of the server, all calls together.
    pub(crate) cpu: Duration,
}

/// Connections to one server.
pub(crate) struct Caller<'a> {
    server: &'a Server,
    connections: Vec<SendRequest<Bytes>>,
    request: Request<()>,
    /// One for each key; which is next.
    frames: Vec<Bytes>,
    next: Cell<usize>,
    clock: Clock,
}

impl<'a> Caller<'a> {
    pub(crate) async fn connect(
        server: &'a Server,
        connections: usize,
        kind: Kind,
        token: String,
        tasks: &Tasks,
    ) -> Self {
        let mut all = Vec::new();
        for _ in 0..connections {
            all.push(connect(server.grpc, tasks).await);
        }
        let uri = Uri::builder()
            .scheme("http")
            .authority(server.grpc.to_string())
            .path_and_query(kind.path());
        let request = Request::post(uri.build().unwrap())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {token}"));
        Self {
            server,
            connections: all,
            request: request.body(()).unwrap(),
            frames: (0..KEYS).map(|it| kind.frame(it)).collect(),
            next: Cell::new(0),
            clock: Clock::system(),
        }
    }

    /// Calls for so long with so many in flight.
    pub(crate) async fn burst(&self, in_flight: usize, length: Duration) -> Burst {
        let calls = Cell::new(0);
        let (cpu, started) = (self.server.cpu(), self.clock.instant());
        let callers = (0..in_flight).map(async |number| {
            let connection = &self.connections[number % self.connections.len()];
            while self.clock.instant() - started < length {
                self.call(connection).await;
                calls.set(calls.get() + 1);
            }
        });
        join_all(callers).await;
        let taken = self.clock.instant() - started;
        Burst {
            calls: calls.get(),
            rate: f64::from(calls.get()) / taken.as_secs_f64(),
            cpu: self.server.cpu() - cpu,
        }
    }

    pub(crate) async fn one(&self) {
        self.call(&self.connections[0]).await;
    }

    async fn call(&self, connection: &SendRequest<Bytes>) {
        let mut connection = connection.clone().ready().await.unwrap();
        let (answer, mut body) = connection
            .send_request(self.request.clone(), false)
            .unwrap();
        // in no order, and each as often as any other
        let next = (self.next.get() + STRIDE) % KEYS;
        self.next.set(next);
        body.send_data(self.frames[next].clone(), true).unwrap();
        let answer = answer.await.unwrap();
        let refused = answer.headers().get("grpc-status").cloned();
        assert!(refused.is_none(), "{answer:?}");
        let mut answer = answer.into_body();
        let mut length = 0;
        while let Some(data) = answer.data().await {
            let data = data.unwrap();
            length += data.len();
            answer.flow_control().release_capacity(data.len()).unwrap();
        }
        let trailers = answer.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0", "{trailers:?}");
        assert!(length > 100, "a key is longer");
    }
}

async fn connect(address: SocketAddr, tasks: &Tasks) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .handshake(stream)
        .await
        .unwrap();
    tasks.spawn_background(async move {
        // it ends with the server
        let _ = connection.await;
    });
    sender
}
