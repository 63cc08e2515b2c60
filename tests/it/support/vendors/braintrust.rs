//! Braintrust.

use keygate::{
    random::Random,
    sandbox::{
        braintrust::{Instance, Options},
        faults::Faults,
    },
};
use prost_reflect::Value;
use secrecy::SecretString;
use serde_json::{Value as Json, json};

use super::{Key, SERVICE_ACCOUNT, Simulator, Source, Vendor};

/// What the tests know of it.
pub(crate) const VENDOR: Vendor = Vendor {
    name: "braintrust",
    region: "",
    place: "instance",
    keys: &[
        Key {
            service: "keygate.braintrust.v1.ApiKeyService",
            field: "api_key_id",
            source: Source::Listed("keygate.braintrust.v1.ApiKeyService/ListApiKeys"),
            member: "id",
        },
        Key {
            service: "keygate.braintrust.v1.ServiceTokenService",
            field: "service_token_id",
            source: Source::Made("keygate.braintrust.v1.ServiceTokenService/CreateServiceToken"),
            member: "id",
        },
    ],
    reads_first: &["keygate.braintrust.v1.ServiceTokenService/ReplaceServiceToken"],
    spoil: |request| {
        request.set_field_by_name("instance", Value::String("no/instance".to_owned()));
        "instance"
    },
    error: |words| json!({ "body": words, "content_type": "text/plain" }),
    masters: &["token"],
    secrets: &[("api_keys", "key"), ("service_tokens", "key")],
    start: |place, tasks| {
        let [token] = place.masters();
        let options = Options {
            name: place.name.clone(),
            token,
            // more than some pages
            api_keys: (0..520)
                .map(|it| format!("a key of the tests {it}"))
                .collect(),
            service_account_id: Some(SERVICE_ACCOUNT.to_owned()),
            ..Options::default()
        };
        let clock = place.clock.clone();
        Box::pin(async move {
            let instance = Instance::start(options, clock, Random::system(), tasks);
            Box::new(instance.await.unwrap()) as Box<dyn Simulator>
        })
    },
    section: |place| format!("name = \"{}\"\n", place.name),
};

impl Simulator for Instance {
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
        vec![self.token().clone()]
    }
}
