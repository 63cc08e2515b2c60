//! What the policy permits, denies and tells, through the served port.

mod ceilings;
mod deny;
mod explained;
mod limits;
mod revoked;
mod tested;

use std::fs;

use prost_reflect::DynamicMessage;
use serde_json::Value as Json;
use tonic::Request;

use crate::support::{
    gateway::{Answer, Client, contract},
    message,
    served::{Served, resource, resources, text},
    upstreams::requests,
};

const WHO_AM_I: &str = "AccessService/WhoAmI";

/// Somebody who calls.
#[derive(Clone)]
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

    /// A request for an RPC, by as much of its name as only one has, with these
    /// fields beside what every request has.
    fn request(&self, rpc: &str, fields: &Json) -> (&'static str, DynamicMessage) {
        let method = &contract().find(rpc).unwrap().method;
        let mut request = self.client.request(method, "");
        message::set(&mut request, fields);
        (method, request)
    }

    async fn call(&self, rpc: &str, fields: Json) -> Answer {
        let (method, request) = self.request(rpc, &fields);
        self.client.call(method, Some(&self.token), &request).await
    }

    /// The same call, ready to be sent.
    fn ready(&self, rpc: &str, fields: &Json) -> (&'static str, Request<bytes::Bytes>) {
        use prost::Message as _;
        let (method, request) = self.request(rpc, fields);
        let mut call = Request::new(request.encode_to_vec().into());
        let token = format!("Bearer {}", self.token).parse().unwrap();
        call.metadata_mut().insert("authorization", token);
        (method, call)
    }

    /// Makes something; its id.
    async fn make(&self, rpc: &str, fields: Json) -> String {
        text(&resource(self.call(rpc, fields).await), "id")
    }

    /// The names in a list.
    async fn names(&self, rpc: &str) -> Vec<String> {
        let all = resources(self.call(rpc, serde_json::json!({})).await);
        all.iter().map(|it| text(it, "name")).collect()
    }
}

/// The rule by which a call was denied.
#[track_caller]
fn rule(answer: &Answer) -> String {
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        ("PERMISSION_DENIED", "POLICY_DENIED")
    );
    let details = answer.details().unwrap();
    details.error_info().unwrap().metadata["rule"].clone()
}

/// The requests that Datadog's organization received while this was done: their
/// methods.
async fn asked<T>(served: &Served, doing: impl Future<Output = T>) -> (T, Vec<String>) {
    let before = requests(served.site()).len();
    let done = doing.await;
    let new = requests(served.site()).split_off(before);
    let verb = |it: &Json| it["method"].as_str().unwrap().to_owned();
    (done, new.iter().map(verb).collect())
}

/// Replaces the policy's file as a whole, as careful programs do.
fn replace(served: &Served, policy: &str) {
    let new = served.setup.write("policy.toml.new", policy);
    fs::rename(new, served.setup.folder.path().join("policy.toml")).unwrap();
}
