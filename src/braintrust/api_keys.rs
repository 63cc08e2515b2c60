//! `keygate.braintrust.v1.ApiKeyService`.

use super::operation::{Collection, Filter, Page, operation, pages};
use crate::{
    contract::proto::keygate::braintrust::v1::{
        CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest, DeleteApiKeyResponse,
        GetApiKeyRequest, GetApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse,
        StreamApiKeysRequest, StreamApiKeysResponse, api_key_service_server::ApiKeyService,
    },
    gateway::service,
};

const API_KEYS: Collection = Collection {
    resource_type: "api_key",
    path: "/v1/api_key",
    item: "/v1/api_key/{api_key_id}",
    id_field: "api_key_id",
    name_filter: "api_key_name",
};

operation! {
    /// GET /v1/api_key
    ListApiKeys = "keygate.braintrust.v1.ApiKeyService/ListApiKeys",
    ListApiKeysRequest => ListApiKeysResponse,
    |it, violations| {
        let page = Page {
            limit: it.limit,
            starting_after: it.starting_after.as_deref(),
            ending_before: it.ending_before.as_deref(),
        };
        let filter = Filter {
            ids: &it.ids,
            name: it.api_key_name.as_deref(),
            org_name: it.org_name.as_deref(),
        };
        API_KEYS.list(&page, &filter, violations)
    }
}

operation! {
    /// GET /v1/api_key, page by page
    StreamApiKeys = "keygate.braintrust.v1.ApiKeyService/StreamApiKeys",
    StreamApiKeysRequest => ListApiKeysResponse,
    |it, violations| {
        let filter = Filter {
            ids: &it.ids,
            name: it.api_key_name.as_deref(),
            org_name: it.org_name.as_deref(),
        };
        API_KEYS.list(&Page::default(), &filter, violations)
    }
}

pages!(StreamApiKeys => StreamApiKeysResponse.api_key of api_keys);

operation! {
    /// GET /v1/api_key/{api_key_id}
    GetApiKey = "keygate.braintrust.v1.ApiKeyService/GetApiKey",
    GetApiKeyRequest => GetApiKeyResponse,
    |it, violations| API_KEYS.get(it.api_key_id, violations)
}

operation! {
    /// DELETE /v1/api_key/{api_key_id}
    DeleteApiKey = "keygate.braintrust.v1.ApiKeyService/DeleteApiKey",
    DeleteApiKeyRequest => DeleteApiKeyResponse,
    |it, violations| API_KEYS.delete(it.api_key_id, violations),
    effect: |it| API_KEYS.removed(it)
}

service! {
    ApiKeyService, TRACERS,
    unary: {
        list_api_keys => ListApiKeys,
        get_api_key => GetApiKey,
        delete_api_key => DeleteApiKey,
    },
    streams: {
        stream_api_keys, StreamApiKeysStream => StreamApiKeys,
    },
    not_offered: {
        create_api_key(CreateApiKeyRequest => CreateApiKeyResponse)
            => "keygate.braintrust.v1.ApiKeyService/CreateApiKey",
    },
}
