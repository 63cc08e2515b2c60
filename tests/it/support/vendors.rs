//! What the tests that go over every RPC have to know of each vendor: where its
//! requests go, what names the keys that they are about and where those come
//! from, how it tells of errors, and the simulator that answers for it.
//!
//! A vendor is a file in `vendors/` and a line in [`ALL`]; a service whose
//! methods take an id is a row in its vendor's `keys`; a field that a request
//! can't do without is a line in [`value`].

mod braintrust;
mod coveo;
mod datadog;

use std::{future::Future, pin::Pin};

use keygate::{sandbox::faults::Faults, tasks::Tasks};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MethodDescriptor, Value};
use secrecy::SecretString;
use serde_json::Value as Json;

use super::{
    gateway::{contract, method},
    upstreams::Place,
};

pub(crate) use braintrust::VENDOR as BRAINTRUST;
pub(crate) use coveo::VENDOR as COVEO;
pub(crate) use datadog::VENDOR as DATADOG;

/// All of them.
pub(crate) const ALL: [&Vendor; 3] = [&BRAINTRUST, &COVEO, &DATADOG];

/// The fields that hold the name of whatever is made or changed.
pub(crate) const NAMES: [&str; 2] = ["name", "display_name"];

/// A service account that every simulator has which knows such.
pub(crate) const SERVICE_ACCOUNT: &str = "5e5e5e5e-0000-4000-8000-000000000000";

/// A vendor.
pub(crate) struct Vendor {
    /// As in its packages' and its upstreams' names: `datadog`.
    pub(crate) name: &'static str,
    /// The part of an upstream's name before the last, where a test does not
    /// care: Datadog's site, Coveo's region. Empty where there is none.
    pub(crate) region: &'static str,
    /// The field that says which of the configured places is meant: `org`.
    pub(crate) place: &'static str,
    /// What names the keys and tokens that methods are called on.
    pub(crate) keys: &'static [Key],
    /// The methods that can't change a key without reading it first, whatever the
    /// policy.
    pub(crate) reads_first: &'static [&'static str],
    /// Makes any request invalid. The field that is wrong then.
    pub(crate) spoil: fn(&mut DynamicMessage) -> &'static str,
    /// How it tells of an error, in these words: `body` and `content_type` of a
    /// fault.
    pub(crate) error: fn(&str) -> Json,
    /// Its master credentials: the settings that hold them.
    pub(crate) masters: &'static [&'static str],
    /// Where the values of keys are in its simulator's state: a list, and a
    /// member of its items.
    pub(crate) secrets: &'static [(&'static str, &'static str)],
    /// Starts its simulator for a place.
    pub(crate) start: for<'a> fn(&'a Place, &'a Tasks) -> Starting<'a>,
    /// What the configuration says of a place, but for what is said of all.
    pub(crate) section: fn(&Place) -> String,
}

/// A simulator that is being started.
pub(crate) type Starting<'a> = Pin<Box<dyn Future<Output = Box<dyn Simulator>> + 'a>>;

/// A field that names the key or token that a method is called on.
pub(crate) struct Key {
    /// The service of the method: `keygate.datadog.v2.ApiKeyService`.
    pub(crate) service: &'static str,
    /// The field of the method's request; it may be a list of them.
    pub(crate) field: &'static str,
    /// Where such a key or token comes from.
    pub(crate) source: Source,
    /// The member of the key that the field has to hold: mostly `id`.
    pub(crate) member: &'static str,
}

