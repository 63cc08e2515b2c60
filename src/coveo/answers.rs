//! Coveo's answers, as responses of the contract.
//!
//! Source: Authorization Server API, models "ApiKeyResponse",
//! "ApiKeyWithValueResponse", "ApiKeyExposureReportResponse" and "UserModel". The
//! vendor's client has times as milliseconds since the epoch, the description of
//! the API has them as text: both are read.

use prost_types::Timestamp;
use serde_json::value::RawValue;

use crate::{
    contract::proto::keygate::coveo::v1::{
        ActivateApiKeyResponse, ApiKey, ApiKeyStatus, BulkActivateApiKeysResponse,
        BulkDeleteApiKeysResponse, BulkDisableApiKeysResponse, CreateApiKeyResponse,
        DeleteApiKeyResponse, DisableApiKeyResponse, DuplicateApiKeyResponse, ExposureCreationType,
        ExposureReason, ExposureReport, ExposureSeverity, ExposureSource, ExtendApiKeyResponse,
        GetApiKeyResponse, IpRanges, ListApiKeysResponse, PrivacyLevel, Privilege, Privileges,
        ResourceReference, ResourceReferences, UpdateApiKeyResponse, User,
        api_key::{Expiry, LastUsed, Secret},
    },
    gateway::{
        answers::{Resource, answers, empties},
        operation::Key,
    },
    json::{
        self, Field, Fit, Members, is_null, object,
        object::{or_null, word},
    },
};

/// A time in either form.
fn time(field: &mut Option<Timestamp>, raw: &RawValue) -> Fit {
    // as far as a `Timestamp` reaches: years 1 to 9999
    const MILLIS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
    let Ok(millis) = raw.get().parse::<i64>() else {
        return field.fill(raw);
    };
    if !MILLIS.contains(&millis) {
        return Fit::Not;
    }
    let nanos = i32::try_from(millis.rem_euclid(1_000) * 1_000_000).unwrap_or_default();
    *field = Some(Timestamp {
        seconds: millis.div_euclid(1_000),
        nanos,
    });
    Fit::Whole
}

/// A value, whole or masked: of a masked one a few characters are left.
fn value(field: &mut Option<Secret>, raw: &RawValue) -> Fit {
    const SHOWN: usize = 8;
    let mut text: Option<String> = None;
    let fit = text.fill(raw);
    *field = text.map(|text| {
        let shown = text.chars().filter(|it| !matches!(it, '*' | '-')).count();
        if text.contains('*') && shown <= SHOWN {
            Secret::MaskedValue(text)
        } else {
            Secret::Value(text)
        }
    });
    fit
}

/// A user, who may be a name alone.
fn user(field: &mut Option<User>, raw: &RawValue) -> Fit {
    match json::text(raw) {
        Some(name) => {
            *field = Some(User {
                username: Some(name),
                ..User::default()
            });
            Fit::Whole
        }
        None => field.fill(raw),
    }
}

fn last_used(field: &mut Option<LastUsed>, raw: &RawValue) -> Fit {
    or_null(
        field,
        raw,
        time,
        LastUsed::LastUsedDate,
        LastUsed::NeverUsed,
    )
}

fn expiry(field: &mut Option<Expiry>, raw: &RawValue) -> Fit {
    or_null(
        field,
        raw,
        time,
        Expiry::ExpirationDate,
        Expiry::NeverExpires,
    )
}

/// Enums: their field's reader, and what stands before upstream's word in the
/// contract's.
macro_rules! words {
    ($($read:ident: $kind:ident $prefix:literal;)*) => {$(
        fn $read(field: &mut i32, raw: &RawValue) -> Fit {
            word(field, raw, |it| $kind::from_str_name(&format!(concat!($prefix, "_{}"), it)))
        }
    )*};
}

words! {
    status: ApiKeyStatus "API_KEY_STATUS";
    privacy: PrivacyLevel "PRIVACY_LEVEL";
    severity: ExposureSeverity "EXPOSURE_SEVERITY";
    source: ExposureSource "EXPOSURE_SOURCE";
    creation: ExposureCreationType "EXPOSURE_CREATION_TYPE";
}

object! {
    ApiKey (null_members, additional_members) {
        "id" => id,
        "displayName" => display_name,
        "description" => description,
        "value" => secret by value,
        "organizationId" => organization_id,
        "enabled" => enabled,
        "status" => status by status,
        "privileges" => privileges,
        "allowedIps" => allowed_ips,
        "deniedIps" => denied_ips,
        "createdDate" => created_date by time,
        "createdBy" => created_by by user,
        "lastUsedDate" => last_used by last_used,
        "expirationDate" => expiry by expiry,
        "activationDate" => activation_date by time,
        "disabledDate" => disabled_date by time,
        "apiKeyTemplateId" => api_key_template_id,
        "privacyLevel" => privacy_level by privacy,
        "exposureReport" => exposure_report,
        "groupsThatCanEdit" => groups_that_can_edit,
        "apiKeysThatCanEdit" => api_keys_that_can_edit,
        "resourceId" => resource_id,
        "tokenId" => token_id,
        "additionalConfiguration" => additional_configuration,
    }
}

