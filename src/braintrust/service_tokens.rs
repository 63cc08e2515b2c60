//! `keygate.braintrust.v1.ServiceTokenService`.

use super::operation::{Collection, Filter, New, Page, operation, pages};
use crate::{
    contract::proto::keygate::braintrust::v1::{
        CreateServiceTokenRequest, CreateServiceTokenResponse, DeleteServiceTokenRequest,
        DeleteServiceTokenResponse, GetServiceTokenRequest, GetServiceTokenResponse,
        ListServiceTokensRequest, ListServiceTokensResponse, ReplaceServiceTokenRequest,
        ReplaceServiceTokenResponse, StreamServiceTokensRequest, StreamServiceTokensResponse,
        service_token_service_server::ServiceTokenService,
    },
    gateway::service,
};

const SERVICE_TOKENS: Collection = Collection {
    resource_type: "service_token",
    path: "/v1/service_token",
    item: "/v1/service_token/{service_token_id}",
    id_field: "service_token_id",
    name_filter: "service_token_name",
};

operation! {
    /// GET /v1/service_token
    ListServiceTokens = "keygate.braintrust.v1.ServiceTokenService/ListServiceTokens",
    ListServiceTokensRequest => ListServiceTokensResponse,
    |it, violations| {
        let page = Page {
            limit: it.limit,
            starting_after: it.starting_after.as_deref(),
            ending_before: it.ending_before.as_deref(),
        };
        let filter = Filter {
            ids: &it.ids,
            name: it.service_token_name.as_deref(),
            org_name: it.org_name.as_deref(),
        };
        SERVICE_TOKENS.list(&page, &filter, violations)
    }
}

operation! {
    /// GET /v1/service_token, page by page
    StreamServiceTokens = "keygate.braintrust.v1.ServiceTokenService/StreamServiceTokens",
    StreamServiceTokensRequest => ListServiceTokensResponse,
    |it, violations| {
        let filter = Filter {
            ids: &it.ids,
            name: it.service_token_name.as_deref(),
            org_name: it.org_name.as_deref(),
        };
        SERVICE_TOKENS.list(&Page::default(), &filter, violations)
    }
}

pages!(StreamServiceTokens => StreamServiceTokensResponse.service_token of service_tokens);

operation! {
    /// POST /v1/service_token
    CreateServiceToken = "keygate.braintrust.v1.ServiceTokenService/CreateServiceToken",
    CreateServiceTokenRequest => CreateServiceTokenResponse,
    |it, violations| {
        let new = New {
            name: it.name,
            service_account_id: it.service_account_id,
            org_name: it.org_name,
        };
        SERVICE_TOKENS.create(new, violations)
    },
    effect: |it| SERVICE_TOKENS.made(it, false)
}

operation! {
    /// PUT /v1/service_token
    ReplaceServiceToken = "keygate.braintrust.v1.ServiceTokenService/ReplaceServiceToken",
    ReplaceServiceTokenRequest => ReplaceServiceTokenResponse,
    |it, violations| {
        let new = New {
            name: it.name,
            service_account_id: it.service_account_id,
            org_name: it.org_name,
        };
        SERVICE_TOKENS.replace(new, violations)
    },
    effect: |it| SERVICE_TOKENS.made(it, true)
}

operation! {
    /// GET /v1/service_token/{service_token_id}
    GetServiceToken = "keygate.braintrust.v1.ServiceTokenService/GetServiceToken",
    GetServiceTokenRequest => GetServiceTokenResponse,
    |it, violations| SERVICE_TOKENS.get(it.service_token_id, violations)
}

operation! {
    /// DELETE /v1/service_token/{service_token_id}
    DeleteServiceToken = "keygate.braintrust.v1.ServiceTokenService/DeleteServiceToken",
    DeleteServiceTokenRequest => DeleteServiceTokenResponse,
    |it, violations| SERVICE_TOKENS.delete(it.service_token_id, violations),
    effect: |it| SERVICE_TOKENS.removed(it)
}

service! {
    ServiceTokenService, TRACERS,
    unary: {
        list_service_tokens => ListServiceTokens,
        create_service_token => CreateServiceToken,
        replace_service_token => ReplaceServiceToken,
        get_service_token => GetServiceToken,
        delete_service_token => DeleteServiceToken,
    },
    streams: {
        stream_service_tokens, StreamServiceTokensStream => StreamServiceTokens,
    },
}
