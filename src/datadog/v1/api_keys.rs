//! `keygate.datadog.v1.ApiKeyService`.

use tonic::{Request, Response, Status, async_trait};

use super::{Keys, operation};
use crate::{
    contract::proto::keygate::datadog::v1::{
        CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest, DeleteApiKeyResponse,
        GetApiKeyRequest, GetApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse,
        UpdateApiKeyRequest, UpdateApiKeyResponse, api_key_service_server::ApiKeyService,
    },
    datadog::operation::API_KEY,
    gateway::{Gateway, operation::Scopes::NotApplicable},
};

const API_KEYS: Keys = Keys {
    kind: API_KEY,
    path: "/api/v1/api_key",
    item: "/api/v1/api_key/{key}",
};

operation! {
    /// GET /api/v1/api_key
    ListApiKeys = "keygate.datadog.v1.ApiKeyService/ListApiKeys",
    ListApiKeysRequest => ListApiKeysResponse,
    |_it, _violations| API_KEYS.list()
}

operation! {
    /// POST /api/v1/api_key
    CreateApiKey = "keygate.datadog.v1.ApiKeyService/CreateApiKey",
    CreateApiKeyRequest => CreateApiKeyResponse,
    |it, violations| API_KEYS.create(it.name, NotApplicable, violations)
}

operation! {
    /// GET /api/v1/api_key/{key}
    GetApiKey = "keygate.datadog.v1.ApiKeyService/GetApiKey",
    GetApiKeyRequest => GetApiKeyResponse,
    |it, violations| API_KEYS.get(&it.key, violations)
}

operation! {
    /// PUT /api/v1/api_key/{key}
    UpdateApiKey = "keygate.datadog.v1.ApiKeyService/UpdateApiKey",
    UpdateApiKeyRequest => UpdateApiKeyResponse,
    |it, violations| API_KEYS.rename(&it.key, it.name, NotApplicable, violations)
}

operation! {
    /// DELETE /api/v1/api_key/{key}
    DeleteApiKey = "keygate.datadog.v1.ApiKeyService/DeleteApiKey",
    DeleteApiKeyRequest => DeleteApiKeyResponse,
    |it, violations| API_KEYS.delete(&it.key, violations)
}

#[async_trait]
impl ApiKeyService for Gateway {
    async fn list_api_keys(
        &self,
        request: Request<ListApiKeysRequest>,
    ) -> Result<Response<ListApiKeysResponse>, Status> {
        self.unary::<ListApiKeys>(request).await
    }

    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        self.unary::<CreateApiKey>(request).await
    }

    async fn get_api_key(
        &self,
        request: Request<GetApiKeyRequest>,
    ) -> Result<Response<GetApiKeyResponse>, Status> {
        self.unary::<GetApiKey>(request).await
    }

    async fn update_api_key(
        &self,
        request: Request<UpdateApiKeyRequest>,
    ) -> Result<Response<UpdateApiKeyResponse>, Status> {
        self.unary::<UpdateApiKey>(request).await
    }

    async fn delete_api_key(
        &self,
        request: Request<DeleteApiKeyRequest>,
    ) -> Result<Response<DeleteApiKeyResponse>, Status> {
        self.unary::<DeleteApiKey>(request).await
    }
}
