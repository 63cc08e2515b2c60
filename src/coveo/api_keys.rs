//! `keygate.coveo.v1.ApiKeyService`.

use http::Method;

use super::{
    operation::{
        ACTIVATE, BULK_ACTIVATE, BULK_DELETE, BULK_DISABLE, DISABLE, DUPLICATE, EXTEND, KEY, KEYS,
        bulk, change, changed, enabled, made, operation, plan, removed, request,
    },
    privileges,
    settings::Settings,
};
use crate::{
    contract::proto::keygate::coveo::v1::{
        ActivateApiKeyRequest, ActivateApiKeyResponse, ApiKeyStatusFilter,
        BulkActivateApiKeysRequest, BulkActivateApiKeysResponse, BulkDeleteApiKeysRequest,
        BulkDeleteApiKeysResponse, BulkDisableApiKeysRequest, BulkDisableApiKeysResponse,
        CreateApiKeyRequest, CreateApiKeyResponse, DeleteApiKeyRequest, DeleteApiKeyResponse,
        DisableApiKeyRequest, DisableApiKeyResponse, DuplicateApiKeyRequest,
        DuplicateApiKeyResponse, ExtendApiKeyRequest, ExtendApiKeyResponse, GetApiKeyRequest,
        GetApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse, UpdateApiKeyRequest,
        UpdateApiKeyResponse, api_key_service_server::ApiKeyService,
    },
    gateway::{
        Plan,
        operation::{Inspect, Scopes, Target},
        request::{Query, check_id, check_name_in},
        service,
        trace::Trace,
    },
    status::Violation,
    upstream,
};

/// A filter of a list, in upstream's word.
fn filter(filter: i32, violations: &mut Vec<Violation>) -> Option<&'static str> {
    match ApiKeyStatusFilter::try_from(filter) {
        Ok(ApiKeyStatusFilter::Unspecified) => None,
        Ok(filter) => filter.as_str_name().strip_prefix("API_KEY_STATUS_FILTER_"),
        Err(_) => {
            let fault = "must be a filter of this version";
            violations.push(Violation::new("status", fault));
            None
        }
    }
}

operation! {
    /// GET …/apikeys
    ListApiKeys = "keygate.coveo.v1.ApiKeyService/ListApiKeys",
    ListApiKeysRequest => ListApiKeysResponse,
    |it, violations| {
        let request = request(Method::GET, KEYS, &it.organization_id, "");
        let status = filter(it.status, violations);
        let path = Query::new(request.path, violations).text("status", "status", status).finish();
        plan(upstream::Request { path, ..request }, Target::Collection)
    }
}

operation! {
    /// POST …/apikeys
    CreateApiKey = "keygate.coveo.v1.ApiKeyService/CreateApiKey",
    CreateApiKeyRequest => CreateApiKeyResponse,
    |it, violations| {
        let template = it.api_key_template_id.filter(|it| !it.is_empty());
        if it.display_name.is_none() && template.is_none() {
            let fault = "is required without a template";
            violations.push(Violation::new("display_name", fault));
        }
        check_name_in("display_name", it.display_name.as_deref(), violations);
        let given = it.privileges.clone().unwrap_or_default();
        let scopes = privileges::given(&given, violations);
        // what a template allows can't be seen
        let scopes = if template.is_some() { Scopes::Unscoped } else { scopes };
        let name = it.display_name.clone();
        let settings = Settings::default()
            .words(it.display_name, it.description)
            .ips(it.allowed_ips, it.denied_ips)
            .privileges(it.privileges)
            .additional(it.additional_configuration.as_ref(), violations)
            .lifetime(it.lifetime_duration)
            .editors(it.groups_that_can_edit, it.api_keys_that_can_edit);
        let request = request(Method::POST, KEYS, &it.organization_id, "");
        let path = Query::new(request.path, violations)
            .text("api_key_template_id", "apiKeyTemplateId", template.as_deref())
            .finish();
        let body = Some(settings.body());
        let request = upstream::Request { path, body, ..request };
        Plan { name, scopes, ..plan(request, Target::Collection) }
    },
    effect: |it| made(it)
}

operation! {
    /// GET …/apikeys/{api_key_id}
    GetApiKey = "keygate.coveo.v1.ApiKeyService/GetApiKey",
    GetApiKeyRequest => GetApiKeyResponse,
    |it, violations| {
        check_id("api_key_id", &it.api_key_id, violations);
        let request = request(Method::GET, KEY, &it.organization_id, &it.api_key_id);
        plan(request, Target::Key(it.api_key_id))
    }
}

operation! {
    /// PUT …/apikeys/{api_key_id}
    UpdateApiKey = "keygate.coveo.v1.ApiKeyService/UpdateApiKey",
    UpdateApiKeyRequest => UpdateApiKeyResponse,
    |it, violations| {
        check_name_in("display_name", it.display_name.as_deref(), violations);
        let scopes = match &it.privileges {
            Some(privileges) => privileges::given(privileges, violations),
            None => Scopes::Unchanged,
        };
        let name = it.display_name.clone();
        let settings = Settings::default()
            .words(it.display_name, it.description)
            .ips(it.allowed_ips, it.denied_ips)
            .privileges(it.privileges)
            .additional(it.additional_configuration.as_ref(), violations)
            .editors(it.groups_that_can_edit, it.api_keys_that_can_edit);
        let sets = settings.sets();
        let inspect = Inspect {
            request: request(Method::GET, KEY, &it.organization_id, &it.api_key_id),
            complete: Some(Box::new(move |read: &[u8]| settings.merged(read))),
        };
        let change = change(Method::PUT, KEY, &it.organization_id, it.api_key_id, violations);
        Plan { name, scopes, sets, inspect: Some(inspect), ..change }
    },
    effect: |it| changed(it)
}

