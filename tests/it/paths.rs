//! What a caller writes never reaches another route: ids are refused unless they
//! are plain, every other text arrives as one encoded parameter or one member of
//! the body.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};
use serde_json::{Value as Json, json};

use crate::support::{
    gateway::{Answer, Client, contract, methods},
    served::{MAIN, SANDBOX_POLICY, Served, target},
    upstreams::requests,
    vendors::{self, Vendor},
};

/// An id that is nobody's.
const ID: &str = "0a0a0a0a-0000-4000-8000-000000000000";

/// Names, filters, ids and organizations that mean something to somebody.
fn hostile() -> Vec<String> {
    let mut all: Vec<_> = [
        "../../v1/api_key",
        "a/b",
        "a?b",
        "a#b",
        "a%2fb",
        "%2e%2e",
        "%00",
        "..",
        ".",
        "a\\b",
        "a;b",
        "a b",
        " ",
        "a&page[size]=1",
        "a=b&sort=-name#c",
        "a+b",
        "a\0b",
        "a\r\nx-injected: 1",
        "\t",
        "\u{7f}",
        "é",
        "\u{202e}",
        "ａ",
        "http://localhost/",
        "\"},\"x\":{\"",
        "{api_key_id}",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push("a".repeat(10_240));
    all
}

fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[track_caller]
fn assert_refused(answer: &Answer, field: &str, what: &str) {
    let got = (answer.code(), answer.reason());
    let expected = ("INVALID_ARGUMENT", "INVALID_REQUEST".to_owned());
    assert_eq!(got, expected, "{what}");
    let details = answer.details().unwrap();
    let violations = &details.bad_request().unwrap().field_violations;
    // there may be several things wrong with it
    let mut fields: Vec<_> = violations.iter().map(|it| it.field.as_str()).collect();
    fields.dedup();
    assert_eq!(fields, [field], "{what}");
}

/// The parameters in the path of a method's route.
fn route_parameters(method: &str) -> Vec<&'static str> {
    let operation = contract().operation(method).unwrap();
    let route = operation.route.as_deref().unwrap_or_default();
    let parameters = route.split('{').skip(1);
    parameters.map(|it| it.split('}').next().unwrap()).collect()
}

/// The fields of a method's request that hold ids.
fn id_fields(client: &Client, method: &str) -> Vec<&'static str> {
    let Some(vendor) = Vendor::of(method) else {
        return Vec::new();
    };
    let mut fields = route_parameters(method);
    fields.retain(|it| *it != vendor.place);
    // several ids are in the body
    fields.extend(vendors::key(&client.method(method)).map(|it| it.field));
    fields.sort_unstable();
    fields.dedup();
    fields
}

#[tokio::test]
async fn an_id_that_is_not_plain_is_refused_and_nothing_is_sent() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    for method in methods() {
        for field in id_fields(&client, &method) {
            for id in hostile().iter().map(String::as_str).chain([""]) {
                let mut request = client.request_at(&method, ID, MAIN);
                let descriptor = request.descriptor().get_field_by_name(field).unwrap();
                request.set_field(&descriptor, vendors::holding(&descriptor, id));
                let answer = client.call(&method, Some(&token), &request).await;
                assert_refused(&answer, field, &format!("{method} {field} {}", short(id)));
            }
        }
    }
    assert!(served.upstreams.requests().is_empty());
}

#[tokio::test]
async fn a_place_that_is_not_plain_is_refused_and_nothing_is_sent() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    for method in methods() {
        let Some(vendor) = Vendor::of(&method) else {
            continue;
        };
        for place in hostile() {
            let what = format!("{method} {}", short(&place));
            let request = client.request_at(&method, ID, &place);
            let answer = client.call(&method, Some(&token), &request).await;
            if contract().operation(&method).unwrap().not_offered.is_some() {
                assert_eq!(answer.reason(), "NOT_OFFERED_UPSTREAM", "{what}");
            } else {
                assert_refused(&answer, vendor.place, &what);
            }
        }
    }
    assert!(served.upstreams.requests().is_empty());
}

/// The texts in a message: its fields, and those of the messages in it.
fn texts(kind: &MessageDescriptor) -> Vec<Vec<FieldDescriptor>> {
    let mut all = Vec::new();
    for field in kind.fields() {
        match field.kind() {
            Kind::String => all.push(vec![field]),
            Kind::Message(inner) if inner.package_name() != "google.protobuf" => {
                let inner = texts(&inner).into_iter();
                all.extend(inner.map(|it| [vec![field.clone()], it].concat()));
            }
            _ => {}
        }
    }
    all
}

