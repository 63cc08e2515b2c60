//! Back from a response to the JSON:API document that it tells of.
//!
//! It follows what `proto/` says of the fields, and shares nothing with the code
//! that reads answers.

use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json, json};

/// Members that are relationships. All others are attributes.
const RELATIONSHIPS: [&str; 9] = [
    "created_by",
    "leak_information",
    "modified_by",
    "org",
    "other_orgs",
    "other_users",
    "owned_by",
    "permissions",
    "roles",
];

/// The document of a response; null for a response without any fields.
pub(super) fn document(response: &DynamicMessage) -> Json {
    let mut document = Map::new();
    for (field, value) in response.fields() {
        match (field.name(), value) {
            ("additional_members", value) => overlay(&mut document, value),
            ("included", Value::List(all)) => {
                let all: Vec<_> = all.iter().map(|it| included(message(it))).collect();
                document.insert("included".to_owned(), all.into());
            }
            ("meta", value) => {
                document.insert("meta".to_owned(), meta(message(value)));
            }
            (_, Value::List(all)) => {
                let all: Vec<_> = all.iter().map(|it| resource(message(it))).collect();
                document.insert("data".to_owned(), all.into());
            }
            (_, value) => {
                document.insert("data".to_owned(), resource(message(value)));
            }
        }
    }
    let descriptor = response.descriptor();
    if descriptor.fields().len() == 0 {
        return Json::Null;
    }
    if descriptor
        .fields()
        .any(|it| it.is_list() && it.name() != "included")
    {
        document.entry("data").or_insert_with(|| json!([]));
    }
    document.into()
}

fn message(value: &Value) -> &DynamicMessage {
    value.as_message().unwrap()
}

fn included(included: &DynamicMessage) -> Json {
    let (field, value) = included.fields().next().unwrap();
    match field.name() {
        "other" => members(message(value)).into(),
        _ => resource(message(value)),
    }
}

fn meta(meta: &DynamicMessage) -> Json {
    let mut figures = Map::new();
    for (field, value) in meta.fields() {
        match field.name() {
            "additional_members" => overlay(&mut figures, value),
            name @ "total_filtered_count" => put(&mut figures, "page", name, plain(value)),
            name => {
                figures.insert(name.to_owned(), plain(value));
            }
        }
    }
    figures.into()
}

fn resource(resource: &DynamicMessage) -> Json {
    let descriptor = resource.descriptor();
    let mut object = Map::new();
    let kind = match descriptor.name() {
        "ApiKey" => Some("api_keys"),
        "ApplicationKey" => Some("application_keys"),
        "User" => Some("users"),
        "Role" => Some("roles"),
        "LeakedKey" => Some("leaked_keys"),
        _ => None,
    };
    if let Some(kind) = kind {
        object.insert("type".to_owned(), kind.into());
    }
    object.insert("id".to_owned(), text(resource, "id").into());
    let mut additional = None;
    for (field, value) in resource.fields() {
        let name = field.name();
        match name {
            "id" => {}
            "type" => {
                let kind = match value.as_enum_number() {
                    Some(1) => "personal_access_tokens",
                    Some(2) => "service_access_tokens",
                    other => panic!("{other:?}"),
                };
                object.insert("type".to_owned(), kind.into());
            }
            "never_used" => {
                let name = last_use(&descriptor);
                put(&mut object, "attributes", &name, Json::Null);
            }
            "never_expires" => put(&mut object, "attributes", "expires_at", Json::Null),
            "null_members" => {
                for name in value.as_list().unwrap() {
                    let name = name.as_str().unwrap();
                    let null = if RELATIONSHIPS.contains(&name) {
                        json!({ "data": null })
                    } else {
                        Json::Null
                    };
                    put(&mut object, group(name), name, null);
                }
            }
            "additional_members" => additional = Some(value.clone()),
            name => put(&mut object, group(name), name, plain(value)),
        }
    }
    if let Some(additional) = additional {
        overlay(&mut object, &additional);
    }
    object.into()
}

/// The name of the time beside `never_used`.
fn last_use(descriptor: &MessageDescriptor) -> String {
    let oneof = descriptor.oneofs().find(|it| it.name() == "last_used");
    let time = oneof.unwrap().fields().find(|it| it.name() != "never_used");
    time.unwrap().name().to_owned()
}

fn group(name: &str) -> &'static str {
    if RELATIONSHIPS.contains(&name) {
        "relationships"
    } else {
        "attributes"
    }
}

