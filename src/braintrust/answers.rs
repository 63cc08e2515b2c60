//! Braintrust's answers, as responses of the contract.

use crate::{
    contract::proto::keygate::braintrust::v1::{
        ApiKey, CreateServiceTokenResponse, DeleteApiKeyResponse, DeleteServiceTokenResponse,
        GetApiKeyResponse, GetServiceTokenResponse, ListApiKeysResponse, ListServiceTokensResponse,
        ReplaceServiceTokenResponse, ServiceToken,
    },
    gateway::{
        answers::{Resource, answers},
        operation::Key,
    },
    json::object,
};

object! {
    ApiKey (null_members, additional_members) {
        "id" => id,
        "name" => name,
        "preview_name" => preview_name,
        "created" => created,
        "user_id" => user_id,
        "user_email" => user_email,
        "user_given_name" => user_given_name,
        "user_family_name" => user_family_name,
        "org_id" => org_id,
    }
}

object! {
    ServiceToken (null_members, additional_members) {
        "id" => id,
        "name" => name,
        "key" => key,
        "preview_name" => preview_name,
        "created" => created,
        "service_account_id" => service_account_id,
        "service_account_email" => service_account_email,
        "service_account_name" => service_account_name,
        "org_id" => org_id,
    }
}

impl Resource for ApiKey {
    fn key(&self) -> Key<'_> {
        Key {
            id: Some(&self.id),
            name: self.name.as_deref(),
            secret: None,
        }
    }

    fn conceal(&mut self) {
        self.additional_members = None;
    }
}

impl Resource for ServiceToken {
    fn key(&self) -> Key<'_> {
        Key {
            id: Some(&self.id),
            name: self.name.as_deref(),
            secret: self.key.as_deref(),
        }
    }

    fn conceal(&mut self) {
        self.key = None;
        self.additional_members = None;
    }
}

answers! {
    list ListApiKeysResponse.api_keys in "objects";
    one GetApiKeyResponse.api_key;
    one DeleteApiKeyResponse.api_key;
    list ListServiceTokensResponse.service_tokens in "objects";
    one CreateServiceTokenResponse.service_token;
    one ReplaceServiceTokenResponse.service_token;
    one GetServiceTokenResponse.service_token;
    one DeleteServiceTokenResponse.service_token;
}
