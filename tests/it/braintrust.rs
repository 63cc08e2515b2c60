//! Braintrust's API keys and service tokens through the gateway.

mod lists;
mod narrowed;
mod refusals;
mod replacement;
mod walk;

use prost_reflect::{DynamicMessage, Value};
use serde_json::Value as Json;

use crate::support::{
    gateway::{Answer, Client},
    served::{MAIN, Served},
    upstreams::{Place, requests},
    vendors::{BRAINTRUST, SERVICE_ACCOUNT, Simulator},
};

const UPSTREAM: &str = "braintrust/main";

const TOKENS: &str = "/v1/service_token";

/// A gateway before one instance.
async fn served(policy: &str) -> Served {
    Served::start(policy, vec![Place::new(&BRAINTRUST, MAIN)], "info").await
}

fn instance(served: &Served) -> &dyn Simulator {
    served.upstreams.at(UPSTREAM)
}

/// What an instance has received: each request's method and path.
fn received(served: &Served) -> Vec<String> {
    let requests = requests(instance(served)).into_iter();
    let text = |it: &Json, member: &str| it[member].as_str().unwrap().to_owned();
    requests
        .map(|it| format!("{} {}", text(&it, "method"), text(&it, "path")))
        .collect()
}

/// How often an instance has received a request of this method.
fn count(served: &Served, method: &str) -> usize {
    let received = received(served).into_iter();
    received.filter(|it| it.starts_with(method)).count()
}

/// Somebody who calls.
struct Caller {
    client: Client,
    token: String,
}

impl Caller {
    fn new(served: &Served, subject: &str, roles: &[&str]) -> Self {
        Self {
            client: served.client(),
            token: served.token(subject, roles),
        }
    }

    /// Calls a method with these fields.
    async fn call(&self, rpc: &str, fields: &[(&str, Value)]) -> Answer {
        let service = match rpc.contains("ApiKey") {
            true => "ApiKeyService",
            false => "ServiceTokenService",
        };
        let method = format!("keygate.braintrust.v1.{service}/{rpc}");
        let mut request = DynamicMessage::new(self.client.method(&method).input());
        for (field, value) in fields {
            request.set_field_by_name(field, value.clone());
        }
        self.client.call(&method, Some(&self.token), &request).await
    }

    /// Makes a service token, or one in the place of another.
    async fn make(&self, rpc: &str, name: &str) -> Answer {
        let account = text(SERVICE_ACCOUNT);
        let fields = [("name", text(name)), ("service_account_id", account)];
        self.call(rpc, &fields).await
    }

    async fn create(&self, name: &str) -> Answer {
        self.make("CreateServiceToken", name).await
    }

    async fn replace(&self, name: &str) -> Answer {
        self.make("ReplaceServiceToken", name).await
    }

    async fn get(&self, id: &str) -> Answer {
        let fields = [("service_token_id", text(id))];
        self.call("GetServiceToken", &fields).await
    }

    async fn delete(&self, id: &str) -> Answer {
        let fields = [("service_token_id", text(id))];
        self.call("DeleteServiceToken", &fields).await
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[track_caller]
fn refused(answer: &Answer, code: &str, reason: &str) {
    assert_eq!((answer.code(), answer.reason().as_str()), (code, reason));
}

#[track_caller]
fn denied(answer: &Answer) {
    refused(answer, "PERMISSION_DENIED", "POLICY_DENIED");
}

/// The names of the fields that are set in a message.
fn set(message: &DynamicMessage) -> Vec<String> {
    let set = message.fields();
    set.map(|(field, _)| field.name().to_owned()).collect()
}