object! {
    ExposureReport (additional_members) {
        "severity" => severity by severity,
        "reasons" => reasons,
        "deactivationDate" => deactivation_date by time,
        "creationType" => creation_type by creation,
        "createdDate" => created_date by time,
        "createdBy" => created_by by user,
        "apiKeyLoggerId" => api_key_logger_id,
    }
}

object! {
    ExposureReason (additional_members) {
        "id" => id,
        "reason" => reason,
        "source" => source by source,
        "url" => url,
        "createdDate" => created_date by time,
    }
}

object! {
    User (additional_members) {
        "username" => username,
        "name" => name,
        "displayName" => display_name,
        "firstName" => first_name,
        "lastName" => last_name,
        "email" => email,
        "provider" => provider,
        "providerUsername" => provider_username,
        "providerUserId" => provider_user_id,
        "enabled" => enabled,
    }
}

/// Reads an object of texts, and says whether the message holds all of it.
fn texts<'a, T: Default>(
    raw: &RawValue,
    field: impl for<'m> Fn(&'m mut T, &str) -> Option<&'m mut Option<String>> + 'a,
) -> Option<(T, bool)> {
    let (mut message, mut whole) = (T::default(), true);
    for (name, raw) in Members::of(raw)? {
        let taken = field(&mut message, &name).map(|it| it.fill(raw));
        whole &= taken == Some(Fit::Whole);
    }
    Some((message, whole))
}

/// Reads a list whose elements may be more than their messages hold.
fn list<T>(raw: &RawValue, read: impl Fn(&RawValue) -> Option<(T, bool)>) -> (Fit, Vec<T>) {
    let elements = json::elements(raw);
    let read: Option<Vec<_>> = elements.and_then(|it| it.into_iter().map(read).collect());
    match read {
        _ if is_null(raw) => (Fit::Null, Vec::new()),
        None => (Fit::Not, Vec::new()),
        Some(read) => {
            let whole = read.iter().all(|(_, whole)| *whole);
            let fit = if whole { Fit::Whole } else { Fit::Partly };
            (fit, read.into_iter().map(|(it, _)| it).collect())
        }
    }
}

/// Lists that a message wraps, so that an empty one differs from none.
macro_rules! lists {
    ($($message:ident by $read:expr;)*) => {$(
        impl Field for Option<$message> {
            fn fill(&mut self, raw: &RawValue) -> Fit {
                let (fit, values) = list(raw, $read);
                if matches!(fit, Fit::Whole | Fit::Partly) {
                    *self = Some($message { values });
                }
                fit
            }
        }
    )*};
}

lists! {
    IpRanges by |it| json::text(it).map(|it| (it, true));
    Privileges by |it| texts(it, |privilege: &mut Privilege, name| Some(match name {
        "owner" => &mut privilege.owner,
        "targetDomain" => &mut privilege.target_domain,
        "targetId" => &mut privilege.target_id,
        "type" => &mut privilege.r#type,
        "level" => &mut privilege.level,
        _ => return None,
    }));
    ResourceReferences by |it| texts(it, |reference: &mut ResourceReference, name| Some(match name {
        "id" => &mut reference.id,
        "displayName" => &mut reference.display_name,
        _ => return None,
    }));
}

impl Resource for ApiKey {
    fn key(&self) -> Key<'_> {
        let secret = match &self.secret {
            Some(Secret::Value(value)) => Some(value.as_str()),
            Some(Secret::MaskedValue(_)) | None => None,
        };
        Key {
            id: Some(&self.id),
            name: self.display_name.as_deref(),
            secret,
        }
    }

    fn conceal(&mut self) {
        self.secret.take_if(|it| matches!(it, Secret::Value(_)));
        self.additional_configuration = None;
        self.additional_members = None;
        let report = self.exposure_report.as_mut();
        let reporter = report.and_then(|report| {
            report.additional_members = None;
            for reason in &mut report.reasons {
                reason.additional_members = None;
            }
            report.created_by.as_mut()
        });
        for user in self.created_by.iter_mut().chain(reporter) {
            user.additional_members = None;
        }
    }
}

answers! {
    list ListApiKeysResponse.api_keys;
    one CreateApiKeyResponse.api_key;
    one GetApiKeyResponse.api_key;
    one DuplicateApiKeyResponse.api_key;
}

empties!(
    UpdateApiKeyResponse,
    ActivateApiKeyResponse,
    DisableApiKeyResponse,
    ExtendApiKeyResponse,
    DeleteApiKeyResponse,
    BulkDeleteApiKeysResponse,
    BulkActivateApiKeysResponse,
    BulkDisableApiKeysResponse,
);
