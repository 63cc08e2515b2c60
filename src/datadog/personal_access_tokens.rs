//! `keygate.datadog.v2.PersonalAccessTokenService`.

use prost_types::Timestamp;

use super::{
    answers::pages,
    operation::{Attributes, Collection, PERSONAL_ACCESS_TOKEN, operation},
    query::Query,
};
use crate::{
    contract::proto::keygate::datadog::v2::{
        AccessTokenInclude, AccessTokenSort, CreatePersonalAccessTokenRequest,
        CreatePersonalAccessTokenResponse, GetPersonalAccessTokenRequest,
        GetPersonalAccessTokenResponse, ListPersonalAccessTokensRequest,
        ListPersonalAccessTokensResponse, RevokePersonalAccessTokenRequest,
        RevokePersonalAccessTokenResponse, Scopes, StreamPersonalAccessTokensRequest,
        StreamPersonalAccessTokensResponse, UpdatePersonalAccessTokenRequest,
        UpdatePersonalAccessTokenResponse,
        personal_access_token_service_server::PersonalAccessTokenService,
    },
    gateway::{
        Plan,
        operation::Scopes::These,
        request::{check_name, rfc3339},
        service,
    },
    status::Violation,
};

const TOKENS: Collection = Collection::new(
    PERSONAL_ACCESS_TOKEN,
    "/api/v2/personal_access_tokens",
    "/api/v2/personal_access_tokens/{token_id}",
    "token_id",
);

pub(super) fn sort(sort: AccessTokenSort) -> Option<&'static str> {
    Some(match sort {
        AccessTokenSort::Unspecified => return None,
        AccessTokenSort::Name => "name",
        AccessTokenSort::NameDesc => "-name",
        AccessTokenSort::CreatedAt => "created_at",
        AccessTokenSort::CreatedAtDesc => "-created_at",
        AccessTokenSort::ExpiresAt => "expires_at",
        AccessTokenSort::ExpiresAtDesc => "-expires_at",
        AccessTokenSort::LastUsedAt => "last_used_at",
        AccessTokenSort::LastUsedAtDesc => "-last_used_at",
        AccessTokenSort::Leaked => "leaked",
        AccessTokenSort::LeakedDesc => "-leaked",
    })
}

pub(super) fn include(include: AccessTokenInclude) -> Option<&'static str> {
    Some(match include {
        AccessTokenInclude::Unspecified => return None,
        AccessTokenInclude::LeakInformation => "leak_information",
    })
}

/// The filters and includes that a list and a stream have in common.
macro_rules! filtered {
    ($it:ident, $query:expr) => {
        $query
            .filter($it.filter.as_deref())
            .texts("owned_by", "filter[owned_by]", &$it.owned_by)
            .flag("filter[leaked]", $it.leaked)
            .include(&$it.include, include)
            .finish()
    };
}

/// The creation of a token. Where it has no end, upstream says whether it may.
pub(super) fn create(
    collection: &Collection,
    name: String,
    scopes: Vec<String>,
    expires_at: Option<Timestamp>,
    violations: &mut Vec<Violation>,
) -> Plan {
    check_name(Some(&name), violations);
    let written = expires_at.and_then(rfc3339);
    if expires_at.is_some() && written.is_none() {
        violations.push(Violation::new(
            "expires_at",
            "is not a time from year 1 to 9999",
        ));
    }
    let attributes = Attributes {
        name: Some(name.clone()),
        scopes: Some(Some(scopes.clone())),
        expires_at: written,
        ..Attributes::default()
    };
    collection.create(name, These(scopes), attributes)
}

/// The change of a token.
pub(super) fn update(
    collection: &Collection,
    id: String,
    name: Option<String>,
    scopes: Option<Scopes>,
    violations: &mut Vec<Violation>,
) -> Plan {
    if scopes.as_ref().is_some_and(|it| it.unscoped) {
        violations.push(Violation::new("scopes", "a token can't be `unscoped`"));
    }
    collection.rename_or_rescope(id, name, scopes, violations)
}

operation! {
    /// GET /api/v2/personal_access_tokens
    ListPersonalAccessTokens =
        "keygate.datadog.v2.PersonalAccessTokenService/ListPersonalAccessTokens",
    ListPersonalAccessTokensRequest => ListPersonalAccessTokensResponse,
    |it, violations| {
        let query = Query::new(TOKENS.route, violations)
            .page(it.page_size, it.page_number)
            .sort(it.sort, sort);
        TOKENS.list(filtered!(it, query))
    }
}

operation! {
    /// GET /api/v2/personal_access_tokens, page by page
    StreamPersonalAccessTokens =
        "keygate.datadog.v2.PersonalAccessTokenService/StreamPersonalAccessTokens",
    StreamPersonalAccessTokensRequest => ListPersonalAccessTokensResponse,
    |it, violations| {
        let query = Query::new(TOKENS.route, violations);
        TOKENS.list(filtered!(it, query))
    }
}

pages! {
    StreamPersonalAccessTokens => StreamPersonalAccessTokensResponse.access_token of access_tokens
}

operation! {
    /// POST /api/v2/personal_access_tokens
    CreatePersonalAccessToken =
        "keygate.datadog.v2.PersonalAccessTokenService/CreatePersonalAccessToken",
    CreatePersonalAccessTokenRequest => CreatePersonalAccessTokenResponse,
    |it, violations| {
        if it.expires_at.is_none() {
            violations.push(Violation::new("expires_at", "is required by upstream"));
        }
        create(&TOKENS, it.name, it.scopes, it.expires_at, violations)
    },
    effect: |it| TOKENS.made::<StreamPersonalAccessTokens>(it, false)
}

operation! {
    /// GET /api/v2/personal_access_tokens/{token_id}
    GetPersonalAccessToken = "keygate.datadog.v2.PersonalAccessTokenService/GetPersonalAccessToken",
    GetPersonalAccessTokenRequest => GetPersonalAccessTokenResponse,
    |it, violations| {
        let path = TOKENS.path_of(&it.token_id, violations);
        let path = Query::new(path, violations).include(&it.include, include).finish();
        TOKENS.get(it.token_id, path)
    }
}

operation! {
    /// PATCH /api/v2/personal_access_tokens/{token_id}
    UpdatePersonalAccessToken =
        "keygate.datadog.v2.PersonalAccessTokenService/UpdatePersonalAccessToken",
    UpdatePersonalAccessTokenRequest => UpdatePersonalAccessTokenResponse,
    |it, violations| {
        update(&TOKENS, it.token_id, it.name, it.scopes, violations)
    },
    effect: |it| TOKENS.changed(it)
}

operation! {
    /// DELETE /api/v2/personal_access_tokens/{token_id}
    RevokePersonalAccessToken =
        "keygate.datadog.v2.PersonalAccessTokenService/RevokePersonalAccessToken",
    RevokePersonalAccessTokenRequest => RevokePersonalAccessTokenResponse,
    |it, violations| {
        TOKENS.delete(it.token_id, violations)
    },
    effect: |it| TOKENS.removed(it)
}

service! {
    PersonalAccessTokenService, TRACERS,
    unary: {
        list_personal_access_tokens => ListPersonalAccessTokens,
        create_personal_access_token => CreatePersonalAccessToken,
        get_personal_access_token => GetPersonalAccessToken,
        update_personal_access_token => UpdatePersonalAccessToken,
        revoke_personal_access_token => RevokePersonalAccessToken,
    },
    streams: {
        stream_personal_access_tokens, StreamPersonalAccessTokensStream => StreamPersonalAccessTokens,
    },
}
