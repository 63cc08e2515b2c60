//! Messages of any type, filled from JSON.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use serde_json::Value as Json;

/// Sets the fields that a JSON object names; null clears one.
#[track_caller]
pub(crate) fn set(message: &mut DynamicMessage, fields: &Json) {
    for (name, value) in fields.as_object().unwrap() {
        let field = message.descriptor().get_field_by_name(name);
        let field = field.unwrap_or_else(|| panic!("there is no field {name}"));
        match value {
            Json::Null => message.clear_field(&field),
            Json::Array(all) => {
                let all = all.iter().map(|it| one(&field, it)).collect();
                message.set_field(&field, Value::List(all));
            }
            value => message.set_field(&field, one(&field, value)),
        }
    }
}

#[track_caller]
fn one(field: &FieldDescriptor, value: &Json) -> Value {
    match field.kind() {
        Kind::String => Value::String(value.as_str().unwrap().to_owned()),
        Kind::Bool => Value::Bool(value.as_bool().unwrap()),
        Kind::Int32 => Value::I32(value.as_i64().unwrap().try_into().unwrap()),
        Kind::Int64 => Value::I64(value.as_i64().unwrap()),
        Kind::Enum(_) => Value::EnumNumber(value.as_i64().unwrap().try_into().unwrap()),
        Kind::Message(kind) => {
            let mut message = DynamicMessage::new(kind);
            set(&mut message, value);
            Value::Message(message)
        }
        kind => panic!("{}: {kind:?} is not known here", field.name()),
    }
}
