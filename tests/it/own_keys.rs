//! The gateway's own keys, which nobody gets at through it: whoever calls, whatever
//! the call, by whichever of their names.

mod denied;
mod found;
mod looked_through;
mod renewed;

use std::collections::BTreeSet;

use keygate::contract::Effect;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value as Json;

use crate::support::{
    gateway::{Answer, Client, contract},
    served::{MAIN, SANDBOX_POLICY, Served, text},
    upstreams::Place,
    vendors::{self, Vendor},
};

const UPSTREAMS: &str = "keygate.access.v1.AccessService/ListUpstreams";

/// A token of Coveo's that is an API key's value: only such a one has an id.
const COVEO_KEY: &str = "xx0a0b0c0d-0000-4000-8000-000000000001";

/// One place of each vendor. All the gateway's credentials there have an id.
fn places() -> Vec<Place> {
    let all = Place::everywhere(MAIN).into_iter();
    all.map(|place| match place.vendor.name {
        "coveo" => place.with_masters(vec![COVEO_KEY.into()]),
        _ => place,
    })
    .collect()
}

async fn serve() -> Served {
    Served::start(SANDBOX_POLICY, places(), "info").await
}

/// The ids of these values in a simulator's state.
fn ids_of(vendor: &Vendor, state: &Json, values: &[SecretString]) -> Vec<String> {
    let lists = vendor.secrets.iter();
    let all = lists.flat_map(|(list, member)| {
        let keys = state[list].as_array().unwrap().iter();
        keys.filter(move |it| {
            let value = it[member].as_str().unwrap();
            values.iter().any(|it| it.expose_secret() == value)
        })
    });
    all.map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A simulator's state, but for what it was asked, and when its keys were used.
fn held(served: &Served, place: &Place) -> Vec<Json> {
    let state = served.upstreams.at(&place.upstream()).state();
    let lists = place.vendor.secrets.iter();
    let keys = lists.flat_map(|(list, _)| state[list].as_array().unwrap().clone());
    keys.map(|mut it| {
        for member in ["last_used", "lastUsedDate"] {
            it.as_object_mut().unwrap().remove(member);
        }
        it
    })
    .collect()
}

/// The methods of a vendor that name keys by an id, or by a value that is it, and
/// the field that does.
fn by_id(vendor: &Vendor) -> Vec<(String, &'static vendors::Key)> {
    let all = contract().operations().iter();
    let own = all.filter(|it| it.route.is_some() && it.provider() == vendor.name);
    own.filter_map(|it| {
        let key = vendors::key(&crate::support::gateway::method(&it.method))?;
        Some((it.method.clone(), key))
    })
    .collect()
}

/// Whether a method changes anything.
fn changes(method: &str) -> bool {
    contract().operation(method).unwrap().effect.is_mutation()
}

fn lists(vendor: &Vendor) -> Vec<String> {
    let all = contract().operations().iter();
    let own = all.filter(|it| it.route.is_some() && it.provider() == vendor.name);
    let reads = own.filter(|it| matches!(it.effect, Effect::Read | Effect::Reveal));
    reads
        .filter(|it| it.rpc.starts_with("List") || it.rpc.starts_with("Stream"))
        .map(|it| it.method.clone())
        .collect()
}

/// The methods that make what has an id, and what that is: `ApiKeys`.
fn makers(vendor: &Vendor) -> Vec<(String, String)> {
    let all = contract().operations().iter();
    let own = all.filter(|it| it.route.is_some() && it.provider() == vendor.name);
    let makers = own.filter_map(|it| {
        // of v1 a value is all that is known
        let kind = it.rpc.strip_prefix("Create")?;
        let has_id = !it.service.starts_with("keygate.datadog.v1.");
        has_id.then(|| (it.method.clone(), format!("{kind}s")))
    });
    makers.collect()
}

/// Somebody who calls.
struct Caller {
    client: Client,
    token: String,
}

impl Caller {
    fn admin(served: &Served) -> Self {
        Self {
            client: served.client(),
            token: served.token("admin", &["admin"]),
        }
    }

    async fn call(&self, method: &str, id: &str) -> Answer {
        let request = self.client.request_at(method, id, MAIN);
        self.send(method, &request).await
    }

    async fn send(&self, method: &str, request: &DynamicMessage) -> Answer {
        self.client.call(method, Some(&self.token), request).await
    }

    /// Why the gateway does not know its keys at an upstream, as it tells callers.
    async fn fault(&self, upstream: &str) -> String {
        let request = self.client.request(UPSTREAMS, "");
        let told = self.send(UPSTREAMS, &request).await.ok();
        let all = told.get_field_by_name("upstreams").unwrap();
        let mut all = all
            .as_list()
            .unwrap()
            .iter()
            .map(|it| it.as_message().unwrap());
        text(
            all.find(|it| text(it, "name") == upstream).unwrap(),
            "own_keys_fault",
        )
    }

    /// Waits until it knows them.
    async fn knows(&self, upstream: &str) {
        let known = async { while !self.fault(upstream).await.is_empty() {} };
        let known = tokio::time::timeout(crate::support::gateway::PATIENCE, known).await;
        known.unwrap_or_else(|_| panic!("it never knows its keys at {upstream}"));
    }
}

/// The ids in whatever a list or stream tells.
fn listed(answer: Answer) -> BTreeSet<String> {
    answer.result.unwrap();
    let mut ids = BTreeSet::new();
    for message in answer.messages {
        for (field, value) in message.fields() {
            let keys = match value {
                Value::List(all) if field.name().ends_with('s') => all.clone(),
                one @ Value::Message(_) => vec![one.clone()],
                _ => continue,
            };
            for key in keys {
                let Value::Message(key) = key else { continue };
                if key.descriptor().get_field_by_name("id").is_some() {
                    ids.insert(text(&key, "id"));
                }
            }
        }
    }
    ids
}

#[track_caller]
fn assert_denied(answer: &Answer, what: &str) {
    let told = (answer.code(), answer.reason());
    assert_eq!(
        told,
        ("PERMISSION_DENIED", "POLICY_DENIED".to_owned()),
        "{what}"
    );
    let info = answer.details().unwrap().error_info().unwrap().clone();
    assert_eq!(info.metadata["rule"], RULE, "{what}");
}

/// Why.
const RULE: &str = "the gateway's own credentials are out of reach";
