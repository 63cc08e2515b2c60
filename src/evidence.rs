//! `keygate.audit.v1.AuditService`: what the trail says, and the proof that it says
//! so. No upstream is asked.
//!
//! It translates between the contract and the trail, and decides nothing: who may
//! read the trail may read all of it.

mod checkpoints;
mod filter;
mod listing;
mod message;
mod proofs;
mod watching;

use tonic::{Request, Response, Status, async_trait};

use crate::{
    audit,
    contract::proto::keygate::audit::v1::{
        GetCheckpointRequest, GetCheckpointResponse, GetProofRequest, GetProofResponse,
        ListRecordsRequest, ListRecordsResponse, WatchRecordsRequest, WatchRecordsResponse,
        audit_service_server::AuditService,
    },
    gateway::{Gateway, Items},
    status::Error,
};

#[async_trait]
impl AuditService for Gateway {
    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        let method = "keygate.audit.v1.AuditService/ListRecords";
        self.look_up(method, request, listing::list).await
    }

    type WatchRecordsStream = Items<WatchRecordsResponse>;

    async fn watch_records(
        &self,
        request: Request<WatchRecordsRequest>,
    ) -> Result<Response<Self::WatchRecordsStream>, Status> {
        let method = "keygate.audit.v1.AuditService/WatchRecords";
        self.local_stream(method, request, watching::weight, watching::watch)
            .await
    }

    async fn get_checkpoint(
        &self,
        request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let method = "keygate.audit.v1.AuditService/GetCheckpoint";
        self.look_up(method, request, checkpoints::latest).await
    }

    async fn get_proof(
        &self,
        request: Request<GetProofRequest>,
    ) -> Result<Response<GetProofResponse>, Status> {
        let method = "keygate.audit.v1.AuditService/GetProof";
        self.look_up(method, request, proofs::prove).await
    }
}

/// What the caller is told if the trail can't be read.
fn unreadable(error: audit::Error) -> Error {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "the trail can't be read"
    );
    Error::AuditUnavailable
}
