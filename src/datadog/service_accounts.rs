//! `keygate.datadog.v2.ServiceAccountKeyService`: the same keys and tokens as
//! elsewhere, below the service account that they belong to.

use super::{
    answers::pages,
    application_keys,
    operation::{APPLICATION_KEY, Collection, SERVICE_ACCESS_TOKEN, operation},
    personal_access_tokens as access_tokens,
    query::Query,
};
use crate::{
    contract::proto::keygate::datadog::v2::{
        CreateServiceAccountAccessTokenRequest, CreateServiceAccountAccessTokenResponse,
        CreateServiceAccountApplicationKeyRequest, CreateServiceAccountApplicationKeyResponse,
        DeleteServiceAccountApplicationKeyRequest, DeleteServiceAccountApplicationKeyResponse,
        GetServiceAccountAccessTokenRequest, GetServiceAccountAccessTokenResponse,
        GetServiceAccountApplicationKeyRequest, GetServiceAccountApplicationKeyResponse,
        ListServiceAccountAccessTokensRequest, ListServiceAccountAccessTokensResponse,
        ListServiceAccountApplicationKeysRequest, ListServiceAccountApplicationKeysResponse,
        RevokeServiceAccountAccessTokenRequest, RevokeServiceAccountAccessTokenResponse,
        StreamServiceAccountAccessTokensRequest, StreamServiceAccountAccessTokensResponse,
        StreamServiceAccountApplicationKeysRequest, StreamServiceAccountApplicationKeysResponse,
        UpdateServiceAccountAccessTokenRequest, UpdateServiceAccountAccessTokenResponse,
        UpdateServiceAccountApplicationKeyRequest, UpdateServiceAccountApplicationKeyResponse,
        service_account_key_service_server::ServiceAccountKeyService,
    },
    gateway::{
        service,
        trace::{Sought, Trace},
    },
    status::Violation,
};

const KEYS: Collection = Collection::new(
    APPLICATION_KEY,
    "/api/v2/service_accounts/{service_account_id}/application_keys",
    "/api/v2/service_accounts/{service_account_id}/application_keys/{app_key_id}",
    "app_key_id",
);

const TOKENS: Collection = Collection::new(
    SERVICE_ACCESS_TOKEN,
    "/api/v2/service_accounts/{service_account_id}/access_tokens",
    "/api/v2/service_accounts/{service_account_id}/access_tokens/{token_id}",
    "token_id",
);

/// The application keys of a service account.
fn keys(account: String, violations: &mut Vec<Violation>) -> Collection {
    KEYS.of("service_account_id", account, violations)
}

/// The access tokens of a service account.
fn tokens(account: String, violations: &mut Vec<Violation>) -> Collection {
    TOKENS.of("service_account_id", account, violations)
}

/// Where the effect of a change shows, below the service account that it was made
/// to.
fn of(
    collection: &Collection,
    sought: &Sought<'_>,
    trace: impl FnOnce(&Collection) -> Trace,
) -> Trace {
    let mut violations = Vec::new();
    let account = sought.parent.unwrap_or_default().to_owned();
    let collection = collection.of("service_account_id", account, &mut violations);
    if violations.is_empty() {
        trace(&collection)
    } else {
        Trace::UNNAMED
    }
}

/// The filters that the list and the stream of keys have in common.
macro_rules! filtered_keys {
    ($it:ident, $query:expr) => {
        $query
            .filter($it.filter.as_deref())
            .created_at($it.created_at_start.as_ref(), $it.created_at_end.as_ref())
            .finish()
    };
}

/// The filters and includes that the list and the stream of tokens have in common.
macro_rules! filtered_tokens {
    ($it:ident, $query:expr) => {
        $query
            .filter($it.filter.as_deref())
            .flag("filter[leaked]", $it.leaked)
            .include(&$it.include, access_tokens::include)
            .finish()
    };
}

