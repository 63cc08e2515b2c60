//! `keygate.coveo.v1.ApiKeyService`.

use std::collections::BTreeSet;

use http::Method;

use super::{privileges, settings::Settings};
use crate::{
    contract::proto::keygate::coveo::v1::{
        ActivateApiKeyRequest, ActivateApiKeyResponse, ApiKey, ApiKeyStatusFilter,
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
        answers::{bare, read},
        operation::{Completion, Inspect, Scopes, Target},
        request::{Query, body, check_id, check_name_in},
        service,
    },
    status::Violation,
    upstream,
};

/// Below the platform's base URL.
macro_rules! route {
    ($rest:literal) => {
        concat!("/rest/organizations/{organization_id}/apikeys", $rest)
    };
}

const ALL: &str = route!("");
const ONE: &str = route!("/{api_key_id}");

/// The API keys of an organization.
struct Keys(String);

impl Keys {
    /// Of an organization whose id makes an address.
    fn of(organization_id: &str) -> Self {
        Self(format!("/rest/organizations/{organization_id}/apikeys"))
    }

    fn plan(request: upstream::Request, target: Target) -> Plan {
        Plan::new(request, "api_key", target)
    }

    /// A request about all of them, or about a new one.
    fn all(&self, method: Method) -> upstream::Request {
        upstream::Request::new(method, &*self.0, ALL)
    }

    /// A request about one of them.
    fn one(
        &self,
        method: Method,
        id: &str,
        action: &str,
        route: &'static str,
    ) -> upstream::Request {
        upstream::Request::new(method, format!("{}/{id}{action}", self.0), route)
    }

    /// A read of one.
    fn read(&self, id: &str) -> upstream::Request {
        self.one(Method::GET, id, "", ONE)
    }

    /// A change of one. It has no body.
    fn change(
        &self,
        method: Method,
        id: String,
        action: &str,
        route: &'static str,
        violations: &mut Vec<Violation>,
    ) -> Plan {
        check_id("api_key_id", &id, violations);
        let request = self.one(method, &id, action, route);
        Plan {
            inspect: Some(Inspect::new(self.read(&id))),
            ..Self::plan(request, Target::Key(id))
        }
    }

    /// A change of several.
    fn bulk(
        &self,
        method: Method,
        ids: Vec<String>,
        action: &str,
        route: &'static str,
        violations: &mut Vec<Violation>,
    ) -> Plan {
        check_ids(&ids, violations);
        let path = format!("{}{action}", self.0);
        let mut request = upstream::Request::new(method, path, route);
        request.body = Some(body(&ids));
        Plan {
            inspect: Some(Inspect::new(self.all(Method::GET))),
            ..Self::plan(request, Target::Keys(ids))
        }
    }
}

/// Checks the ids of a call about several keys.
fn check_ids(ids: &[String], violations: &mut Vec<Violation>) {
    const FIELD: &str = "api_key_ids";
    const MOST: usize = 1_000;
    let different: BTreeSet<_> = ids.iter().collect();
    let fault = if ids.is_empty() {
        "is required"
    } else if ids.len() > MOST {
        "has more than 1000 ids"
    } else if different.len() < ids.len() {
        "names a key twice"
    } else {
        // one that is wrong is told of, not all
        for id in ids {
            let before = violations.len();
            check_id(FIELD, id, violations);
            if violations.len() > before {
                break;
            }
        }
        return;
    };
    violations.push(Violation::new(FIELD, fault));
}

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

/// One operation of Coveo's: its method, its messages, and its plan.
macro_rules! operation {
    ($($description:tt)*) => {
        $crate::gateway::operation::operation! {
            vendor: $crate::coveo::Coveo,
            address: |it| $crate::coveo::address(&it.organization_id, it.region),
            ambiguous: $crate::coveo::ambiguous(),
            $($description)*
        }
    };
}

operation! {
    /// GET …/apikeys
    ListApiKeys = "keygate.coveo.v1.ApiKeyService/ListApiKeys",
    ListApiKeysRequest => ListApiKeysResponse,
    |it, violations| {
        let keys = Keys::of(&it.organization_id);
        let status = filter(it.status, violations);
        let path = Query::new(&*keys.0, violations).text("status", "status", status).finish();
        Keys::plan(upstream::Request::new(Method::GET, path, ALL), Target::Collection)
    }
}

operation! {
    /// POST …/apikeys
    CreateApiKey = "keygate.coveo.v1.ApiKeyService/CreateApiKey",
    CreateApiKeyRequest => CreateApiKeyResponse,
    |it, violations| {
        let keys = Keys::of(&it.organization_id);
        let template = it.api_key_template_id.filter(|it| !it.is_empty());
        if it.display_name.is_none() && template.is_none() {
            let fault = "is required without a template";
            violations.push(Violation::new("display_name", fault));
        }
        check_name_in("display_name", it.display_name.as_deref(), violations);
        let scopes = privileges::given(&it.privileges.clone().unwrap_or_default(), violations);
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
        let path = Query::new(&*keys.0, violations)
            .text("api_key_template_id", "apiKeyTemplateId", template.as_deref())
            .finish();
        let mut request = upstream::Request::new(Method::POST, path, ALL);
        request.body = Some(settings.body());
        Plan { name, scopes, ..Keys::plan(request, Target::Collection) }
    }
}

operation! {
    /// GET …/apikeys/{api_key_id}
    GetApiKey = "keygate.coveo.v1.ApiKeyService/GetApiKey",
    GetApiKeyRequest => GetApiKeyResponse,
    |it, violations| {
        let keys = Keys::of(&it.organization_id);
        check_id("api_key_id", &it.api_key_id, violations);
        Keys::plan(keys.read(&it.api_key_id), Target::Key(it.api_key_id))
    }
}