/// Where a key or token comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The method that makes one.
    Made(&'static str),
    /// The method that lists those that are there. Nobody can make one, so its
    /// simulator has some.
    Listed(&'static str),
}

/// A simulator, whatever the vendor.
pub(crate) trait Simulator: Send + Sync {
    /// Its base URL, without a final slash.
    fn base_url(&self) -> String;
    /// Everything that it holds, and `requests`.
    fn state(&self) -> Json;
    /// The faults it makes.
    fn faults(&self) -> &Faults;
    /// Its master credentials, in the order of [`Vendor::masters`].
    fn masters(&self) -> Vec<SecretString>;
}

impl Vendor {
    /// The vendor that a method goes to; none if keygate answers it by itself.
    ///
    /// # Panics
    /// If it is a vendor that nobody has told of here.
    pub(crate) fn of(method: &str) -> Option<&'static Self> {
        let operation = contract().operation(method).unwrap();
        if operation.route.is_none() && operation.not_offered.is_none() {
            return None;
        }
        let name = operation.provider();
        let vendor = ALL.into_iter().find(|it| it.name == name);
        Some(vendor.unwrap_or_else(|| panic!("{name} is not in {}", file!())))
    }

    /// The full name of an upstream: `datadog/us1/main`.
    pub(crate) fn upstream(&self, region: &str, name: &str) -> String {
        let parts = [self.name, region, name].into_iter();
        let parts: Vec<_> = parts.filter(|it| !it.is_empty()).collect();
        parts.join("/")
    }
}

/// What names the key or token that a method is called on, if it takes one.
pub(crate) fn key(method: &MethodDescriptor) -> Option<&'static Key> {
    let (service, input) = (method.parent_service(), method.input());
    let mut keys = ALL.into_iter().flat_map(|it| it.keys);
    keys.find(|it| it.service == service.full_name() && input.get_field_by_name(it.field).is_some())
}

/// What a field of a request holds if a test does not care; nothing if it need
/// not be set.
pub(crate) fn value(field: &FieldDescriptor) -> Option<Value> {
    const YEAR: u64 = 365 * 24 * 60 * 60;
    let text = |text: &str| Value::String(text.to_owned());
    Some(match (field.name(), field.kind()) {
        ("site", _) => Value::EnumNumber(1),
        (name, _) if NAMES.contains(&name) => {
            // no other key's: some vendors refuse that
            let random = keygate::random::Random::system();
            text(&format!("a key of the tests {}", random.uuid()))
        }
        ("service_account_id", _) => text(SERVICE_ACCOUNT),
        ("method", _) => text("keygate.access.v1.AccessService/WhoAmI"),
        // the first record's; whoever calls anything has written it
        ("inclusion", Kind::Message(kind)) => Value::Message(DynamicMessage::new(kind)),
        // a watch that is to end ends at once
        ("to_position", _) => Value::U64(0),
        ("expires_at", Kind::Message(kind)) => {
            let mut time = DynamicMessage::new(kind);
            let now = keygate::clock::Clock::system().unix_seconds();
            time.set_field_by_name("seconds", Value::I64((now + YEAR).try_into().unwrap()));
            Value::Message(time)
        }
        ("scopes", Kind::Message(kind)) => {
            let mut scopes = DynamicMessage::new(kind);
            scopes.set_field_by_name("values", Value::List(vec![text("dashboards_read")]));
            Value::Message(scopes)
        }
        ("scopes", _) => Value::List(vec![text("dashboards_read")]),
        ("privileges", Kind::Message(kind)) => coveo::privileges(kind),
        _ => return None,
    })
}

/// A field that holds this text, or a list of it alone.
pub(crate) fn holding(field: &FieldDescriptor, text: &str) -> Value {
    let value = Value::String(text.to_owned());
    if field.is_list() {
        Value::List(vec![value])
    } else {
        value
    }
}

#[test]
fn every_parameter_of_every_route_is_known() {
    for operation in contract().operations() {
        let Some(route) = &operation.route else {
            continue;
        };
        let vendor = Vendor::of(&operation.method).unwrap();
        let own = vendor
            .keys
            .iter()
            .filter(|it| it.service == operation.service);
        let own: Vec<_> = own.map(|it| it.field).collect();
        let parameters = route.split('{').skip(1);
        for parameter in parameters.map(|it| it.split('}').next().unwrap()) {
            let field = method(&operation.method).input();
            let field = field.get_field_by_name(parameter).unwrap();
            let known =
                own.contains(&parameter) || parameter == vendor.place || value(&field).is_some();
            assert!(known, "{}: {parameter} is nowhere", operation.method);
        }
    }
}
