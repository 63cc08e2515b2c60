//! What a caller writes never reaches another route: ids are refused unless they
//! are plain, everything else arrives as one encoded parameter or in the body.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use serde_json::Value as Json;

use crate::support::{
    gateway::{Answer, methods},
    served::{SANDBOX_POLICY, Served, requests},
};

const ID_FIELDS: [&str; 3] = ["api_key_id", "app_key_id", "token_id"];

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
    let fields: Vec<_> = violations.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, [field], "{what}");
}

#[tokio::test]
async fn an_id_that_is_not_plain_is_refused_and_nothing_is_sent() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    let mut checked = 0;
    for method in methods() {
        let input = client.method(&method).input();
        let field = ID_FIELDS
            .into_iter()
            .find(|it| input.get_field_by_name(it).is_some());
        let Some(field) = field else { continue };
        for id in hostile().iter().map(String::as_str).chain([""]) {
            let request = client.request(&method, id);
            let answer = client.call(&method, Some(&token), &request).await;
            assert_refused(&answer, field, &format!("{method} {}", short(id)));
            checked += 1;
        }
    }
    assert_eq!(checked, 12 * (hostile().len() + 1));
    assert!(requests(served.site()).is_empty());
}

#[tokio::test]
async fn an_organization_that_is_not_plain_is_refused_and_nothing_is_sent() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    for method in methods() {
        let mut request = client.request(&method, "0a0a0a0a-0000-4000-8000-000000000000");
        if request.descriptor().get_field_by_name("org").is_none() {
            continue;
        }
        for org in hostile() {
            let what = format!("{method} {}", short(&org));
            request.set_field_by_name("org", Value::String(org.clone()));
            let answer = client.call(&method, Some(&token), &request).await;
            if org.bytes().all(|it| it == b'.') {
                // plain, and nobody's
                assert_eq!(answer.reason(), "UPSTREAM_NOT_CONFIGURED", "{what}");
            } else {
                assert_refused(&answer, "org", &what);
            }
        }
    }
    assert!(requests(served.site()).is_empty());
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

#[tokio::test]
async fn a_filter_arrives_as_one_parameter_and_nothing_else() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    let mut checked = 0;
    for method in methods() {
        for (field, name) in [
            ("filter", "filter"),
            ("category", "filter[category]"),
            ("owned_by", "filter[owned_by]"),
        ] {
            let request = client.request(&method, "");
            let Some(descriptor) = request.descriptor().get_field_by_name(field) else {
                continue;
            };
            if !method.contains("/List") {
                continue;
            }
            for text in hostile() {
                let before = requests(served.site()).len();
                let mut request: DynamicMessage = request.clone();
                let value = Value::String(text.clone());
                let value = if descriptor.is_list() {
                    Value::List(vec![value])
                } else {
                    value
                };
                request.set_field_by_name(field, value);
                let answer = client.call(&method, Some(&token), &request).await;
                let arrived = &requests(served.site())[before..];
                let what = format!("{method} {field} {}", short(&text));
                checked += 1;
                if text.len() > 1024 {
                    assert_refused(&answer, field, &what);
                    assert!(arrived.is_empty(), "{what}");
                    continue;
                }
                let [arrived] = arrived else {
                    panic!("{what}: {arrived:#?}")
                };
                assert_eq!(arrived["method"], "GET", "{what}");
                let (path, parameters) = parameters(arrived);
                assert_eq!(path, arrived["route"], "{what}");
                assert_eq!(parameters, [(name.to_owned(), text)], "{what}");
                assert!(arrived["headers"].get("x-injected").is_none());
            }
        }
    }
    assert_eq!(checked, 7 * hostile().len());
}

#[tokio::test]
async fn a_name_arrives_in_the_body_and_changes_nothing_else_there() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, token) = (served.client(), served.token("admin", &["admin"]));
    let mut checked = 0;
    for method in methods() {
        let id = "0a0a0a0a-0000-4000-8000-000000000000";
        let mut request = client.request(&method, id);
        if !request.has_field_by_name("name") {
            continue;
        }
        let mut shape: Option<Json> = None;
        for name in hostile() {
            let before = requests(served.site()).len();
            request.set_field_by_name("name", Value::String(name.clone()));
            let answer = client.call(&method, Some(&token), &request).await;
            let arrived = &requests(served.site())[before..];
            let what = format!("{method} {}", short(&name));
            checked += 1;
            if name.trim().is_empty() || name.len() > 1024 {
                assert_refused(&answer, "name", &what);
                assert!(arrived.is_empty(), "{what}");
                continue;
            }
            let [arrived] = arrived else {
                panic!("{what}: {arrived:#?}")
            };
            assert!(parameters(arrived).1.is_empty(), "{what}");
            let mut body = arrived["body"].clone();
            let attributes = &mut body["data"]["attributes"];
            assert_eq!(attributes["name"].take(), Json::String(name), "{what}");
            // but for the name, the body is the same for every name
            assert_eq!(*shape.get_or_insert_with(|| body.clone()), body, "{what}");
        }
    }
    assert_eq!(checked, 7 * hostile().len());
}
