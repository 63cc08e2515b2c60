//! Messages as `{:?}` shows them.

use keygate::contract::proto::keygate::{
    access::v1 as access,
    audit::v1 as audit,
    braintrust::v1 as braintrust,
    coveo::v1 as coveo,
    datadog::{v1 as datadog_v1, v2 as datadog_v2},
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
        "keygate.audit.v1", audit {
            ListRecordsRequest ListRecordsResponse
            WatchRecordsRequest WatchRecordsResponse
            GetCheckpointRequest GetCheckpointResponse
            GetProofRequest GetProofResponse
        }
        "keygate.braintrust.v1", braintrust {
            ListApiKeysRequest ListApiKeysResponse
            StreamApiKeysRequest StreamApiKeysResponse
            CreateApiKeyRequest CreateApiKeyResponse
            GetApiKeyRequest GetApiKeyResponse
            DeleteApiKeyRequest DeleteApiKeyResponse
            ListServiceTokensRequest ListServiceTokensResponse
            StreamServiceTokensRequest StreamServiceTokensResponse
            CreateServiceTokenRequest CreateServiceTokenResponse
            ReplaceServiceTokenRequest ReplaceServiceTokenResponse
            GetServiceTokenRequest GetServiceTokenResponse
            DeleteServiceTokenRequest DeleteServiceTokenResponse
        }
        "keygate.coveo.v1", coveo {
            ListApiKeysRequest ListApiKeysResponse
            CreateApiKeyRequest CreateApiKeyResponse
            GetApiKeyRequest GetApiKeyResponse
            UpdateApiKeyRequest UpdateApiKeyResponse
            ActivateApiKeyRequest ActivateApiKeyResponse
            DisableApiKeyRequest DisableApiKeyResponse
            ExtendApiKeyRequest ExtendApiKeyResponse
            DuplicateApiKeyRequest DuplicateApiKeyResponse
            DeleteApiKeyRequest DeleteApiKeyResponse
            BulkDeleteApiKeysRequest BulkDeleteApiKeysResponse
            BulkActivateApiKeysRequest BulkActivateApiKeysResponse
            BulkDisableApiKeysRequest BulkDisableApiKeysResponse
        }
        "keygate.datadog.v1", datadog_v1 {
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
        "keygate.datadog.v2", datadog_v2 {
            ListApiKeysRequest ListApiKeysResponse
            StreamApiKeysRequest StreamApiKeysResponse
            CreateApiKeyRequest CreateApiKeyResponse
            GetApiKeyRequest GetApiKeyResponse
            UpdateApiKeyRequest UpdateApiKeyResponse
            DeleteApiKeyRequest DeleteApiKeyResponse
            ListApplicationKeysRequest ListApplicationKeysResponse
            StreamApplicationKeysRequest StreamApplicationKeysResponse
            GetApplicationKeyRequest GetApplicationKeyResponse
            UpdateApplicationKeyRequest UpdateApplicationKeyResponse
            DeleteApplicationKeyRequest DeleteApplicationKeyResponse
            ListCurrentUserApplicationKeysRequest ListCurrentUserApplicationKeysResponse
            StreamCurrentUserApplicationKeysRequest StreamCurrentUserApplicationKeysResponse
            CreateCurrentUserApplicationKeyRequest CreateCurrentUserApplicationKeyResponse
            GetCurrentUserApplicationKeyRequest GetCurrentUserApplicationKeyResponse
            UpdateCurrentUserApplicationKeyRequest UpdateCurrentUserApplicationKeyResponse
            DeleteCurrentUserApplicationKeyRequest DeleteCurrentUserApplicationKeyResponse
            ListPersonalAccessTokensRequest ListPersonalAccessTokensResponse
            StreamPersonalAccessTokensRequest StreamPersonalAccessTokensResponse
            CreatePersonalAccessTokenRequest CreatePersonalAccessTokenResponse
            GetPersonalAccessTokenRequest GetPersonalAccessTokenResponse
            UpdatePersonalAccessTokenRequest UpdatePersonalAccessTokenResponse
            RevokePersonalAccessTokenRequest RevokePersonalAccessTokenResponse
            ListServiceAccountApplicationKeysRequest ListServiceAccountApplicationKeysResponse
            StreamServiceAccountApplicationKeysRequest StreamServiceAccountApplicationKeysResponse
            CreateServiceAccountApplicationKeyRequest CreateServiceAccountApplicationKeyResponse
            GetServiceAccountApplicationKeyRequest GetServiceAccountApplicationKeyResponse
            UpdateServiceAccountApplicationKeyRequest UpdateServiceAccountApplicationKeyResponse
            DeleteServiceAccountApplicationKeyRequest DeleteServiceAccountApplicationKeyResponse
            ListServiceAccountAccessTokensRequest ListServiceAccountAccessTokensResponse
            StreamServiceAccountAccessTokensRequest StreamServiceAccountAccessTokensResponse
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
