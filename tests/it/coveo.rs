//! Coveo's API keys through the gateway.

mod answers;
mod bulk;
mod ceilings;
mod refusals;
mod regions;
mod update;
mod walk;

use bytes::Bytes;
use keygate::contract::proto::keygate::coveo::v1::{
    ActivateApiKeyRequest, ActivateApiKeyResponse, ApiKey, BulkActivateApiKeysRequest,
    BulkActivateApiKeysResponse, BulkDeleteApiKeysRequest, BulkDeleteApiKeysResponse,
    BulkDisableApiKeysRequest, BulkDisableApiKeysResponse, CreateApiKeyRequest,
    CreateApiKeyResponse, DeleteApiKeyRequest, DeleteApiKeyResponse, DisableApiKeyRequest,
    DisableApiKeyResponse, DuplicateApiKeyRequest, DuplicateApiKeyResponse, ExtendApiKeyRequest,
    ExtendApiKeyResponse, GetApiKeyRequest, GetApiKeyResponse, ListApiKeysRequest,
    ListApiKeysResponse, Region, UpdateApiKeyRequest, UpdateApiKeyResponse, api_key::Secret,
};
use prost::Message;
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;
use tonic::Request;

use crate::support::{
    gateway::{Answer, Client},
    http::Http,
    served::{MAIN, Served},
    upstreams::{Place, requests},
    vendors::{COVEO, Simulator},
};

/// A request to an organization.
trait Asked: Message {
    const METHOD: &'static str;
    type Answer: Message + Default;

    fn place(&mut self, organization_id: &str, region: Region);
}

macro_rules! asked {
    ($($rpc:literal: $request:ident => $response:ident;)*) => {$(
        impl Asked for $request {
            const METHOD: &'static str = concat!("keygate.coveo.v1.ApiKeyService/", $rpc);
            type Answer = $response;

            fn place(&mut self, organization_id: &str, region: Region) {
                self.organization_id = organization_id.to_owned();
                self.set_region(region);
            }
        }
    )*};
}

asked! {
    "ListApiKeys": ListApiKeysRequest => ListApiKeysResponse;
    "CreateApiKey": CreateApiKeyRequest => CreateApiKeyResponse;
    "GetApiKey": GetApiKeyRequest => GetApiKeyResponse;
    "UpdateApiKey": UpdateApiKeyRequest => UpdateApiKeyResponse;
    "ActivateApiKey": ActivateApiKeyRequest => ActivateApiKeyResponse;
    "DisableApiKey": DisableApiKeyRequest => DisableApiKeyResponse;
    "ExtendApiKey": ExtendApiKeyRequest => ExtendApiKeyResponse;
    "DuplicateApiKey": DuplicateApiKeyRequest => DuplicateApiKeyResponse;
    "DeleteApiKey": DeleteApiKeyRequest => DeleteApiKeyResponse;
    "BulkDeleteApiKeys": BulkDeleteApiKeysRequest => BulkDeleteApiKeysResponse;
    "BulkActivateApiKeys": BulkActivateApiKeysRequest => BulkActivateApiKeysResponse;
    "BulkDisableApiKeys": BulkDisableApiKeysRequest => BulkDisableApiKeysResponse;
}

/// Somebody who calls about an organization.
#[derive(Clone)]
struct Caller {
    client: Client,
    token: String,
    organization_id: String,
    region: Region,
}

impl Caller {
    /// Calls, whatever comes of it.
    async fn call<Q: Asked>(&self, mut request: Q) -> Answer {
        request.place(&self.organization_id, self.region);
        let mut call = Request::new(Bytes::from(request.encode_to_vec()));
        let token = format!("Bearer {}", self.token).parse().unwrap();
        call.metadata_mut().insert("authorization", token);
        self.client.send(Q::METHOD, call).await
    }

    /// Calls, and expects an answer.
    async fn ask<Q: Asked>(&self, request: Q) -> Q::Answer {
        self.call(request).await.ok().transcode_to().unwrap()
    }

    /// Calls, and expects to be refused for this reason.
    async fn refused<Q: Asked>(&self, request: Q, reason: &str) -> Answer {
        let answer = self.call(request).await;
        assert_eq!(answer.reason(), reason, "{}", Q::METHOD);
        answer
    }

    /// Calls, and expects the policy to say no.
    async fn denied<Q: Asked>(&self, request: Q) {
        let answer = self.refused(request, "POLICY_DENIED").await;
        assert_eq!(answer.code(), "PERMISSION_DENIED");
    }

    /// Makes a key of this name.
    async fn create(&self, name: &str) -> ApiKey {
        let request = CreateApiKeyRequest {
            display_name: Some(name.to_owned()),
            ..CreateApiKeyRequest::default()
        };
        self.ask(request).await.api_key.unwrap()
    }

    /// Reads a key.
    async fn get(&self, id: &str) -> ApiKey {
        self.ask(get(id)).await.api_key.unwrap()
    }

    /// Reads all keys.
    async fn list(&self) -> Vec<ApiKey> {
        self.ask(ListApiKeysRequest::default()).await.api_keys
    }
}

fn get(id: &str) -> GetApiKeyRequest {
    GetApiKeyRequest {
        api_key_id: id.to_owned(),
        ..GetApiKeyRequest::default()
    }
}

/// The value of a key, where an answer holds it.
fn value(key: &ApiKey) -> Option<&str> {
    match key.secret.as_ref()? {
        Secret::Value(value) => Some(value),
        Secret::MaskedValue(_) => None,
    }
}

/// The names of keys.
fn names(keys: &[ApiKey]) -> Vec<&str> {
    let names = keys.iter().map(|it| it.display_name.as_deref());
    names.map(Option::unwrap).collect()
}

/// A gateway before one organization.
struct Bench(Served);

impl Bench {
    async fn start(policy: &str) -> Self {
        let places = vec![Place::new(&COVEO, MAIN)];
        Self(Served::start(policy, places, "info").await)
    }

    /// A subject with a role.
    fn caller(&self, subject: &str, role: &str) -> Caller {
        Caller {
            client: self.0.client(),
            token: self.0.token(subject, &[role]),
            organization_id: MAIN.to_owned(),
            region: Region::Unspecified,
        }
    }

    fn simulator(&self) -> &dyn Simulator {
        self.0.upstreams.at("coveo/us/main")
    }

    /// A client of upstream itself, with the master's token, and the path of the
    /// organization's keys.
    fn upstream(&self) -> (Http, String) {
        let [token] = self.simulator().masters().try_into().unwrap();
        let token = format!("Bearer {}", token.expose_secret());
        let http = Http::new(self.simulator().base_url(), vec![("authorization", token)]);
        (http, format!("/rest/organizations/{MAIN}/apikeys"))
    }

    /// The key of an id as upstream has it.
    fn held(&self, id: &str) -> Json {
        let mut state = self.simulator().state();
        let keys = state["api_keys"].as_array_mut().unwrap().iter_mut();
        let mut keys = keys.filter(|it| it["id"] == id);
        keys.next().map(Json::take).unwrap_or_default()
    }

    /// The requests that upstream received while this was done: `PUT /activate`.
    async fn asked<T>(&self, doing: impl Future<Output = T>) -> (T, Vec<String>) {
        let before = requests(self.simulator()).len();
        let done = doing.await;
        let new = requests(self.simulator()).split_off(before);
        let asked = new.iter().map(|it| {
            let route = it["route"].as_str().unwrap();
            let route = route.strip_prefix("/rest/organizations/{organization_id}/apikeys");
            format!("{} {}", it["method"].as_str().unwrap(), route.unwrap())
        });
        (done, asked.collect())
    }
}
