//! From a recorded request to the RPC's own: by the names of fields alone.

use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MethodDescriptor, ReflectMessage as _,
    Value,
};
use prost_types::Timestamp;
use serde_json::Value as Json;

use super::recording::Interaction;

/// The parameter of routes below a service account.
const ACCOUNT: &str = "service_account_id";

/// A request of the contract.
pub(super) struct Derived {
    pub(super) message: DynamicMessage,
    /// What in the recorded one it can't say.
    pub(super) inexpressible: Vec<String>,
}

/// The request that should make the gateway send the recorded one.
pub(super) fn derive(
    method: &MethodDescriptor,
    recorded: &Interaction,
    org: &str,
    parameters: &[(&str, String)],
) -> Derived {
    let mut derived = Derived {
        message: DynamicMessage::new(method.input()),
        inexpressible: Vec::new(),
    };
    derived
        .message
        .set_field_by_name("site", Value::EnumNumber(1));
    derived.text("org", org);
    for (name, text) in parameters {
        derived.text(name, text);
    }
    for (name, value) in &recorded.query {
        if derived.parameter(name, value).is_none() {
            derived.inexpressible.push(format!("{name}={value}"));
        }
    }
    if let Some(body) = &recorded.body {
        // the last one is the key's own
        let own = parameters.last().filter(|(name, _)| *name != ACCOUNT);
        derived.body(body, own.map(|(_, id)| id.as_str()));
    }
    derived
}

impl Derived {
    fn field(&self, name: &str) -> Option<FieldDescriptor> {
        self.message.descriptor().get_field_by_name(name)
    }

    fn text(&mut self, name: &str, text: &str) {
        let value = Value::String(text.to_owned());
        self.message.set_field_by_name(name, value);
    }

    /// `filter[created_at][start]` is `created_at_start`; `page[size]` is
    /// `page_size`.
    fn parameter(&mut self, name: &str, text: &str) -> Option<()> {
        let name = match name.strip_prefix("filter[") {
            Some(filter) => filter.replace("][", "_").replace(']', ""),
            None => name.replace('[', "_").replace(']', ""),
        };
        let field = self.field(&name)?;
        let value = match field.kind() {
            Kind::Int32 => Value::I32(text.parse().ok()?),
            Kind::Bool => Value::Bool(text.parse().ok()?),
            Kind::String => Value::String(text.to_owned()),
            Kind::Message(_) => time(&field, &text.replace(' ', "+"))?,
            Kind::Enum(set) if field.is_list() => {
                let values = text.split(',').map(|it| member(&set, it));
                Value::List(values.collect::<Option<_>>()?)
            }
            Kind::Enum(set) => member(&set, text)?,
            _ => return None,
        };
        let value = match (self.message.get_field(&field).into_owned(), value) {
            (Value::List(mut all), Value::List(more)) => {
                all.extend(more);
                Value::List(all)
            }
            (Value::List(mut all), one) => {
                all.push(one);
                Value::List(all)
            }
            (_, value) => value,
        };
        self.message.set_field(&field, value);
        Some(())
    }

    fn body(&mut self, body: &Json, id: Option<&str>) {
        let data = &body["data"];
        if data["id"].as_str() != id {
            let other = format!("another id in the body: {}", data["id"]);
            self.inexpressible.push(other);
        }
        for (name, value) in data["attributes"].as_object().into_iter().flatten() {
            if self.attribute(name, value).is_none() {
                self.inexpressible.push(format!("{name} = {value}"));
            }
        }
        let attributes = &data["attributes"];
        for name in ["name", "scopes"] {
            let field = self.field(name);
            let always = field.is_some_and(|it| !it.supports_presence());
            if always && attributes.get(name).is_none() {
                self.inexpressible.push(format!("no {name}"));
            }
        }
    }

    fn attribute(&mut self, name: &str, given: &Json) -> Option<()> {
        let field = self.field(name)?;
        let texts = |given: &Json| -> Option<Value> {
            let texts = given.as_array()?.iter();
            let texts = texts.map(|it| Some(Value::String(it.as_str()?.to_owned())));
            Some(Value::List(texts.collect::<Option<_>>()?))
        };
        let value = match field.kind() {
            Kind::Bool => Value::Bool(given.as_bool()?),
            Kind::String if field.is_list() => texts(given)?,
            Kind::String => Value::String(given.as_str()?.to_owned()),
            Kind::Message(kind) if kind.name() == "Scopes" => {
                let mut scopes = DynamicMessage::new(kind);
                if given.is_null() {
                    scopes.set_field_by_name("unscoped", Value::Bool(true));
                } else {
                    scopes.set_field_by_name("values", texts(given)?);
                }
                Value::Message(scopes)
            }
            Kind::Message(_) => time(&field, given.as_str()?)?,
            _ => return None,
        };
        self.message.set_field(&field, value);
        Some(())
    }
}

fn time(field: &FieldDescriptor, text: &str) -> Option<Value> {
    let time: Timestamp = text.parse().ok()?;
    let mut message = DynamicMessage::new(field.kind().as_message()?.clone());
    message.set_field_by_name("seconds", Value::I64(time.seconds));
    message.set_field_by_name("nanos", Value::I32(time.nanos));
    Some(Value::Message(message))
}

/// `-created_at` is `API_KEY_SORT_CREATED_AT_DESC`.
fn member(set: &EnumDescriptor, text: &str) -> Option<Value> {
    let none = set.default_value();
    let prefix = none.name().strip_suffix("UNSPECIFIED")?;
    let name = match text.strip_prefix('-') {
        Some(name) => format!("{prefix}{}_DESC", name.to_uppercase()),
        None => format!("{prefix}{}", text.to_uppercase()),
    };
    let value = set.get_value_by_name(&name)?;
    Some(Value::EnumNumber(value.number()))
}
