//! Responses as `{:?}` shows them.

use keygate::contract::proto::keygate::{access::v1 as access, datadog::v2 as datadog};
use prost::Message as _;
use prost_reflect::DynamicMessage;

/// The response of a method, decoded into its generated type, in `Debug`.
pub(super) fn shown(method: &str, response: &DynamicMessage) -> String {
    let bytes = response.encode_to_vec();
    let (_, rpc) = method.split_once('/').unwrap();
    let name = format!("{rpc}Response");
    macro_rules! any_of {
        ($($package:ident :: $response:ident),* $(,)?) => {$(
            if name == stringify!($response) {
                let response = $package::$response::decode(bytes.as_slice()).unwrap();
                return format!("{response:?}\n{response:#?}");
            }
        )*};
    }
    any_of!(
        access::WhoAmIResponse,
        access::ExplainAccessResponse,
        access::ListUpstreamsResponse,
        datadog::ListApiKeysResponse,
        datadog::CreateApiKeyResponse,
        datadog::GetApiKeyResponse,
        datadog::UpdateApiKeyResponse,
        datadog::DeleteApiKeyResponse,
        datadog::ListApplicationKeysResponse,
        datadog::GetApplicationKeyResponse,
        datadog::UpdateApplicationKeyResponse,
        datadog::DeleteApplicationKeyResponse,
        datadog::ListCurrentUserApplicationKeysResponse,
        datadog::CreateCurrentUserApplicationKeyResponse,
        datadog::GetCurrentUserApplicationKeyResponse,
        datadog::UpdateCurrentUserApplicationKeyResponse,
        datadog::DeleteCurrentUserApplicationKeyResponse,
        datadog::ListPersonalAccessTokensResponse,
        datadog::CreatePersonalAccessTokenResponse,
        datadog::GetPersonalAccessTokenResponse,
        datadog::UpdatePersonalAccessTokenResponse,
        datadog::RevokePersonalAccessTokenResponse,
    );
    panic!("{name} is not among the responses that are looked at");
}