operation! {
    /// PUT …/apikeys/{api_key_id}/activate
    ActivateApiKey = "keygate.coveo.v1.ApiKeyService/ActivateApiKey",
    ActivateApiKeyRequest => ActivateApiKeyResponse,
    |it, violations| {
        let scopes = Scopes::Unchanged;
        let change = change(Method::PUT, ACTIVATE, &it.organization_id, it.api_key_id, violations);
        Plan { scopes, sets: enabled(true), ..change }
    },
    effect: |it| changed(it)
}

operation! {
    /// PUT …/apikeys/{api_key_id}/disable
    DisableApiKey = "keygate.coveo.v1.ApiKeyService/DisableApiKey",
    DisableApiKeyRequest => DisableApiKeyResponse,
    |it, violations| {
        let change = change(Method::PUT, DISABLE, &it.organization_id, it.api_key_id, violations);
        Plan { sets: enabled(false), ..change }
    },
    effect: |it| changed(it)
}

operation! {
    /// PUT …/apikeys/{api_key_id}/activation/extend
    ExtendApiKey = "keygate.coveo.v1.ApiKeyService/ExtendApiKey",
    ExtendApiKeyRequest => ExtendApiKeyResponse,
    |it, violations| {
        let scopes = Scopes::Unchanged;
        let change = change(Method::PUT, EXTEND, &it.organization_id, it.api_key_id, violations);
        Plan { scopes, ..change }
    },
    effect: |_it| Trace::Untold("upstream tells when a key expires, but not whether that was put off")
}

operation! {
    /// PUT …/apikeys/{api_key_id}/duplicate
    DuplicateApiKey = "keygate.coveo.v1.ApiKeyService/DuplicateApiKey",
    DuplicateApiKeyRequest => DuplicateApiKeyResponse,
    |it, violations| {
        check_id("api_key_id", &it.api_key_id, violations);
        check_name_in("display_name", it.display_name.as_deref(), violations);
        let name = it.display_name.clone();
        let settings = Settings::default()
            .words(it.display_name, it.description)
            .lifetime(it.lifetime_duration);
        let read = request(Method::GET, KEY, &it.organization_id, &it.api_key_id);
        let mut request =
            request(Method::PUT, DUPLICATE, &it.organization_id, &it.api_key_id);
        request.body = Some(settings.body());
        Plan {
            name,
            // the copy may do what the key may that is copied
            scopes: Scopes::Unchanged,
            inspect: Some(Inspect::new(read)),
            ..plan(request, Target::CopyOf(it.api_key_id))
        }
    },
    effect: |it| made(it)
}

operation! {
    /// DELETE …/apikeys/{api_key_id}
    DeleteApiKey = "keygate.coveo.v1.ApiKeyService/DeleteApiKey",
    DeleteApiKeyRequest => DeleteApiKeyResponse,
    |it, violations| {
        change(Method::DELETE, KEY, &it.organization_id, it.api_key_id, violations)
    },
    effect: |it| removed(it)
}

operation! {
    /// POST …/apikeys/delete/bulk
    BulkDeleteApiKeys = "keygate.coveo.v1.ApiKeyService/BulkDeleteApiKeys",
    BulkDeleteApiKeysRequest => BulkDeleteApiKeysResponse,
    |it, violations| {
        bulk(Method::POST, BULK_DELETE, &it.organization_id, it.api_key_ids, violations)
    },
    effect: |it| removed(it)
}

operation! {
    /// PUT …/apikeys/activate/bulk
    BulkActivateApiKeys = "keygate.coveo.v1.ApiKeyService/BulkActivateApiKeys",
    BulkActivateApiKeysRequest => BulkActivateApiKeysResponse,
    |it, violations| {
        let scopes = Scopes::Unchanged;
        let change = bulk(Method::PUT, BULK_ACTIVATE, &it.organization_id, it.api_key_ids, violations);
        Plan { scopes, sets: enabled(true), ..change }
    },
    effect: |it| changed(it)
}

operation! {
    /// PUT …/apikeys/disable/bulk
    BulkDisableApiKeys = "keygate.coveo.v1.ApiKeyService/BulkDisableApiKeys",
    BulkDisableApiKeysRequest => BulkDisableApiKeysResponse,
    |it, violations| {
        let change = bulk(Method::PUT, BULK_DISABLE, &it.organization_id, it.api_key_ids, violations);
        Plan { sets: enabled(false), ..change }
    },
    effect: |it| changed(it)
}

service! {
    ApiKeyService, TRACERS,
    unary: {
        list_api_keys => ListApiKeys,
        create_api_key => CreateApiKey,
        get_api_key => GetApiKey,
        update_api_key => UpdateApiKey,
        activate_api_key => ActivateApiKey,
        disable_api_key => DisableApiKey,
        extend_api_key => ExtendApiKey,
        duplicate_api_key => DuplicateApiKey,
        delete_api_key => DeleteApiKey,
        bulk_delete_api_keys => BulkDeleteApiKeys,
        bulk_activate_api_keys => BulkActivateApiKeys,
        bulk_disable_api_keys => BulkDisableApiKeys,
    },
}
