//! `keygate.datadog.v1.ApplicationKeyService`.

use super::{Keys, operation};
use crate::{
    contract::proto::keygate::datadog::v1::{
        CreateApplicationKeyRequest, CreateApplicationKeyResponse, DeleteApplicationKeyRequest,
        DeleteApplicationKeyResponse, GetApplicationKeyRequest, GetApplicationKeyResponse,
        ListApplicationKeysRequest, ListApplicationKeysResponse, UpdateApplicationKeyRequest,
        UpdateApplicationKeyResponse, application_key_service_server::ApplicationKeyService,
    },
    datadog::operation::APPLICATION_KEY,
    gateway::{operation::Scopes::Unscoped, service, trace::Trace},
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
    |it, violations| APPLICATION_KEYS.create(it.name, Unscoped, violations),
    effect: |it| crate::datadog::application_keys::made(it)
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
    },
    effect: |_it| Trace::Changed(APPLICATION_KEYS.look())
}

operation! {
    /// DELETE /api/v1/application_key/{key}
    DeleteApplicationKey = "keygate.datadog.v1.ApplicationKeyService/DeleteApplicationKey",
    DeleteApplicationKeyRequest => DeleteApplicationKeyResponse,
    |it, violations| APPLICATION_KEYS.delete(&it.key, violations),
    effect: |_it| Trace::Removed(APPLICATION_KEYS.look())
}

service! {
    ApplicationKeyService, TRACERS,
    unary: {
        list_application_keys => ListApplicationKeys,
        create_application_key => CreateApplicationKey,
        get_application_key => GetApplicationKey,
        update_application_key => UpdateApplicationKey,
        delete_application_key => DeleteApplicationKey,
    },
}
