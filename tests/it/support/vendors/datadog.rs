//! Datadog.

use keygate::{
    random::Random,
    sandbox::{
        datadog::{Options, Site},
        faults::Faults,
    },
};
use secrecy::SecretString;
use serde_json::{Value as Json, json};

use super::{Key, SERVICE_ACCOUNT, Simulator, Source, Vendor};

/// What the tests know of it.
pub(crate) const VENDOR: Vendor = Vendor {
    name: "datadog",
    region: "us1",
    place: "org",
    keys: &[
        Key {
            service: "keygate.datadog.v1.ApiKeyService",
            field: "key",
            source: Source::Made("keygate.datadog.v2.ApiKeyService/CreateApiKey"),
            member: "key",
        },
        Key {
            service: "keygate.datadog.v1.ApplicationKeyService",
            field: "key",
            source: Source::Made(OWN),
            member: "key",
        },
        Key {
            service: "keygate.datadog.v2.ApiKeyService",
            field: "api_key_id",
            source: Source::Made("keygate.datadog.v2.ApiKeyService/CreateApiKey"),
            member: "id",
        },
        Key {
            service: "keygate.datadog.v2.ApplicationKeyService",
            field: "app_key_id",
            source: Source::Made(OWN),
            member: "id",
        },
        Key {
            service: "keygate.datadog.v2.CurrentUserApplicationKeyService",
            field: "app_key_id",
            source: Source::Made(OWN),
            member: "id",
        },
        Key {
            service: "keygate.datadog.v2.PersonalAccessTokenService",
            field: "token_id",
            source: Source::Made(
                "keygate.datadog.v2.PersonalAccessTokenService/CreatePersonalAccessToken",
            ),
            member: "id",
        },
        Key {
            service: ACCOUNTS,
            field: "app_key_id",
            source: Source::Made(
                "keygate.datadog.v2.ServiceAccountKeyService/CreateServiceAccountApplicationKey",
            ),
            member: "id",
        },
        Key {
            service: ACCOUNTS,
            field: "token_id",
            source: Source::Made(
                "keygate.datadog.v2.ServiceAccountKeyService/CreateServiceAccountAccessToken",
            ),
            member: "id",
        },
    ],
    reads_first: &[],
    spoil: |request| {
        request.clear_field_by_name("site");
        "site"
    },
    error: |words| json!({ "body": { "errors": [words] } }),
    masters: &["api_key", "app_key"],
    secrets: &[
        ("api_keys", "key"),
        ("application_keys", "key"),
        ("access_tokens", "key"),
    ],
    start: |place, tasks| {
        let [api_key, app_key] = place.masters();
        let options = Options {
            name: format!("{}/{}", place.region, place.name),
            api_key,
            app_key,
            service_account_id: Some(SERVICE_ACCOUNT.to_owned()),
            max_api_keys: 10_000,
            max_application_keys_per_user: 10_000,
            ..Options::default()
        };
        let clock = place.clock.clone();
        Box::pin(async move {
            let site = Site::start(options, clock, Random::system(), tasks);
            Box::new(site.await.unwrap()) as Box<dyn Simulator>
        })
    },
    section: |place| format!("site = \"{}\"\norg = \"{}\"\n", place.region, place.name),
};

/// Makes an application key of the user.
const OWN: &str =
    "keygate.datadog.v2.CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey";

/// The keys and tokens of service accounts.
const ACCOUNTS: &str = "keygate.datadog.v2.ServiceAccountKeyService";

impl Simulator for Site {
    fn base_url(&self) -> String {
        self.base_url()
    }

    fn state(&self) -> Json {
        self.state()
    }

    fn faults(&self) -> &Faults {
        self.faults()
    }

    fn masters(&self) -> Vec<SecretString> {
        vec![self.api_key().clone(), self.app_key().clone()]
    }
}
