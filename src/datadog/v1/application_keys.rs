//! `keygate.datadog.v1.ApplicationKeyService`.

use tonic::{Request, Response, Status, async_trait};

use super::{Keys, operation};
use crate::{
    contract::proto::keygate::datadog::v1::{
        CreateApplicationKeyRequest, CreateApplicationKeyResponse, DeleteApplicationKeyRequest,
        DeleteApplicationKeyResponse, GetApplicationKeyRequest, GetApplicationKeyResponse,
        ListApplicationKeysRequest, ListApplicationKeysResponse, UpdateApplicationKeyRequest,
        UpdateApplicationKeyResponse, application_key_service_server::ApplicationKeyService,
    },
    datadog::operation::APPLICATION_KEY,
    gateway::{Gateway, operation::Scopes::Unscoped},
};

const APPLICATION_KEYS: Keys = Keys {
    kind: APPLICATION_KEY,
    path: "/api/v1/application_key",
    item: "/api/v1/application_key/{key}",
};

operation! {
    /// GET /api/v1/application_key
    ListApplicationKeys = "keygate.datadog.v1.ApplicationKeyService/ListApplicationKeys",
    ListApplicationKeysRequest => ListApplicationKeysResponse,
    |_it, _violations| APPLICATION_KEYS.list()
}

operation! {
    /// POST /api/v1/application_key
    CreateApplicationKey = "keygate.datadog.v1.ApplicationKeyService/CreateApplicationKey",
    CreateApplicationKeyRequest => CreateApplicationKeyResponse,
    |it, violations| APPLICATION_KEYS.create(it.name, Unscoped, violations)
}

operation! {
    /// GET /api/v1/application_key/{key}
    GetApplicationKey = "keygate.datadog.v1.ApplicationKeyService/GetApplicationKey",
    GetApplicationKeyRequest => GetApplicationKeyResponse,
    |it, violations| APPLICATION_KEYS.get(&it.key, violations)
}

operation! {
    /// PUT /api/v1/application_key/{key}
    UpdateApplicationKey = "keygate.datadog.v1.ApplicationKeyService/UpdateApplicationKey",
    UpdateApplicationKeyRequest => UpdateApplicationKeyResponse,
    |it, violations| {
        // which scopes it keeps can't be seen in v1
        APPLICATION_KEYS.rename(&it.key, it.name, Unscoped, violations)
    }
}

operation! {
    /// DELETE /api/v1/application_key/{key}
    DeleteApplicationKey = "keygate.datadog.v1.ApplicationKeyService/DeleteApplicationKey",
    DeleteApplicationKeyRequest => DeleteApplicationKeyResponse,
    |it, violations| APPLICATION_KEYS.delete(&it.key, violations)
}

#[async_trait]
impl ApplicationKeyService for Gateway {
    async fn list_application_keys(
        &self,
        request: Request<ListApplicationKeysRequest>,
    ) -> Result<Response<ListApplicationKeysResponse>, Status> {
        self.unary::<ListApplicationKeys>(request).await
    }

    async fn create_application_key(
        &self,
        request: Request<CreateApplicationKeyRequest>,
    ) -> Result<Response<CreateApplicationKeyResponse>, Status> {
        self.unary::<CreateApplicationKey>(request).await
    }

    async fn get_application_key(
        &self,
        request: Request<GetApplicationKeyRequest>,
    ) -> Result<Response<GetApplicationKeyResponse>, Status> {
        self.unary::<GetApplicationKey>(request).await
    }

    async fn update_application_key(
        &self,
        request: Request<UpdateApplicationKeyRequest>,
    ) -> Result<Response<UpdateApplicationKeyResponse>, Status> {
        self.unary::<UpdateApplicationKey>(request).await
    }

    async fn delete_application_key(
        &self,
        request: Request<DeleteApplicationKeyRequest>,
    ) -> Result<Response<DeleteApplicationKeyResponse>, Status> {
        self.unary::<DeleteApplicationKey>(request).await
    }
}
