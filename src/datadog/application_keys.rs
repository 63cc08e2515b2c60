//! `keygate.datadog.v2.ApplicationKeyService` and
//! `CurrentUserApplicationKeyService`.

use super::{
    answers::pages,
    operation::{APPLICATION_KEY, Attributes, Collection, operation, scopes},
    query::Query,
};
use crate::{
    contract::proto::keygate::datadog::v2::{
        ApplicationKeyInclude, ApplicationKeySort, CreateCurrentUserApplicationKeyRequest,
        CreateCurrentUserApplicationKeyResponse, DeleteApplicationKeyRequest,
        DeleteApplicationKeyResponse, DeleteCurrentUserApplicationKeyRequest,
        DeleteCurrentUserApplicationKeyResponse, GetApplicationKeyRequest,
        GetApplicationKeyResponse, GetCurrentUserApplicationKeyRequest,
        GetCurrentUserApplicationKeyResponse, ListApplicationKeysRequest,
        ListApplicationKeysResponse, ListCurrentUserApplicationKeysRequest,
        ListCurrentUserApplicationKeysResponse, Scopes, StreamApplicationKeysRequest,
        StreamApplicationKeysResponse, StreamCurrentUserApplicationKeysRequest,
        StreamCurrentUserApplicationKeysResponse, UpdateApplicationKeyRequest,
        UpdateApplicationKeyResponse, UpdateCurrentUserApplicationKeyRequest,
        UpdateCurrentUserApplicationKeyResponse,
        application_key_service_server::ApplicationKeyService,
        current_user_application_key_service_server::CurrentUserApplicationKeyService,
    },
    gateway::{
        Plan,
        operation::Scopes::Unscoped,
        request::check_name,
        service,
        trace::{Sought, Trace},
    },
    status::Violation,
};

const ORG: Collection = Collection::new(
    APPLICATION_KEY,
    "/api/v2/application_keys",
    "/api/v2/application_keys/{app_key_id}",
    "app_key_id",
);

const CURRENT_USER: Collection = Collection::new(
    APPLICATION_KEY,
    "/api/v2/current_user/application_keys",
    "/api/v2/current_user/application_keys/{app_key_id}",
    "app_key_id",
);

pub(super) fn sort(sort: ApplicationKeySort) -> Option<&'static str> {
    Some(match sort {
        ApplicationKeySort::Unspecified => return None,
        ApplicationKeySort::CreatedAt => "created_at",
        ApplicationKeySort::CreatedAtDesc => "-created_at",
        ApplicationKeySort::Last4 => "last4",
        ApplicationKeySort::Last4Desc => "-last4",
        ApplicationKeySort::Name => "name",
        ApplicationKeySort::NameDesc => "-name",
    })
}

fn include(include: ApplicationKeyInclude) -> Option<&'static str> {
    Some(match include {
        ApplicationKeyInclude::Unspecified => return None,
        ApplicationKeyInclude::OwnedBy => "owned_by",
    })
}

/// The filters and includes that lists and streams have in common.
macro_rules! filtered {
    ($it:ident, $query:expr) => {
        $query
            .filter($it.filter.as_deref())
            .created_at($it.created_at_start.as_ref(), $it.created_at_end.as_ref())
            .include(&$it.include, include)
    };
}

/// Where a new application key of the user shows, however it was made.
pub(super) fn made(sought: &Sought<'_>) -> Trace {
    CURRENT_USER.made::<StreamCurrentUserApplicationKeys>(sought, true)
}

/// The creation of an application key.
pub(super) fn create(
    collection: &Collection,
    name: String,
    given: Option<Scopes>,
    violations: &mut Vec<Violation>,
) -> Plan {
    check_name(Some(&name), violations);
    // upstream makes an unscoped key where no scopes are given
    let (policy, sent) = scopes(given, Unscoped, violations);
    let attributes = Attributes {
        name: Some(name.clone()),
        scopes: sent,
        ..Attributes::default()
    };
    collection.create(name, policy, attributes)
}

operation! {
    /// GET /api/v2/application_keys
    ListApplicationKeys = "keygate.datadog.v2.ApplicationKeyService/ListApplicationKeys",
    ListApplicationKeysRequest => ListApplicationKeysResponse,
    |it, violations| {
        let query = Query::new(ORG.route, violations)
            .page(it.page_size, it.page_number)
            .sort(it.sort, sort)
            .text("owned_by", "filter[owned_by]", it.owned_by.as_deref());
        ORG.list(filtered!(it, query).finish())
    }
}

operation! {
    /// GET /api/v2/application_keys, page by page
    StreamApplicationKeys = "keygate.datadog.v2.ApplicationKeyService/StreamApplicationKeys",
    StreamApplicationKeysRequest => ListApplicationKeysResponse,
    |it, violations| {
        let query = Query::new(ORG.route, violations)
            .text("owned_by", "filter[owned_by]", it.owned_by.as_deref());
        ORG.list(filtered!(it, query).finish())
    }
}

pages!(StreamApplicationKeys => StreamApplicationKeysResponse.application_key of application_keys);