operation! {
    /// PUT …/apikeys/{api_key_id}
    UpdateApiKey = "keygate.coveo.v1.ApiKeyService/UpdateApiKey",
    UpdateApiKeyRequest => UpdateApiKeyResponse,
    |it, violations| {
        let keys = Keys::of(&it.organization_id);
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
        let complete = move |read: &[u8]| {
            let body = Some(settings.merged(read)?);
            Ok(Completion { body, scopes: None })
        };
        let inspect = Inspect {
            request: keys.read(&it.api_key_id),
            complete: Some(Box::new(complete)),
        };
        let plan = keys.change(Method::PUT, it.api_key_id, "", ONE, violations);
        Plan { name, scopes, inspect: Some(inspect), ..plan }
    }
}

operation! {
    /// PUT …/apikeys/{api_key_id}/activate
    ActivateApiKey = "keygate.coveo.v1.ApiKeyService/ActivateApiKey",
    ActivateApiKeyRequest => ActivateApiKeyResponse,
    |it, violations| {
        const ROUTE: &str = route!("/{api_key_id}/activate");
        let keys = Keys::of(&it.organization_id);
        keys.change(Method::PUT, it.api_key_id, "/activate", ROUTE, violations)
    }
}

operation! {
    /// PUT …/apikeys/{api_key_id}/disable
    DisableApiKey = "keygate.coveo.v1.ApiKeyService/DisableApiKey",
    DisableApiKeyRequest => DisableApiKeyResponse,
    |it, violations| {
        const ROUTE: &str = route!("/{api_key_id}/disable");
        let keys = Keys::of(&it.organization_id);
        keys.change(Method::PUT, it.api_key_id, "/disable", ROUTE, violations)
    }
}

operation! {
    /// PUT …/apikeys/{api_key_id}/activation/extend
    ExtendApiKey = "keygate.coveo.v1.ApiKeyService/ExtendApiKey",
    ExtendApiKeyRequest => ExtendApiKeyResponse,
    |it, violations| {
        const ROUTE: &str = route!("/{api_key_id}/activation/extend");
        let keys = Keys::of(&it.organization_id);
        keys.change(Method::PUT, it.api_key_id, "/activation/extend", ROUTE, violations)
    }
}

operation! {
    /// PUT …/apikeys/{api_key_id}/duplicate
    DuplicateApiKey = "keygate.coveo.v1.ApiKeyService/DuplicateApiKey",
    DuplicateApiKeyRequest => DuplicateApiKeyResponse,
    |it, violations| {
        const ROUTE: &str = route!("/{api_key_id}/duplicate");
        let keys = Keys::of(&it.organization_id);
        check_id("api_key_id", &it.api_key_id, violations);
        check_name_in("display_name", it.display_name.as_deref(), violations);
        let mut request = keys.one(Method::PUT, &it.api_key_id, "/duplicate", ROUTE);
        let name = it.display_name.clone();
        let settings = Settings::default()
            .words(it.display_name, it.description)
            .lifetime(it.lifetime_duration);
        request.body = Some(settings.body());
        // the copy may do what the key may that is copied
        let complete = |body: &[u8]| {
            let source: ApiKey = read(bare(body)?)?;
            let scopes = Some(privileges::of(&source));
            Ok(Completion { body: None, scopes })
        };
        let inspect = Inspect {
            request: keys.read(&it.api_key_id),
            complete: Some(Box::new(complete)),
        };
        Plan {
            name,
            scopes: Scopes::Unscoped,
            inspect: Some(inspect),
            ..Keys::plan(request, Target::CopyOf(it.api_key_id))
        }
    }
}

operation! {
    /// DELETE …/apikeys/{api_key_id}
    DeleteApiKey = "keygate.coveo.v1.ApiKeyService/DeleteApiKey",
    DeleteApiKeyRequest => DeleteApiKeyResponse,
    |it, violations| {
        let keys = Keys::of(&it.organization_id);
        keys.change(Method::DELETE, it.api_key_id, "", ONE, violations)
    }
}

operation! {
    /// POST …/apikeys/delete/bulk
    BulkDeleteApiKeys = "keygate.coveo.v1.ApiKeyService/BulkDeleteApiKeys",
    BulkDeleteApiKeysRequest => BulkDeleteApiKeysResponse,
    |it, violations| {
        const ROUTE: &str = route!("/delete/bulk");
        let keys = Keys::of(&it.organization_id);
        keys.bulk(Method::POST, it.api_key_ids, "/delete/bulk", ROUTE, violations)
    }
}

operation! {
    /// PUT …/apikeys/activate/bulk
    BulkActivateApiKeys = "keygate.coveo.v1.ApiKeyService/BulkActivateApiKeys",
    BulkActivateApiKeysRequest => BulkActivateApiKeysResponse,
    |it, violations| {
        const ROUTE: &str = route!("/activate/bulk");
        let keys = Keys::of(&it.organization_id);
        keys.bulk(Method::PUT, it.api_key_ids, "/activate/bulk", ROUTE, violations)
    }
}

operation! {
    /// PUT …/apikeys/disable/bulk
    BulkDisableApiKeys = "keygate.coveo.v1.ApiKeyService/BulkDisableApiKeys",
    BulkDisableApiKeysRequest => BulkDisableApiKeysResponse,
    |it, violations| {
        const ROUTE: &str = route!("/disable/bulk");
        let keys = Keys::of(&it.organization_id);
        keys.bulk(Method::PUT, it.api_key_ids, "/disable/bulk", ROUTE, violations)
    }
}

service! {
    ApiKeyService,
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
