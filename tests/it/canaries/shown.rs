//! Messages as `{:?}` shows them.

use keygate::contract::proto::keygate::{
    access::v1 as access,
    datadog::{v1 as legacy, v2 as datadog},
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _};

/// A request or response, decoded into its generated type, in `Debug`.
pub(super) fn shown(message: &DynamicMessage) -> String {
    let descriptor = message.descriptor();
    let (package, bytes) = (descriptor.package_name(), message.encode_to_vec());
    macro_rules! any_of {
        ($($name:literal, $module:ident { $($message:ident)* })*) => {$($(
            if (package, descriptor.name()) == ($name, stringify!($message)) {
                let message = $module::$message::decode(bytes.as_slice()).unwrap();
                return format!("{message:?}\n{message:#?}");
            }
        )*)*};
    }
    any_of! {
        "keygate.access.v1", access {
            WhoAmIRequest WhoAmIResponse
            ExplainAccessRequest ExplainAccessResponse
            ListUpstreamsRequest ListUpstreamsResponse
        }
        "keygate.datadog.v1", legacy {
            ListApiKeysRequest ListApiKeysResponse
            CreateApiKeyRequest CreateApiKeyResponse
            GetApiKeyRequest GetApiKeyResponse
            UpdateApiKeyRequest UpdateApiKeyResponse
            DeleteApiKeyRequest DeleteApiKeyResponse
            ListApplicationKeysRequest ListApplicationKeysResponse
            CreateApplicationKeyRequest CreateApplicationKeyResponse
            GetApplicationKeyRequest GetApplicationKeyResponse
            UpdateApplicationKeyRequest UpdateApplicationKeyResponse
            DeleteApplicationKeyRequest DeleteApplicationKeyResponse
        }
        "keygate.datadog.v2", datadog {
            ListApiKeysRequest ListApiKeysResponse
            CreateApiKeyRequest CreateApiKeyResponse
            GetApiKeyRequest GetApiKeyResponse
            UpdateApiKeyRequest UpdateApiKeyResponse
            DeleteApiKeyRequest DeleteApiKeyResponse
            ListApplicationKeysRequest ListApplicationKeysResponse
            GetApplicationKeyRequest GetApplicationKeyResponse
            UpdateApplicationKeyRequest UpdateApplicationKeyResponse
            DeleteApplicationKeyRequest DeleteApplicationKeyResponse
            ListCurrentUserApplicationKeysRequest ListCurrentUserApplicationKeysResponse
            CreateCurrentUserApplicationKeyRequest CreateCurrentUserApplicationKeyResponse
            GetCurrentUserApplicationKeyRequest GetCurrentUserApplicationKeyResponse
            UpdateCurrentUserApplicationKeyRequest UpdateCurrentUserApplicationKeyResponse
            DeleteCurrentUserApplicationKeyRequest DeleteCurrentUserApplicationKeyResponse
            ListPersonalAccessTokensRequest ListPersonalAccessTokensResponse
            CreatePersonalAccessTokenRequest CreatePersonalAccessTokenResponse
            GetPersonalAccessTokenRequest GetPersonalAccessTokenResponse
            UpdatePersonalAccessTokenRequest UpdatePersonalAccessTokenResponse
            RevokePersonalAccessTokenRequest RevokePersonalAccessTokenResponse
            ListServiceAccountApplicationKeysRequest ListServiceAccountApplicationKeysResponse
            CreateServiceAccountApplicationKeyRequest CreateServiceAccountApplicationKeyResponse
            GetServiceAccountApplicationKeyRequest GetServiceAccountApplicationKeyResponse
            UpdateServiceAccountApplicationKeyRequest UpdateServiceAccountApplicationKeyResponse
            DeleteServiceAccountApplicationKeyRequest DeleteServiceAccountApplicationKeyResponse
            ListServiceAccountAccessTokensRequest ListServiceAccountAccessTokensResponse
            CreateServiceAccountAccessTokenRequest CreateServiceAccountAccessTokenResponse
            GetServiceAccountAccessTokenRequest GetServiceAccountAccessTokenResponse
            UpdateServiceAccountAccessTokenRequest UpdateServiceAccountAccessTokenResponse
            RevokeServiceAccountAccessTokenRequest RevokeServiceAccountAccessTokenResponse
        }
    }
    panic!(
        "{} is not among the messages that are looked at",
        descriptor.full_name()
    );
}
