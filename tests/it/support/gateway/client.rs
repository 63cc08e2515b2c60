//! A client that calls any method of the contract by its name, with messages
//! built from the descriptor alone.

use std::{net::SocketAddr, str::FromStr as _};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use tonic::{
    Request, Response, Status, Streaming,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::{
    super::vendors::{self, Vendor},
    PATIENCE, method,
};

/// The client.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
}

/// What came of a call.
pub(crate) struct Answer {
    /// What came before it ended: one message, unless it is a stream of any number.
    pub(crate) messages: Vec<DynamicMessage>,
    /// How it ended.
    pub(crate) result: Result<(), Status>,
    /// The request id that came back, if the call got that far.
    pub(crate) request_id: Option<String>,
    /// The receipts that came behind the answer: their texts.
    pub(crate) receipts: Vec<String>,
}

impl Answer {
    /// The `ErrorInfo.reason`; empty if the call succeeded or tells none.
    pub(crate) fn reason(&self) -> String {
        self.details()
            .and_then(|it| it.error_info().map(|it| it.reason.clone()))
            .unwrap_or_default()
    }

    pub(crate) fn details(&self) -> Option<ErrorDetails> {
        self.result.as_ref().err().map(StatusExt::get_error_details)
    }

    /// The code's name as the trail has it: `OK`, `PERMISSION_DENIED`.
    pub(crate) fn code(&self) -> &'static str {
        let code = self
            .result
            .as_ref()
            .err()
            .map_or(tonic::Code::Ok, Status::code);
        keygate::status::code_name(code)
    }

    /// The only message of a call that succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> DynamicMessage {
        self.result.unwrap();
        let [message] = self.messages.try_into().unwrap();
        message
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::with(address, |it| it)
    }

    /// A client whose connections are set up by the test.
    pub(crate) fn with(address: SocketAddr, setup: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        let endpoint = Endpoint::from_str(&format!("http://{address}")).unwrap();
        Self {
            channel: setup(endpoint).connect_lazy(),
        }
    }

    /// The method of a full name: `keygate.datadog.v2.ApiKeyService/ListApiKeys`.
    pub(crate) fn method(&self, name: &str) -> MethodDescriptor {
        method(name)
    }

    /// A request that the gateway finds no fault with, to the default of its
    /// vendor's places, and about the key or token that this names.
    pub(crate) fn request(&self, name: &str, target: &str) -> DynamicMessage {
        let method = self.method(name);
        let mut request = DynamicMessage::new(method.input());
        for field in method.input().fields() {
            if let Some(value) = vendors::value(&field) {
                request.set_field(&field, value);
            }
        }
        if let Some(key) = vendors::key(&method) {
            let field = method.input().get_field_by_name(key.field).unwrap();
            request.set_field(&field, vendors::holding(&field, target));
        }
        request
    }

    /// The same to the place of this name.
    pub(crate) fn request_at(&self, name: &str, target: &str, place: &str) -> DynamicMessage {
        let mut request = self.request(name, target);
        if let Some(vendor) = Vendor::of(name) {
            request.set_field_by_name(vendor.place, Value::String(place.to_owned()));
        }
        request
    }

    /// Calls a method.
    pub(crate) async fn call(
        &self,
        name: &str,
        token: Option<&str>,
        request: &DynamicMessage,
    ) -> Answer {
        let mut call = Request::new(Bytes::from(request.encode_to_vec()));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            call.metadata_mut().insert("authorization", value);
        }
        self.send(name, call).await
    }

    /// Calls a method with a request that is bytes, and metadata, of one's own,
    /// and waits for its end.
    pub(crate) async fn send(&self, name: &str, call: Request<Bytes>) -> Answer {
        tokio::time::timeout(PATIENCE, self.send_patiently(name, call))
            .await
            .expect("a call hangs")
    }

    /// Opens a stream. What comes of it is read by whoever opened it.
    pub(crate) async fn open(
        &self,
        name: &str,
        call: Request<Bytes>,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        let ready = grpc.ready().await;
        ready.map_err(|it| Status::from_error(it.into()))?;
        let path = format!("/{name}").parse().unwrap();
        grpc.server_streaming(call, path, Raw).await
    }

    async fn send_patiently(&self, name: &str, call: Request<Bytes>) -> Answer {
        let output = self.method(name).output();
        let mut answer = Answer {
            messages: Vec::new(),
            result: Ok(()),
            request_id: None,
            receipts: Vec::new(),
        };
        match self.open(name, call).await {
            Ok(response) => {
                answer.request_id = request_id(response.metadata());
                let mut messages = response.into_inner();
                answer.result = loop {
                    match messages.message().await {
                        Ok(Some(message)) => {
                            let message = DynamicMessage::decode(output.clone(), message);
                            answer.messages.push(message.unwrap());
                        }
                        Ok(None) => break Ok(()),
                        Err(status) => break Err(status),
                    }
                };
                let trailers = match &answer.result {
                    Ok(()) => messages.trailers().await.unwrap_or_default(),
                    Err(status) => Some(status.metadata().clone()),
                };
                answer.receipts = trailers.iter().flat_map(receipts).collect();
            }
            Err(status) => {
                answer.request_id = request_id(status.metadata());
                answer.receipts = receipts(status.metadata());
                answer.result = Err(status);
            }
        }
        answer
    }
}

fn request_id(metadata: &MetadataMap) -> Option<String> {
    let id = metadata.get("x-request-id")?;
    Some(id.to_str().unwrap().to_owned())
}

fn receipts(metadata: &MetadataMap) -> Vec<String> {
    let all = metadata.get_all_bin("keygate-receipt-bin").iter();
    let texts = all.map(|it| String::from_utf8(it.to_bytes().unwrap().to_vec()));
    texts.map(Result::unwrap).collect()
}

/// A message as its bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