/// Sets a text in a message.
fn set(message: &mut DynamicMessage, path: &[FieldDescriptor], text: &str) {
    let (field, inner) = path.split_first().unwrap();
    if inner.is_empty() {
        message.set_field(field, vendors::holding(field, text));
        return;
    }
    let before = message.get_field(field).into_owned();
    let value = match before {
        Value::List(before) => before.into_iter().next(),
        before => Some(before),
    };
    let value = value.unwrap_or_else(|| Value::default_value(&field.kind()));
    let mut value = value.as_message().unwrap().clone();
    set(&mut value, inner, text);
    let value = Value::Message(value);
    let value = if field.is_list() {
        Value::List(vec![value])
    } else {
        value
    };
    message.set_field(field, value);
}

/// The parameters of a request that a simulator received, decoded.
fn parameters(request: &Json) -> (String, Vec<(String, String)>) {
    let target = request["path"].as_str().unwrap();
    assert!(target.is_ascii() && !target.contains(['#', ' ', '+']));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decode = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
        decoded.unwrap().into_owned()
    };
    let parameters = query.split('&').filter(|it| !it.is_empty());
    let parameters = parameters.map(|it| {
        let (name, value) = it.split_once('=').unwrap();
        (decode(name), decode(value))
    });
    (path.to_owned(), parameters.collect())
}

/// A request that a simulator received, without this text where it was a whole
/// parameter or a whole member of the body.
fn without(request: &Json, text: &str) -> Json {
    fn blank(json: &mut Json, text: &str) {
        match json {
            Json::String(it) if it == text => *json = Json::Null,
            Json::Array(all) => all.iter_mut().for_each(|it| blank(it, text)),
            Json::Object(all) => all.values_mut().for_each(|it| blank(it, text)),
            _ => {}
        }
    }
    assert!(request["headers"].get("x-injected").is_none());
    let (path, parameters) = parameters(request);
    let mut parameters = json!(parameters);
    let mut body = request["body"].clone();
    blank(&mut parameters, text);
    blank(&mut body, text);
    json!([request["method"], path, parameters, body])
}

/// Whether a field takes any text but a long one and nothing but space: names,
/// and what lists are filtered by.
fn takes_anything(method: &str, field: &str) -> bool {
    let is_list = method.contains("/List") || method.contains("/Stream");
    let is_filter = field.ends_with("name") || ["category", "filter", "owned_by"].contains(&field);
    vendors::NAMES.contains(&field) || is_list && is_filter
}

#[tokio::test]
async fn a_text_arrives_as_it_is_and_changes_nothing_else() {
    const PLAIN: &str = "a-plain-text";
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    let offered = |it: &String| contract().operation(it).unwrap().route.is_some();
    for method in methods().into_iter().filter(offered) {
        let vendor = Vendor::of(&method).unwrap();
        let simulator = served.upstreams.at(&vendor.upstream(vendor.region, MAIN));
        let ids = id_fields(&client, &method);
        let target = target(&client, &method, &token, MAIN).await;
        let usual = client.request_at(&method, &target, MAIN);
        for path in texts(&client.method(&method).input()) {
            let field = path[0].name();
            if ids.contains(&field) || field == vendor.place {
                continue;
            }
            let before = requests(simulator).len();
            let mut sent = Vec::new();
            // the last one stays, and must not be taken for one of the next field
            let last = format!("the last {field}");
            let texts = [PLAIN.to_owned()].into_iter().chain(hostile());
            for text in texts.chain([last]) {
                let mut request = usual.clone();
                set(&mut request, &path, &text);
                let answer = client.call(&method, Some(&token), &request).await;
                let what = format!("{method} {} {}", path.last().unwrap().name(), short(&text));
                let refused = answer.reason() == "INVALID_REQUEST";
                let long = text.len() > 1024;
                if takes_anything(&method, field) && (long || !text.trim().is_empty()) {
                    assert_eq!(refused, long, "{what}");
                }
                if refused {
                    assert_refused(&answer, field, &what);
                } else {
                    sent.push((what, text));
                }
            }
            // a change may ask something first
            let arrived = requests(simulator).split_off(before);
            let each = arrived.len().checked_div(sent.len()).unwrap_or_default();
            assert_eq!(each * sent.len(), arrived.len(), "{method} {field}");
            assert!(each > 0 || sent.is_empty(), "{method} {field}: not sent");
            let calls = arrived.chunks(each.max(1));
            let mut usual = None;
            for ((what, text), requests) in sent.iter().zip(calls) {
                let rest: Vec<_> = requests.iter().map(|it| without(it, text)).collect();
                assert_eq!(*usual.get_or_insert_with(|| rest.clone()), rest, "{what}");
                let there = requests
                    .iter()
                    .any(|it| without(it, text) != without(it, ID));
                assert!(there, "{what}: it did not arrive");
            }
        }
    }
}
