//! Datadog's resources: from JSON:API to the contract's flat messages.
//!
//! Source: Datadog API reference, Key Management, v2, and what recorded answers
//! show besides.

use prost_types::Timestamp;
use serde_json::value::RawValue;

use super::jsonapi::{ATTRIBUTES, RELATIONSHIPS, Resource, resource};
use crate::{
    contract::proto::keygate::datadog::v2::{
        AccessToken, AccessTokenOwner, AccessTokenOwnerType, AccessTokenType, AccessTokensMeta,
        ApiKey, ApiKeysMeta, ApplicationKey, ApplicationKeysMeta, IncludedResource, LastUsedDate,
        LeakedKey, ResourceIdentifier, Role, User, access_token, api_key, application_key,
        included_resource, last_used_date,
    },
    json::{Field, Fit, Malformed, Members, Place, Rest, is_null},
};

/// A time for which upstream's null has a meaning of its own.
fn time_or<T>(
    field: &mut Option<T>,
    raw: &RawValue,
    time: impl FnOnce(Timestamp) -> T,
    null: impl FnOnce(bool) -> T,
) -> bool {
    if is_null(raw) {
        *field = Some(null(true));
        return true;
    }
    let mut value: Option<Timestamp> = None;
    let fits = value.fill(raw) == Fit::Whole;
    if let Some(value) = value {
        *field = Some(time(value));
    }
    fits
}

impl Resource for ApiKey {
    fn identify(&mut self, kind: &str, id: String) -> bool {
        self.id = id;
        kind == "api_keys"
    }

    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        use api_key::LastUsed::{DateLastUsed, NeverUsed};
        match name {
            "name" => rest.take(ATTRIBUTES, name, raw, &mut self.name),
            "key" => rest.take(ATTRIBUTES, name, raw, &mut self.key),
            "last4" => rest.take(ATTRIBUTES, name, raw, &mut self.last4),
            "category" => rest.take(ATTRIBUTES, name, raw, &mut self.category),
            "remote_config_read_enabled" => {
                rest.take(ATTRIBUTES, name, raw, &mut self.remote_config_read_enabled);
            }
            "private_action_runner_enroll_enabled" => {
                let field = &mut self.private_action_runner_enroll_enabled;
                rest.take(ATTRIBUTES, name, raw, field);
            }
            "created_at" => rest.take(ATTRIBUTES, name, raw, &mut self.created_at),
            "modified_at" => rest.take(ATTRIBUTES, name, raw, &mut self.modified_at),
            "date_last_used" if time_or(&mut self.last_used, raw, DateLastUsed, NeverUsed) => {}
            "used_in_last_24_hours" => {
                rest.take(ATTRIBUTES, name, raw, &mut self.used_in_last_24_hours);
            }
            "last_used_date" => rest.take(ATTRIBUTES, name, raw, &mut self.last_used_date),
            _ => rest.keep(ATTRIBUTES, name, raw),
        }
    }

    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "created_by" => rest.take(RELATIONSHIPS, name, raw, &mut self.created_by),
            "modified_by" => rest.take(RELATIONSHIPS, name, raw, &mut self.modified_by),
            "leak_information" => rest.take(RELATIONSHIPS, name, raw, &mut self.leak_information),
            _ => rest.keep(RELATIONSHIPS, name, raw),
        }
    }

    fn finish(&mut self, rest: Rest) {
        (self.null_members, self.additional_members) = rest.into_parts();
    }
}

impl Field for Option<LastUsedDate> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        use last_used_date::LastUse::{NoRecentUse, Timestamp};
        if is_null(raw) {
            return Fit::Null;
        }
        let Some(members) = Members::of(raw) else {
            return Fit::Not;
        };
        let (mut date, mut rest) = (LastUsedDate::default(), Rest::default());
        for (name, raw) in members {
            match &*name {
                "timestamp" if time_or(&mut date.last_use, raw, Timestamp, NoRecentUse) => {}
                "description" => rest.take(Place::Top, &name, raw, &mut date.description),
                _ => rest.keep(Place::Top, &name, raw),
            }
        }
        date.additional_members = rest.into_struct();
        *self = Some(date);
        Fit::Whole
    }
}

impl Resource for ApplicationKey {
    fn identify(&mut self, kind: &str, id: String) -> bool {
        self.id = id;
        kind == "application_keys"
    }

    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        use application_key::LastUsed::{LastUsedAt, NeverUsed};
        match name {
            "name" => rest.take(ATTRIBUTES, name, raw, &mut self.name),
            "key" => rest.take(ATTRIBUTES, name, raw, &mut self.key),
            "last4" => rest.take(ATTRIBUTES, name, raw, &mut self.last4),
            "scopes" => rest.take(ATTRIBUTES, name, raw, &mut self.scopes),
            "created_at" => rest.take(ATTRIBUTES, name, raw, &mut self.created_at),
            "last_used_at" if time_or(&mut self.last_used, raw, LastUsedAt, NeverUsed) => {}
            _ => rest.keep(ATTRIBUTES, name, raw),
        }
    }

    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "owned_by" => rest.take(RELATIONSHIPS, name, raw, &mut self.owned_by),
            "leak_information" => rest.take(RELATIONSHIPS, name, raw, &mut self.leak_information),
            _ => rest.keep(RELATIONSHIPS, name, raw),
        }
    }

    fn finish(&mut self, rest: Rest) {
        (self.null_members, self.additional_members) = rest.into_parts();
    }
}

