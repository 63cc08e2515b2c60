//! Coveo.

use keygate::{
    contract::proto::keygate::coveo::v1::Region,
    coveo::region,
    random::Random,
    sandbox::{
        coveo::{Options, Organization},
        faults::Faults,
    },
};
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};

use super::{Key, Simulator, Source, Vendor};

/// What the tests know of it.
pub(crate) const VENDOR: Vendor = Vendor {
    name: "coveo",
    region: "us",
    place: "organization_id",
    keys: &[
        Key {
            service: SERVICE,
            field: "api_key_id",
            source: Source::Made(CREATE),
            member: "id",
        },
        Key {
            service: SERVICE,
            field: "api_key_ids",
            source: Source::Made(CREATE),
            member: "id",
        },
    ],
    reads_first: &["keygate.coveo.v1.ApiKeyService/UpdateApiKey"],
    spoil: |request| {
        request.clear_field_by_name("organization_id");
        "organization_id"
    },
    error: |words| {
        let body = json!({ "message": words, "errorCode": "INVALID", "requestID": "0a0a" });
        json!({ "body": body })
    },
    masters: &["token"],
    secrets: &[("api_keys", "value")],
    start: |place, tasks| {
        let [token] = place.masters();
        // how the values of API keys begin
        let is_key = |it: &SecretString| it.expose_secret().starts_with("xx");
        let options = Options {
            name: place.region.to_owned(),
            region: region_of(place.region),
            organization_id: Some(place.name.clone()),
            token_is_api_key: token.as_ref().is_some_and(is_key),
            token,
            ..Options::default()
        };
        let clock = place.clock.clone();
        Box::pin(async move {
            let here = Organization::start(options, clock, Random::system(), tasks);
            Box::new(here.await.unwrap()) as Box<dyn Simulator>
        })
    },
    section: |place| {
        let (region, organization) = (place.region, &place.name);
        format!("region = \"{region}\"\norganization_id = \"{organization}\"\n")
    },
};

/// What a key may do, which any role may let it do.
pub(super) fn privileges(kind: MessageDescriptor) -> Value {
    let values = kind.get_field_by_name("values").unwrap();
    let mut privilege = DynamicMessage::new(values.kind().as_message().unwrap().clone());
    for (field, text) in [
        ("owner", "SEARCH_API"),
        ("target_domain", "EXECUTE_QUERY"),
        ("target_id", "*"),
    ] {
        privilege.set_field_by_name(field, Value::String(text.to_owned()));
    }
    let mut privileges = DynamicMessage::new(kind);
    privileges.set_field(&values, Value::List(vec![Value::Message(privilege)]));
    Value::Message(privileges)
}

/// The region of a name.
fn region_of(name: &str) -> Region {
    let mut all = region::ALL.into_iter();
    all.find(|it| region::name(*it) == Some(name)).unwrap()
}

const SERVICE: &str = "keygate.coveo.v1.ApiKeyService";
const CREATE: &str = "keygate.coveo.v1.ApiKeyService/CreateApiKey";

impl Simulator for Organization {
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