operation! {
    /// GET /api/v2/application_keys/{app_key_id}
    GetApplicationKey = "keygate.datadog.v2.ApplicationKeyService/GetApplicationKey",
    GetApplicationKeyRequest => GetApplicationKeyResponse,
    |it, violations| {
        let path = ORG.path_of(&it.app_key_id, violations);
        let path = Query::new(path, violations).include(&it.include, include).finish();
        ORG.get(it.app_key_id, path)
    }
}

operation! {
    /// PATCH /api/v2/application_keys/{app_key_id}
    UpdateApplicationKey = "keygate.datadog.v2.ApplicationKeyService/UpdateApplicationKey",
    UpdateApplicationKeyRequest => UpdateApplicationKeyResponse,
    |it, violations| {
        ORG.rename_or_rescope(it.app_key_id, it.name, it.scopes, violations)
    },
    effect: |it| ORG.changed(it)
}

operation! {
    /// DELETE /api/v2/application_keys/{app_key_id}
    DeleteApplicationKey = "keygate.datadog.v2.ApplicationKeyService/DeleteApplicationKey",
    DeleteApplicationKeyRequest => DeleteApplicationKeyResponse,
    |it, violations| {
        ORG.delete(it.app_key_id, violations)
    },
    effect: |it| ORG.removed(it)
}

operation! {
    /// GET /api/v2/current_user/application_keys
    ListCurrentUserApplicationKeys =
        "keygate.datadog.v2.CurrentUserApplicationKeyService/ListCurrentUserApplicationKeys",
    ListCurrentUserApplicationKeysRequest => ListCurrentUserApplicationKeysResponse,
    |it, violations| {
        let query = Query::new(CURRENT_USER.route, violations)
            .page(it.page_size, it.page_number)
            .sort(it.sort, sort);
        CURRENT_USER.list(filtered!(it, query).finish())
    }
}

operation! {
    /// GET /api/v2/current_user/application_keys, page by page
    StreamCurrentUserApplicationKeys =
        "keygate.datadog.v2.CurrentUserApplicationKeyService/StreamCurrentUserApplicationKeys",
    StreamCurrentUserApplicationKeysRequest => ListCurrentUserApplicationKeysResponse,
    |it, violations| {
        let query = Query::new(CURRENT_USER.route, violations);
        CURRENT_USER.list(filtered!(it, query).finish())
    }
}

pages! {
    StreamCurrentUserApplicationKeys =>
        StreamCurrentUserApplicationKeysResponse.application_key of application_keys
}

operation! {
    /// POST /api/v2/current_user/application_keys
    CreateCurrentUserApplicationKey =
        "keygate.datadog.v2.CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey",
    CreateCurrentUserApplicationKeyRequest => CreateCurrentUserApplicationKeyResponse,
    |it, violations| {
        create(&CURRENT_USER, it.name, it.scopes, violations)
    },
    effect: |it| made(it)
}

operation! {
    /// GET /api/v2/current_user/application_keys/{app_key_id}
    GetCurrentUserApplicationKey =
        "keygate.datadog.v2.CurrentUserApplicationKeyService/GetCurrentUserApplicationKey",
    GetCurrentUserApplicationKeyRequest => GetCurrentUserApplicationKeyResponse,
    |it, violations| {
        let path = CURRENT_USER.path_of(&it.app_key_id, violations);
        CURRENT_USER.get(it.app_key_id, path)
    }
}

operation! {
    /// PATCH /api/v2/current_user/application_keys/{app_key_id}
    UpdateCurrentUserApplicationKey =
        "keygate.datadog.v2.CurrentUserApplicationKeyService/UpdateCurrentUserApplicationKey",
    UpdateCurrentUserApplicationKeyRequest => UpdateCurrentUserApplicationKeyResponse,
    |it, violations| {
        CURRENT_USER.rename_or_rescope(it.app_key_id, it.name, it.scopes, violations)
    },
    effect: |it| CURRENT_USER.changed(it)
}

operation! {
    /// DELETE /api/v2/current_user/application_keys/{app_key_id}
    DeleteCurrentUserApplicationKey =
        "keygate.datadog.v2.CurrentUserApplicationKeyService/DeleteCurrentUserApplicationKey",
    DeleteCurrentUserApplicationKeyRequest => DeleteCurrentUserApplicationKeyResponse,
    |it, violations| {
        CURRENT_USER.delete(it.app_key_id, violations)
    },
    effect: |it| CURRENT_USER.removed(it)
}

service! {
    ApplicationKeyService, TRACERS,
    unary: {
        list_application_keys => ListApplicationKeys,
        get_application_key => GetApplicationKey,
        update_application_key => UpdateApplicationKey,
        delete_application_key => DeleteApplicationKey,
    },
    streams: {
        stream_application_keys, StreamApplicationKeysStream => StreamApplicationKeys,
    },
}

service! {
    CurrentUserApplicationKeyService, CURRENT_USER_TRACERS,
    unary: {
        list_current_user_application_keys => ListCurrentUserApplicationKeys,
        create_current_user_application_key => CreateCurrentUserApplicationKey,
        get_current_user_application_key => GetCurrentUserApplicationKey,
        update_current_user_application_key => UpdateCurrentUserApplicationKey,
        delete_current_user_application_key => DeleteCurrentUserApplicationKey,
    },
    streams: {
        stream_current_user_application_keys, StreamCurrentUserApplicationKeysStream => StreamCurrentUserApplicationKeys,
    },
}