impl Resource for AccessToken {
    fn identify(&mut self, kind: &str, id: String) -> bool {
        self.id = id;
        self.set_type(match kind {
            "personal_access_tokens" => AccessTokenType::Personal,
            "service_access_tokens" => AccessTokenType::Service,
            _ => AccessTokenType::Unspecified,
        });
        self.r#type() != AccessTokenType::Unspecified
    }

    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        use access_token::{
            Expiry::{ExpiresAt, NeverExpires},
            LastUsed::{LastUsedAt, NeverUsed},
        };
        match name {
            "name" => rest.take(ATTRIBUTES, name, raw, &mut self.name),
            "key" => rest.take(ATTRIBUTES, name, raw, &mut self.key),
            "public_portion" => rest.take(ATTRIBUTES, name, raw, &mut self.public_portion),
            "scopes" => rest.take(ATTRIBUTES, name, raw, &mut self.scopes),
            "created_at" => rest.take(ATTRIBUTES, name, raw, &mut self.created_at),
            "modified_at" => rest.take(ATTRIBUTES, name, raw, &mut self.modified_at),
            "expires_at" if time_or(&mut self.expiry, raw, ExpiresAt, NeverExpires) => {}
            "last_used_at" if time_or(&mut self.last_used, raw, LastUsedAt, NeverUsed) => {}
            _ => rest.keep(ATTRIBUTES, name, raw),
        }
    }

    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "owned_by" => rest.take(RELATIONSHIPS, name, raw, &mut self.owned_by),
            "leak_information" => rest.take(RELATIONSHIPS, name, raw, &mut self.leak_information),
            _ => rest.keep(RELATIONSHIPS, name, raw),
        }
    }

    fn finish(&mut self, rest: Rest) {
        (self.null_members, self.additional_members) = rest.into_parts();
    }
}

impl Field for Option<AccessTokenOwner> {
    fn fill(&mut self, raw: &RawValue) -> Fit {
        let mut owner: Option<ResourceIdentifier> = None;
        let taken = owner.fill(raw);
        let Some(owner) = owner else { return taken };
        let kind = match owner.r#type.as_str() {
            "users" => AccessTokenOwnerType::User,
            "service_account" => AccessTokenOwnerType::ServiceAccount,
            _ => AccessTokenOwnerType::Unspecified,
        };
        *self = Some(AccessTokenOwner {
            r#type: kind.into(),
            id: owner.id,
        });
        match kind {
            AccessTokenOwnerType::Unspecified => Fit::Partly,
            _ => taken,
        }
    }
}

impl Resource for User {
    fn identify(&mut self, kind: &str, id: String) -> bool {
        self.id = id;
        kind == "users"
    }

    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "created_at" => rest.take(ATTRIBUTES, name, raw, &mut self.created_at),
            "disabled" => rest.take(ATTRIBUTES, name, raw, &mut self.disabled),
            "email" => rest.take(ATTRIBUTES, name, raw, &mut self.email),
            "handle" => rest.take(ATTRIBUTES, name, raw, &mut self.handle),
            "icon" => rest.take(ATTRIBUTES, name, raw, &mut self.icon),
            "last_login_time" => rest.take(ATTRIBUTES, name, raw, &mut self.last_login_time),
            "mfa_enabled" => rest.take(ATTRIBUTES, name, raw, &mut self.mfa_enabled),
            "modified_at" => rest.take(ATTRIBUTES, name, raw, &mut self.modified_at),
            "name" => rest.take(ATTRIBUTES, name, raw, &mut self.name),
            "service_account" => rest.take(ATTRIBUTES, name, raw, &mut self.service_account),
            "status" => rest.take(ATTRIBUTES, name, raw, &mut self.status),
            "title" => rest.take(ATTRIBUTES, name, raw, &mut self.title),
            "verified" => rest.take(ATTRIBUTES, name, raw, &mut self.verified),
            "uuid" => rest.take(ATTRIBUTES, name, raw, &mut self.uuid),
            _ => rest.keep(ATTRIBUTES, name, raw),
        }
    }

    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "org" => rest.take(RELATIONSHIPS, name, raw, &mut self.org),
            "other_orgs" => rest.take(RELATIONSHIPS, name, raw, &mut self.other_orgs),
            "other_users" => rest.take(RELATIONSHIPS, name, raw, &mut self.other_users),
            "roles" => rest.take(RELATIONSHIPS, name, raw, &mut self.roles),
            _ => rest.keep(RELATIONSHIPS, name, raw),
        }
    }

    fn finish(&mut self, rest: Rest) {
        (self.null_members, self.additional_members) = rest.into_parts();
    }
}

