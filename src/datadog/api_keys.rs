//! `keygate.datadog.v2.ApiKeyService`.

use super::{
    answers::pages,
    operation::{API_KEY, Attributes, Collection, operation},
    query::Query,
};
use crate::{
    contract::proto::keygate::datadog::v2::{
        ApiKeyInclude, ApiKeySort, CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest,
        DeleteApiKeyResponse, GetApiKeyRequest, GetApiKeyResponse, ListApiKeysRequest,
        ListApiKeysResponse, StreamApiKeysRequest, StreamApiKeysResponse, UpdateApiKeyRequest,
        UpdateApiKeyResponse, api_key_service_server::ApiKeyService,
    },
    gateway::{
        operation::Scopes::NotApplicable,
        request::check_name,
        service,
        trace::{Sought, Trace},
    },
};

const API_KEYS: Collection = Collection::new(
    API_KEY,
    "/api/v2/api_keys",
    "/api/v2/api_keys/{api_key_id}",
    "api_key_id",
);

fn sort(sort: ApiKeySort) -> Option<&'static str> {
    Some(match sort {
        ApiKeySort::Unspecified => return None,
        ApiKeySort::CreatedAt => "created_at",
        ApiKeySort::CreatedAtDesc => "-created_at",
        ApiKeySort::Last4 => "last4",
        ApiKeySort::Last4Desc => "-last4",
        ApiKeySort::ModifiedAt => "modified_at",
        ApiKeySort::ModifiedAtDesc => "-modified_at",
        ApiKeySort::Name => "name",
        ApiKeySort::NameDesc => "-name",
    })
}

fn include(include: ApiKeyInclude) -> Option<&'static str> {
    Some(match include {
        ApiKeyInclude::Unspecified => return None,
        ApiKeyInclude::CreatedBy => "created_by",
        ApiKeyInclude::ModifiedBy => "modified_by",
    })
}

/// The filters and includes that a list and a stream have in common.
macro_rules! filtered {
    ($it:ident, $query:expr) => {
        $query
            .filter($it.filter.as_deref())
            .created_at($it.created_at_start.as_ref(), $it.created_at_end.as_ref())
            .time(
                "modified_at_start",
                "filter[modified_at][start]",
                $it.modified_at_start.as_ref(),
            )
            .time(
                "modified_at_end",
                "filter[modified_at][end]",
                $it.modified_at_end.as_ref(),
            )
            .include(&$it.include, include)
            .flag(
                "filter[remote_config_read_enabled]",
                $it.remote_config_read_enabled,
            )
            .text("category", "filter[category]", $it.category.as_deref())
            .finish()
    };
}

operation! {
    /// GET /api/v2/api_keys
    ListApiKeys = "keygate.datadog.v2.ApiKeyService/ListApiKeys",
    ListApiKeysRequest => ListApiKeysResponse,
    |it, violations| {
        let query = Query::new(API_KEYS.route, violations)
            .page(it.page_size, it.page_number)
            .sort(it.sort, sort);
        API_KEYS.list(filtered!(it, query))
    }
}

operation! {
    /// GET /api/v2/api_keys, page by page
    StreamApiKeys = "keygate.datadog.v2.ApiKeyService/StreamApiKeys",
    StreamApiKeysRequest => ListApiKeysResponse,
    |it, violations| {
        let query = Query::new(API_KEYS.route, violations);
        API_KEYS.list(filtered!(it, query))
    }
}

pages!(StreamApiKeys => StreamApiKeysResponse.api_key of api_keys);

/// Where a new API key shows, however it was made.
pub(super) fn made(sought: &Sought<'_>) -> Trace {
    API_KEYS.made::<StreamApiKeys>(sought, true)
}

operation! {
    /// POST /api/v2/api_keys
    CreateApiKey = "keygate.datadog.v2.ApiKeyService/CreateApiKey",
    CreateApiKeyRequest => CreateApiKeyResponse,
    |it, violations| {
        check_name(Some(&it.name), violations);
        let attributes = Attributes {
            name: Some(it.name.clone()),
            category: it.category,
            remote_config_read_enabled: it.remote_config_read_enabled,
            ..Attributes::default()
        };
        API_KEYS.create(it.name, NotApplicable, attributes)
    },
    effect: |it| made(it)
}

operation! {
    /// GET /api/v2/api_keys/{api_key_id}
    GetApiKey = "keygate.datadog.v2.ApiKeyService/GetApiKey",
    GetApiKeyRequest => GetApiKeyResponse,
    |it, violations| {
        let path = API_KEYS.path_of(&it.api_key_id, violations);
        let path = Query::new(path, violations).include(&it.include, include).finish();
        API_KEYS.get(it.api_key_id, path)
    }
}

operation! {
    /// PATCH /api/v2/api_keys/{api_key_id}
    UpdateApiKey = "keygate.datadog.v2.ApiKeyService/UpdateApiKey",
    UpdateApiKeyRequest => UpdateApiKeyResponse,
    |it, violations| {
        let path = API_KEYS.path_of(&it.api_key_id, violations);
        check_name(it.name.as_deref(), violations);
        let attributes = Attributes {
            name: it.name.clone(),
            category: it.category,
            remote_config_read_enabled: it.remote_config_read_enabled,
            ..Attributes::default()
        };
        API_KEYS.update(it.api_key_id, path, it.name, NotApplicable, attributes)
    },
    effect: |it| API_KEYS.changed(it)
}

operation! {
    /// DELETE /api/v2/api_keys/{api_key_id}
    DeleteApiKey = "keygate.datadog.v2.ApiKeyService/DeleteApiKey",
    DeleteApiKeyRequest => DeleteApiKeyResponse,
    |it, violations| {
        API_KEYS.delete(it.api_key_id, violations)
    },
    effect: |it| API_KEYS.removed(it)
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
    streams: {
        stream_api_keys, StreamApiKeysStream => StreamApiKeys,
    },
}