operation! {
    /// GET /api/v2/service_accounts/{service_account_id}/application_keys
    ListServiceAccountApplicationKeys =
        "keygate.datadog.v2.ServiceAccountKeyService/ListServiceAccountApplicationKeys",
    ListServiceAccountApplicationKeysRequest => ListServiceAccountApplicationKeysResponse,
    |it, violations| {
        let keys = keys(it.service_account_id, violations);
        let query = Query::new(&*keys.path, violations)
            .page(it.page_size, it.page_number)
            .sort(it.sort, application_keys::sort);
        keys.list(filtered_keys!(it, query))
    }
}

operation! {
    /// GET /api/v2/service_accounts/{service_account_id}/application_keys, page by
    /// page
    StreamServiceAccountApplicationKeys =
        "keygate.datadog.v2.ServiceAccountKeyService/StreamServiceAccountApplicationKeys",
    StreamServiceAccountApplicationKeysRequest => ListServiceAccountApplicationKeysResponse,
    |it, violations| {
        let keys = keys(it.service_account_id, violations);
        let query = Query::new(&*keys.path, violations);
        keys.list(filtered_keys!(it, query))
    }
}

pages! {
    StreamServiceAccountApplicationKeys =>
        StreamServiceAccountApplicationKeysResponse.application_key of application_keys
}

operation! {
    /// POST /api/v2/service_accounts/{service_account_id}/application_keys
    CreateServiceAccountApplicationKey =
        "keygate.datadog.v2.ServiceAccountKeyService/CreateServiceAccountApplicationKey",
    CreateServiceAccountApplicationKeyRequest => CreateServiceAccountApplicationKeyResponse,
    |it, violations| {
        let keys = keys(it.service_account_id, violations);
        application_keys::create(&keys, it.name, it.scopes, violations)
    },
    effect: |it| of(&KEYS, it, |keys| {
        keys.made::<StreamServiceAccountApplicationKeys>(it, false)
    })
}

operation! {
    /// GET /api/v2/service_accounts/{service_account_id}/application_keys/{app_key_id}
    GetServiceAccountApplicationKey =
        "keygate.datadog.v2.ServiceAccountKeyService/GetServiceAccountApplicationKey",
    GetServiceAccountApplicationKeyRequest => GetServiceAccountApplicationKeyResponse,
    |it, violations| {
        let keys = keys(it.service_account_id, violations);
        let path = keys.path_of(&it.app_key_id, violations);
        keys.get(it.app_key_id, path)
    }
}

operation! {
    /// PATCH /api/v2/service_accounts/{service_account_id}/application_keys/{app_key_id}
    UpdateServiceAccountApplicationKey =
        "keygate.datadog.v2.ServiceAccountKeyService/UpdateServiceAccountApplicationKey",
    UpdateServiceAccountApplicationKeyRequest => UpdateServiceAccountApplicationKeyResponse,
    |it, violations| {
        let keys = keys(it.service_account_id, violations);
        keys.rename_or_rescope(it.app_key_id, it.name, it.scopes, violations)
    },
    effect: |it| of(&KEYS, it, |keys| keys.changed(it))
}

operation! {
    /// DELETE /api/v2/service_accounts/{service_account_id}/application_keys/{app_key_id}
    DeleteServiceAccountApplicationKey =
        "keygate.datadog.v2.ServiceAccountKeyService/DeleteServiceAccountApplicationKey",
    DeleteServiceAccountApplicationKeyRequest => DeleteServiceAccountApplicationKeyResponse,
    |it, violations| {
        let keys = keys(it.service_account_id, violations);
        keys.delete(it.app_key_id, violations)
    },
    effect: |it| of(&KEYS, it, |keys| keys.removed(it))
}

operation! {
    /// GET /api/v2/service_accounts/{service_account_id}/access_tokens
    ListServiceAccountAccessTokens =
        "keygate.datadog.v2.ServiceAccountKeyService/ListServiceAccountAccessTokens",
    ListServiceAccountAccessTokensRequest => ListServiceAccountAccessTokensResponse,
    |it, violations| {
        let tokens = tokens(it.service_account_id, violations);
        let query = Query::new(&*tokens.path, violations)
            .page(it.page_size, it.page_number)
            .sort(it.sort, access_tokens::sort);
        tokens.list(filtered_tokens!(it, query))
    }
}

