//! Datadog's API v1 through the gateway, where a key's value is its id.

mod narrowed;
mod secrets;
mod switched_off;
mod walk;

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use crate::support::{
    gateway::{Answer, Client},
    served::{resource, text},
};

/// A kind of key.
#[derive(Clone, Copy)]
struct Kind {
    /// `ApiKey`
    name: &'static str,
    /// The field of a list's answer.
    list: &'static str,
    /// The field that holds the value.
    value: &'static str,
    /// As the trail calls it.
    recorded: &'static str,
}

const API_KEY: Kind = Kind {
    name: "ApiKey",
    list: "api_keys",
    value: "key",
    recorded: "api_key",
};

const APPLICATION_KEY: Kind = Kind {
    name: "ApplicationKey",
    list: "application_keys",
    value: "hash",
    recorded: "application_key",
};

const KINDS: [Kind; 2] = [API_KEY, APPLICATION_KEY];

/// Everything that can be done to a key, in an order that works.
const VERBS: [&str; 5] = ["Create", "List", "Get", "Update", "Delete"];

const US1: i32 = 1;

impl Kind {
    /// `keygate.datadog.v1.ApiKeyService/GetApiKey`
    fn method(&self, verb: &str) -> String {
        let (name, plural) = (self.name, if verb == "List" { "s" } else { "" });
        format!("keygate.datadog.v1.{name}Service/{verb}{name}{plural}")
    }

    /// The same in v2, for one's own application keys.
    fn v2(&self, verb: &str) -> String {
        match self.name {
            "ApiKey" => format!("keygate.datadog.v2.ApiKeyService/{verb}ApiKey"),
            name => format!("keygate.datadog.v2.CurrentUser{name}Service/{verb}CurrentUser{name}"),
        }
    }

    /// The value, if it is shown, and the name of a key.
    fn shown(&self, key: &DynamicMessage) -> (Option<String>, String) {
        let value = key.has_field_by_name(self.value);
        (value.then(|| text(key, self.value)), text(key, "name"))
    }

    /// The value and the name of the one key of an answer.
    #[track_caller]
    fn one(&self, answer: Answer) -> (Option<String>, String) {
        self.shown(&resource(answer))
    }

    /// The value of a key that an answer shows.
    #[track_caller]
    fn made(&self, answer: Answer) -> String {
        self.one(answer).0.unwrap()
    }

    /// The values and names of the keys of a list.
    #[track_caller]
    fn all(&self, answer: Answer) -> Vec<(Option<String>, String)> {
        let message = answer.ok();
        let keys = message.get_field_by_name(self.list).unwrap();
        let keys = keys.as_list().unwrap().iter();
        keys.map(|it| self.shown(it.as_message().unwrap()))
            .collect()
    }
}

/// Somebody who calls.
struct Caller {
    client: Client,
    token: String,
    site: i32,
}

impl Caller {
    fn new(client: Client, token: impl Into<String>) -> Self {
        Self {
            client,
            token: token.into(),
            site: US1,
        }
    }

    /// Calls with a key's value and a name, where the method takes them.
    async fn call(&self, kind: Kind, verb: &str, key: &str, name: &str) -> Answer {
        let method = kind.method(verb);
        let mut request = DynamicMessage::new(self.client.method(&method).input());
        request.set_field_by_name("site", Value::EnumNumber(self.site));
        for (field, text) in [("key", key), ("name", name)] {
            if request.descriptor().get_field_by_name(field).is_some() {
                request.set_field_by_name(field, Value::String(text.to_owned()));
            }
        }
        self.client.call(&method, Some(&self.token), &request).await
    }

    async fn list(&self, kind: Kind) -> Answer {
        self.call(kind, "List", "", "").await
    }

    async fn create(&self, kind: Kind, name: &str) -> Answer {
        self.call(kind, "Create", "", name).await
    }

    async fn get(&self, kind: Kind, key: &str) -> Answer {
        self.call(kind, "Get", key, "").await
    }

    async fn update(&self, kind: Kind, key: &str, name: &str) -> Answer {
        self.call(kind, "Update", key, name).await
    }

    async fn delete(&self, kind: Kind, key: &str) -> Answer {
        self.call(kind, "Delete", key, "").await
    }

    /// The same key through v2: makes one, and tells its id and its value.
    async fn create_v2(&self, kind: Kind, name: &str) -> (String, String) {
        let method = &kind.v2("Create");
        let mut request = self.client.request(method, "");
        request.set_field_by_name("name", Value::String(name.to_owned()));
        let made = self.client.call(method, Some(&self.token), &request).await;
        let made = resource(made);
        (text(&made, "id"), text(&made, "key"))
    }
}

#[track_caller]
fn refused(answer: &Answer, code: &str, reason: &str) {
    assert_eq!((answer.code(), answer.reason().as_str()), (code, reason));
}
