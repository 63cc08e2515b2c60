//! Datadog's resources: from JSON:API to the contract's flat messages.
//!
//! Source: Datadog API reference, Key Management, v2, and what recorded answers
//! show besides.

use prost_types::Struct;
use serde_json::value::RawValue;

use super::jsonapi::{ATTRIBUTES, RELATIONSHIPS, Resource, resource};
use crate::{
    contract::proto::keygate::datadog::v2::{
        AccessToken, AccessTokenOwner, AccessTokenOwnerType, AccessTokenType, AccessTokensMeta,
        ApiKey, ApiKeysMeta, ApplicationKey, ApplicationKeysMeta, IncludedResource, LastUsedDate,
        LeakedKey, ResourceIdentifier, Role, User, access_token, api_key, application_key,
        included_resource, last_used_date,
    },
    json::{
        Field, Fit, Malformed, Members, Place, Rest, is_null,
        object::{object, time_or_null},
    },
};

/// How a resource is read: its type; attributes and relationships that have the
/// same name as their field; and times for which null has a meaning of its own.
macro_rules! resource {
    (
        $message:ident if |$it:ident, $kind:ident| $known:expr,
        attributes: [$($attribute:ident),* $(,)?],
        times: [$($member:literal => $field:ident as $time:path, $null:path;)*],
        relationships: [$($relationship:ident),* $(,)?] $(,)?
    ) => {
        impl Resource for $message {
            fn identify(&mut self, $kind: &str, id: String) -> bool {
                self.id = id;
                let $it = self;
                $known
            }

            fn attribute(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
                match name {
                    $(stringify!($attribute) => {
                        rest.take(ATTRIBUTES, name, raw, &mut self.$attribute);
                    })*
                    $($member => {
                        let fit = time_or_null(&mut self.$field, raw, $time, $null);
                        rest.settle(ATTRIBUTES, name, raw, fit);
                    })*
                    _ => rest.keep(ATTRIBUTES, name, raw),
                }
            }

            fn relationship(&mut self, name: &str, raw: &RawValue, rest: &mut Rest) {
                match name {
                    $(stringify!($relationship) => {
                        rest.take(RELATIONSHIPS, name, raw, &mut self.$relationship);
                    })*
                    _ => rest.keep(RELATIONSHIPS, name, raw),
                }
            }

            fn finish(&mut self, rest: Rest) {
                (self.null_members, self.additional_members) = rest.into_parts();
            }
        }
    };
}

resource! {
    ApiKey if |_it, kind| kind == "api_keys",
    attributes: [
        name, key, last4, category, remote_config_read_enabled,
        private_action_runner_enroll_enabled, created_at, modified_at,
        used_in_last_24_hours, last_used_date,
    ],
    times: [
        "date_last_used" => last_used as api_key::LastUsed::DateLastUsed,
            api_key::LastUsed::NeverUsed;
    ],
    relationships: [created_by, modified_by, leak_information],
}

resource! {
    ApplicationKey if |_it, kind| kind == "application_keys",
    attributes: [name, key, last4, scopes, created_at],
    times: [
        "last_used_at" => last_used as application_key::LastUsed::LastUsedAt,
            application_key::LastUsed::NeverUsed;
    ],
    relationships: [owned_by, leak_information],
}

resource! {
    AccessToken if |it, kind| {
        it.set_type(match kind {
            "personal_access_tokens" => AccessTokenType::Personal,
            "service_access_tokens" => AccessTokenType::Service,
            _ => AccessTokenType::Unspecified,
        });
        it.r#type() != AccessTokenType::Unspecified
    },
    attributes: [name, key, public_portion, scopes, created_at, modified_at],
    times: [
        "expires_at" => expiry as access_token::Expiry::ExpiresAt,
            access_token::Expiry::NeverExpires;
        "last_used_at" => last_used as access_token::LastUsed::LastUsedAt,
            access_token::LastUsed::NeverUsed;
    ],
    relationships: [owned_by, leak_information],
}

resource! {
    User if |_it, kind| kind == "users",
    attributes: [
        created_at, disabled, email, handle, icon, last_login_time, mfa_enabled, modified_at,
        name, service_account, status, title, verified, uuid,
    ],
    times: [],
    relationships: [org, other_orgs, other_users, roles],
}

resource! {
    Role if |_it, kind| kind == "roles",
    attributes: [created_at, modified_at, name, user_count, managed],
    times: [],
    relationships: [permissions],
}

resource! {
    LeakedKey if |_it, kind| kind == "leaked_keys",
    attributes: [date, leak_source],
    times: [],
    relationships: [],
}

fn last_use(field: &mut Option<last_used_date::LastUse>, raw: &RawValue) -> Fit {
    use last_used_date::LastUse::{NoRecentUse, Timestamp};
    time_or_null(field, raw, Timestamp, NoRecentUse)
}

object! {
    LastUsedDate (additional_members) {
        "timestamp" => last_use by last_use,
        "description" => description,
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

/// What stands beside a list.
pub trait Meta: Default {
    /// Reads it.
    fn read(raw: &RawValue) -> Self;
}

impl Meta for ApiKeysMeta {
    fn read(raw: &RawValue) -> Self {
        let mut read = Self::default();
        let max = ("max_allowed", &mut read.max_allowed);
        read.additional_members = meta(raw, Some(max), &mut read.total_filtered_count);
        read
    }
}

impl Meta for ApplicationKeysMeta {
    fn read(raw: &RawValue) -> Self {
        let mut read = Self::default();
        let max = ("max_allowed_per_user", &mut read.max_allowed_per_user);
        read.additional_members = meta(raw, Some(max), &mut read.total_filtered_count);
        read
    }
}

impl Meta for AccessTokensMeta {
    fn read(raw: &RawValue) -> Self {
        let mut read = Self::default();
        read.additional_members = meta(raw, None, &mut read.total_filtered_count);
        read
    }
}

/// Reads `meta`: a limit, by its name, and the figures under `page`. What is left
/// comes back.
fn meta(
    raw: &RawValue,
    mut limit: Option<(&str, &mut Option<i64>)>,
    total: &mut Option<i64>,
) -> Option<Struct> {
    let mut rest = Rest::default();
    for (name, raw) in Members::of(raw)? {
        match (&*name, Members::of(raw), &mut limit) {
            ("page", Some(page), _) if !page.is_empty() => {
                for (name, raw) in page {
                    match &*name {
                        // a null would lose its place
                        "total_filtered_count" if !is_null(raw) => {
                            rest.take(Place::In("page"), &name, raw, total);
                        }
                        _ => rest.keep(Place::In("page"), &name, raw),
                    }
                }
            }
            (name, _, Some((known, field))) if name == *known => {
                rest.take(Place::Top, name, raw, *field);
            }
            _ => rest.keep(Place::Top, &name, raw),
        }
    }
    rest.into_struct()
}
