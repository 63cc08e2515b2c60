//! `keygate.datadog.v1.ApiKeyService`.

use super::{Keys, operation};
use crate::{
    contract::proto::keygate::datadog::v1::{
        CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest, DeleteApiKeyResponse,
        GetApiKeyRequest, GetApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse,
        UpdateApiKeyRequest, UpdateApiKeyResponse, api_key_service_server::ApiKeyService,
    },
    datadog::operation::API_KEY,
    gateway::{operation::Scopes::NotApplicable, service, trace::Trace},
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
    |it, violations| API_KEYS.create(it.name, NotApplicable, violations),
    effect: |it| crate::datadog::api_keys::made(it)
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
    |it, violations| API_KEYS.rename(&it.key, it.name, NotApplicable, violations),
    effect: |_it| Trace::Changed(API_KEYS.look())
}

operation! {
    /// DELETE /api/v1/api_key/{key}
    DeleteApiKey = "keygate.datadog.v1.ApiKeyService/DeleteApiKey",
    DeleteApiKeyRequest => DeleteApiKeyResponse,
    |it, violations| API_KEYS.delete(&it.key, violations),
    effect: |_it| Trace::Removed(API_KEYS.look())
}

service! {
    ApiKeyService, TRACERS,
    unary: {
        list_api_keys => ListApiKeys,
        create_api_key => CreateApiKey,
        get_api_key => GetApiKey,
        update_api_key => UpdateApiKey,
        delete_api_key => DeleteApiKey,
    },
}