impl Resource for Role {
    fn identify(&mut self, kind: &str, id: String) -> bool {
        self.id = id;
        kind == "roles"
    }

    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "created_at" => rest.take(ATTRIBUTES, name, raw, &mut self.created_at),
            "modified_at" => rest.take(ATTRIBUTES, name, raw, &mut self.modified_at),
            "name" => rest.take(ATTRIBUTES, name, raw, &mut self.name),
            "user_count" => rest.take(ATTRIBUTES, name, raw, &mut self.user_count),
            "managed" => rest.take(ATTRIBUTES, name, raw, &mut self.managed),
            _ => rest.keep(ATTRIBUTES, name, raw),
        }
    }

    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "permissions" => rest.take(RELATIONSHIPS, name, raw, &mut self.permissions),
            _ => rest.keep(RELATIONSHIPS, name, raw),
        }
    }

    fn finish(&mut self, rest: Rest) {
        (self.null_members, self.additional_members) = rest.into_parts();
    }
}

impl Resource for LeakedKey {
    fn identify(&mut self, kind: &str, id: String) -> bool {
        self.id = id;
        kind == "leaked_keys"
    }

    fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        match name {
            "date" => rest.take(ATTRIBUTES, name, raw, &mut self.date),
            "leak_source" => rest.take(ATTRIBUTES, name, raw, &mut self.leak_source),
            _ => rest.keep(ATTRIBUTES, name, raw),
        }
    }

    fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
        rest.keep(RELATIONSHIPS, name, raw);
    }

    fn finish(&mut self, rest: Rest) {
        (self.null_members, self.additional_members) = rest.into_parts();
    }
}

/// Reads an included resource: known types by name, others whole.
///
/// # Errors
/// [`Malformed`] if it is not an object.
pub fn included(raw: &RawValue) -> Result<IncludedResource, Malformed> {
    use included_resource::Resource::{LeakedKey, Other, Role, User};
    let members = Members::of(raw).ok_or(Malformed("an included resource is not an object"))?;
    let mut kind: Option<String> = None;
    let mut whole = Rest::default();
    for (name, raw) in members {
        if name == "type" {
            kind.fill(raw);
        }
        whole.keep(Place::Top, &name, raw);
    }
    let typed = match kind.as_deref() {
        Some("users") => resource(raw).ok().map(User),
        Some("roles") => resource(raw).ok().map(Role),
        Some("leaked_keys") => resource(raw).ok().map(LeakedKey),
        _ => None,
    };
    let resource = typed.unwrap_or_else(|| Other(whole.into_struct().unwrap_or_default()));
    Ok(IncludedResource {
        resource: Some(resource),
    })
}

/// Reads `meta`: figures of its own, and those under `page`.
fn meta(
    raw: &RawValue,
    rest: &mut Rest,
    mut figure: impl FnMut(&str, &RawValue, &mut Rest) -> bool,
    total: &mut Option<i64>,
) {
    let Some(members) = Members::of(raw) else {
        return;
    };
    for (name, raw) in members {
        match (&*name, Members::of(raw)) {
            ("page", Some(page)) if !page.is_empty() => {
                for (name, raw) in page {
                    match &*name {
                        // a null would lose its place
                        "total_filtered_count" if !is_null(raw) => {
                            rest.take(Place::In("page"), &name, raw, total)
                        }
                        _ => rest.keep(Place::In("page"), &name, raw),
                    }
                }
            }
            _ if figure(&name, raw, rest) => {}
            _ => rest.keep(Place::Top, &name, raw),
        }
    }
}

/// What stands beside a list.
pub trait Meta: Default {
    /// Reads it.
    fn read(raw: &RawValue) -> Self;
}

impl Meta for ApiKeysMeta {
    fn read(raw: &RawValue) -> Self {
        let (mut read, mut rest) = (Self::default(), Rest::default());
        let max = &mut read.max_allowed;
        let figure = |name: &str, raw: &RawValue, rest: &mut Rest| {
            let known = name == "max_allowed";
            if known {
                rest.take(Place::Top, name, raw, max);
            }
            known
        };
        meta(raw, &mut rest, figure, &mut read.total_filtered_count);
        read.additional_members = rest.into_struct();
        read
    }
}

impl Meta for ApplicationKeysMeta {
    fn read(raw: &RawValue) -> Self {
        let (mut read, mut rest) = (Self::default(), Rest::default());
        let max = &mut read.max_allowed_per_user;
        let figure = |name: &str, raw: &RawValue, rest: &mut Rest| {
            let known = name == "max_allowed_per_user";
            if known {
                rest.take(Place::Top, name, raw, max);
            }
            known
        };
        meta(raw, &mut rest, figure, &mut read.total_filtered_count);
        read.additional_members = rest.into_struct();
        read
    }
}

impl Meta for AccessTokensMeta {
    fn read(raw: &RawValue) -> Self {
        let (mut read, mut rest) = (Self::default(), Rest::default());
        meta(
            raw,
            &mut rest,
            |_, _, _| false,
            &mut read.total_filtered_count,
        );
        read.additional_members = rest.into_struct();
        read
    }
}
