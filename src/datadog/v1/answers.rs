//! The answers of API v1, as responses of the contract.

use prost_types::Timestamp;
use serde_json::value::RawValue;

use crate::{
    contract::proto::keygate::datadog::v1::{
        ApiKey, ApplicationKey, CreateApiKeyResponse, CreateApplicationKeyResponse,
        DeleteApiKeyResponse, DeleteApplicationKeyResponse, GetApiKeyResponse,
        GetApplicationKeyResponse, ListApiKeysResponse, ListApplicationKeysResponse,
        UpdateApiKeyResponse, UpdateApplicationKeyResponse,
    },
    gateway::{
        answers::{Resource, answers},
        operation::Key,
    },
    json::{self, Field as _, Fit, object},
};

/// `2019-08-02 15:31:07`, which is UTC though it does not say so.
pub(super) fn created(field: &mut Option<Timestamp>, raw: &RawValue) -> Fit {
    let text = json::text(raw);
    let zoneless = text.as_deref().and_then(|it| it.split_once(' '));
    let read = zoneless.and_then(|(date, time)| json::timestamp(&format!("{date}T{time}Z")));
    match read {
        Some((time, true)) => {
            *field = Some(time);
            Fit::Whole
        }
        _ => field.fill(raw),
    }
}

object! {
    ApiKey (null_members, additional_members) {
        "key" => key,
        "name" => name,
        "created" => created by created,
        "created_by" => created_by,
    }
}

object! {
    ApplicationKey (null_members, additional_members) {
        "hash" => hash,
        "name" => name,
        "owner" => owner,
    }
}

macro_rules! resources {
    ($($message:ident . $value:ident),* $(,)?) => {$(
        impl Resource for $message {
            fn key(&self) -> Key<'_> {
                Key {
                    id: None,
                    name: self.name.as_deref(),
                    secret: self.$value.as_deref(),
                }
            }

            fn conceal(&mut self) {
                self.$value = None;
                self.additional_members = None;
            }
        }
    )*};
}

resources!(ApiKey.key, ApplicationKey.hash);

answers! {
    list ListApiKeysResponse.api_keys in "api_keys";
    one CreateApiKeyResponse.api_key in "api_key";
    one GetApiKeyResponse.api_key in "api_key";
    one UpdateApiKeyResponse.api_key in "api_key";
    one DeleteApiKeyResponse.api_key in "api_key";
    list ListApplicationKeysResponse.application_keys in "application_keys";
    one CreateApplicationKeyResponse.application_key in "application_key";
    one GetApplicationKeyResponse.application_key in "application_key";
    one UpdateApplicationKeyResponse.application_key in "application_key";
    one DeleteApplicationKeyResponse.application_key in "application_key";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::operation::Answer as _;

    fn read(text: &str) -> ApiKey {
        let body = format!(r#"{{"api_key": {{"created": {text}}}}}"#);
        GetApiKeyResponse::read(body.as_bytes())
            .unwrap()
            .api_key
            .unwrap()
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        for (text, time) in [
            ("2019-08-02 15:31:07", "2019-08-02T15:31:07Z"),
            ("2019-08-02 15:31:07.25", "2019-08-02T15:31:07.250Z"),
            ("2019-08-02T15:31:07Z", "2019-08-02T15:31:07Z"),
            ("2019-08-02T17:31:07+02:00", "2019-08-02T15:31:07Z"),
        ] {
            let key = read(&format!("{text:?}"));
            assert_eq!(key.created.unwrap().to_string(), time, "{text}");
            assert_eq!(key.additional_members, None, "{text}");
        }
        for text in [r#""yesterday""#, r#""2019-08-02 25:00:00""#, "7", "{}"] {
            let key = read(text);
            assert_eq!(key.created, None, "{text}");
            let kept = key.additional_members.unwrap();
            assert!(kept.fields.contains_key("created"), "{text}");
        }
        assert_eq!(read("null").null_members, ["created"]);
    }

    #[test]
    fn an_answer_without_its_key_makes_no_sense() {
        for body in ["", "[]", "{}", r#"{"api_key": null}"#, r#"{"api_key": []}"#] {
            assert!(GetApiKeyResponse::read(body.as_bytes()).is_err(), "{body}");
        }
        for body in ["{}", r#"{"api_keys": null}"#, r#"{"api_keys": [null]}"#] {
            assert!(
                ListApiKeysResponse::read(body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }
}
