//! `AuditService` at the served port: what the trail says, as it grows, and its
//! proofs.

mod ending;
mod listing;
mod proofs;
mod watching;

use bytes::Bytes;
use keygate::contract::proto::keygate::audit::v1::{
    ListRecordsRequest, ListRecordsResponse, WatchRecordsRequest, WatchRecordsResponse,
};
use prost::Message;
use tonic::{Request, Status, Streaming};

use crate::support::{
    gateway::{Answer, Client},
    served::Served,
};

const SERVICE: &str = "keygate.audit.v1.AuditService";
const WHO_AM_I: &str = "keygate.access.v1.AccessService/WhoAmI";

/// Somebody who may read the trail.
#[derive(Clone)]
struct Auditor {
    client: Client,
    token: String,
}

impl Auditor {
    fn new(served: &Served) -> Self {
        Self {
            client: served.client(),
            token: served.token("the-auditor", &["auditor"]),
        }
    }

    fn request(&self, message: &impl Message, id: Option<&str>) -> Request<Bytes> {
        let mut call = Request::new(Bytes::from(message.encode_to_vec()));
        let metadata = call.metadata_mut();
        let token = format!("Bearer {}", self.token);
        metadata.insert("authorization", token.parse().unwrap());
        if let Some(id) = id {
            metadata.insert("x-request-id", id.parse().unwrap());
        }
        call
    }

    /// What becomes of a call.
    async fn call(&self, rpc: &str, message: &impl Message) -> Answer {
        let call = self.request(message, None);
        self.client.send(&format!("{SERVICE}/{rpc}"), call).await
    }

    /// The answer to a call that succeeds.
    async fn ask<A: Message + Default>(&self, rpc: &str, message: &impl Message) -> A {
        self.call(rpc, message).await.ok().transcode_to().unwrap()
    }

    async fn page(&self, request: &ListRecordsRequest) -> ListRecordsResponse {
        self.ask("ListRecords", request).await
    }

    /// All pages, and how many they were.
    async fn pages(
        &self,
        request: &ListRecordsRequest,
    ) -> (
        Vec<keygate::contract::proto::keygate::audit::v1::Record>,
        usize,
    ) {
        let (mut all, mut count) = (Vec::new(), 0);
        let mut request = request.clone();
        loop {
            let page = self.page(&request).await;
            all.extend(page.records);
            count += 1;
            if page.next_page_token.is_empty() {
                return (all, count);
            }
            request.page_token = page.next_page_token;
        }
    }

    async fn watch(&self, request: &WatchRecordsRequest) -> Watch {
        self.watch_as(request, None).await.unwrap()
    }

    /// Opens a watch with a request id.
    async fn watch_as(
        &self,
        request: &WatchRecordsRequest,
        id: Option<&str>,
    ) -> Result<Watch, Status> {
        let call = self.request(request, id);
        let method = format!("{SERVICE}/WatchRecords");
        let opened = self.client.open(&method, call).await?;
        Ok(Watch(opened.into_inner()))
    }
}

/// A watch that has begun.
struct Watch(Streaming<Bytes>);

impl Watch {
    /// The next message; `None` at its end.
    async fn next(&mut self) -> Result<Option<WatchRecordsResponse>, Status> {
        let next = tokio::time::timeout(crate::support::gateway::PATIENCE, self.0.message());
        let message = next.await.expect("a watch hangs")?;
        Ok(message.map(|it| WatchRecordsResponse::decode(it).unwrap()))
    }

    /// The position of the next record.
    async fn position(&mut self) -> Result<Option<u64>, Status> {
        while let Some(message) = self.next().await? {
            if let Some(record) = message.record {
                assert_eq!(message.next_position, record.position + 1);
                return Ok(Some(record.position));
            }
        }
        Ok(None)
    }

    /// How it ends.
    async fn end(&mut self) -> Result<(), Status> {
        while self.position().await?.is_some() {}
        Ok(())
    }
}

/// Makes a call that leaves one record.
async fn leave_a_record(client: &Client, token: &str) {
    let request = client.request(WHO_AM_I, "");
    client.call(WHO_AM_I, Some(token), &request).await.ok();
}

/// Calls until it is told that it is enough. How many calls were made.
async fn call_on(client: Client, token: String, enough: tokio_util::sync::CancellationToken) {
    while !enough.is_cancelled() {
        leave_a_record(&client, &token).await;
    }
}