fn put(object: &mut Map<String, Json>, group: &str, name: &str, value: Json) {
    let group = object.entry(group).or_insert_with(|| json!({}));
    group
        .as_object_mut()
        .unwrap()
        .insert(name.to_owned(), value);
}

/// Puts a `Struct` over what is there: groups are merged, members replaced.
fn overlay(object: &mut Map<String, Json>, additional: &Value) {
    for (name, value) in members(message(additional)) {
        let is_group = ["attributes", "relationships", "page"].contains(&name.as_str());
        match (value, object.get_mut(&name)) {
            (Json::Object(more), Some(Json::Object(group))) if is_group => group.extend(more),
            (value, _) => {
                object.insert(name, value);
            }
        }
    }
}

fn text<'m>(message: &'m DynamicMessage, field: &str) -> std::borrow::Cow<'m, str> {
    match message.get_field_by_name(field).unwrap() {
        std::borrow::Cow::Borrowed(value) => value.as_str().unwrap().into(),
        std::borrow::Cow::Owned(value) => value.as_str().unwrap().to_owned().into(),
    }
}

/// The value of a field.
fn plain(value: &Value) -> Json {
    match value {
        Value::Bool(it) => (*it).into(),
        Value::I64(it) => (*it).into(),
        Value::F64(it) => (*it).into(),
        Value::String(it) => it.clone().into(),
        Value::List(all) => all.iter().map(plain).collect(),
        Value::Message(it) => structured(it),
        other => panic!("{other:?}"),
    }
}

fn structured(message: &DynamicMessage) -> Json {
    let list = |name: &str| plain(&message.get_field_by_name(name).unwrap());
    match message.descriptor().name() {
        "Timestamp" => {
            let time: prost_types::Timestamp = message.transcode_to().unwrap();
            time.to_string().into()
        }
        "Scopes" => match plain(&message.get_field_by_name("unscoped").unwrap()) {
            Json::Bool(true) => Json::Null,
            _ => list("values"),
        },
        "LastUsedDate" => last_used_date(message),
        "ResourceIdentifiers" => {
            let all = message.get_field_by_name("data").unwrap();
            let all: Vec<_> = all.as_list().unwrap().iter().map(identifier).collect();
            json!({ "data": all })
        }
        "ResourceIdentifier" | "AccessTokenOwner" => {
            json!({ "data": identifier(&Value::Message(message.clone())) })
        }
        "LeakInformation" => match message.get_field_by_name("leaked_key_id") {
            Some(id) if message.has_field_by_name("leaked_key_id") => {
                json!({ "data": { "type": "leaked_keys", "id": plain(&id) } })
            }
            _ => json!({ "data": null }),
        },
        other => panic!("{other}"),
    }
}

fn identifier(value: &Value) -> Json {
    let message = message(value);
    let kind = message.get_field_by_name("type").unwrap();
    let kind = match kind.as_enum_number() {
        Some(1) => "users".into(),
        Some(2) => "service_account".into(),
        Some(_) => Json::Null,
        None => plain(&kind),
    };
    json!({ "type": kind, "id": text(message, "id") })
}

fn last_used_date(message: &DynamicMessage) -> Json {
    let mut date = Map::new();
    for (field, value) in message.fields() {
        match field.name() {
            "additional_members" => overlay(&mut date, value),
            "no_recent_use" => {
                date.insert("timestamp".to_owned(), Json::Null);
            }
            name => {
                date.insert(name.to_owned(), plain(value));
            }
        }
    }
    date.into()
}

/// The members of a `google.protobuf.Struct`.
fn members(members: &DynamicMessage) -> Map<String, Json> {
    let fields = members.get_field_by_name("fields").unwrap();
    let fields = fields.as_map().unwrap().iter();
    fields
        .map(|(name, value)| (name.as_str().unwrap().to_owned(), any(message(value))))
        .collect()
}

/// A `google.protobuf.Value`.
fn any(value: &DynamicMessage) -> Json {
    let (field, value) = value.fields().next().unwrap();
    match field.name() {
        "null_value" => Json::Null,
        "struct_value" => members(message(value)).into(),
        "list_value" => {
            let list = message(value).get_field_by_name("values").unwrap();
            list.as_list()
                .unwrap()
                .iter()
                .map(|it| any(message(it)))
                .collect()
        }
        _ => plain(value),
    }
}