operation! {
    /// GET /api/v2/service_accounts/{service_account_id}/access_tokens, page by page
    StreamServiceAccountAccessTokens =
        "keygate.datadog.v2.ServiceAccountKeyService/StreamServiceAccountAccessTokens",
    StreamServiceAccountAccessTokensRequest => ListServiceAccountAccessTokensResponse,
    |it, violations| {
        let tokens = tokens(it.service_account_id, violations);
        let query = Query::new(&*tokens.path, violations);
        tokens.list(filtered_tokens!(it, query))
    }
}

pages! {
    StreamServiceAccountAccessTokens =>
        StreamServiceAccountAccessTokensResponse.access_token of access_tokens
}

operation! {
    /// POST /api/v2/service_accounts/{service_account_id}/access_tokens
    CreateServiceAccountAccessToken =
        "keygate.datadog.v2.ServiceAccountKeyService/CreateServiceAccountAccessToken",
    CreateServiceAccountAccessTokenRequest => CreateServiceAccountAccessTokenResponse,
    |it, violations| {
        let tokens = tokens(it.service_account_id, violations);
        access_tokens::create(&tokens, it.name, it.scopes, it.expires_at, violations)
    },
    effect: |it| of(&TOKENS, it, |tokens| {
        tokens.made::<StreamServiceAccountAccessTokens>(it, false)
    })
}

operation! {
    /// GET /api/v2/service_accounts/{service_account_id}/access_tokens/{token_id}
    GetServiceAccountAccessToken =
        "keygate.datadog.v2.ServiceAccountKeyService/GetServiceAccountAccessToken",
    GetServiceAccountAccessTokenRequest => GetServiceAccountAccessTokenResponse,
    |it, violations| {
        let tokens = tokens(it.service_account_id, violations);
        let path = tokens.path_of(&it.token_id, violations);
        let path = Query::new(path, violations).include(&it.include, access_tokens::include).finish();
        tokens.get(it.token_id, path)
    }
}

operation! {
    /// PATCH /api/v2/service_accounts/{service_account_id}/access_tokens/{token_id}
    UpdateServiceAccountAccessToken =
        "keygate.datadog.v2.ServiceAccountKeyService/UpdateServiceAccountAccessToken",
    UpdateServiceAccountAccessTokenRequest => UpdateServiceAccountAccessTokenResponse,
    |it, violations| {
        let tokens = tokens(it.service_account_id, violations);
        access_tokens::update(&tokens, it.token_id, it.name, it.scopes, violations)
    },
    effect: |it| of(&TOKENS, it, |tokens| tokens.changed(it))
}

operation! {
    /// DELETE /api/v2/service_accounts/{service_account_id}/access_tokens/{token_id}
    RevokeServiceAccountAccessToken =
        "keygate.datadog.v2.ServiceAccountKeyService/RevokeServiceAccountAccessToken",
    RevokeServiceAccountAccessTokenRequest => RevokeServiceAccountAccessTokenResponse,
    |it, violations| {
        let tokens = tokens(it.service_account_id, violations);
        tokens.delete(it.token_id, violations)
    },
    effect: |it| of(&TOKENS, it, |tokens| tokens.removed(it))
}

service! {
    ServiceAccountKeyService, TRACERS,
    unary: {
        list_service_account_application_keys => ListServiceAccountApplicationKeys,
        create_service_account_application_key => CreateServiceAccountApplicationKey,
        get_service_account_application_key => GetServiceAccountApplicationKey,
        update_service_account_application_key => UpdateServiceAccountApplicationKey,
        delete_service_account_application_key => DeleteServiceAccountApplicationKey,
        list_service_account_access_tokens => ListServiceAccountAccessTokens,
        create_service_account_access_token => CreateServiceAccountAccessToken,
        get_service_account_access_token => GetServiceAccountAccessToken,
        update_service_account_access_token => UpdateServiceAccountAccessToken,
        revoke_service_account_access_token => RevokeServiceAccountAccessToken,
    },
    streams: {
        stream_service_account_application_keys, StreamServiceAccountApplicationKeysStream => StreamServiceAccountApplicationKeys,
        stream_service_account_access_tokens, StreamServiceAccountAccessTokensStream => StreamServiceAccountAccessTokens,
    },
}
