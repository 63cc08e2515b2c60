//! `keygate serve` with a policy of the test's own, before vendors that run in
//! the test.

use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage as _};
use serde_json::Value as Json;

use super::{
    gateway::{Answer, Client, records},
    program::{all_told, keygate},
    serve::{Gateway, Setup},
    upstreams::{Place, Upstreams},
    vendors::{self, Simulator, Source},
};

/// A policy whose role `admin` may do everything.
pub(crate) const SANDBOX_POLICY: &str = include_str!("../../../src/sandbox/policy.toml");

/// The name of every vendor's place, where a test does not care.
pub(crate) const MAIN: &str = "main";

/// A gateway, its vendors and its issuer. They end when it is dropped.
pub(crate) struct Served {
    pub(crate) setup: Setup,
    pub(crate) gateway: Gateway,
    pub(crate) upstreams: Upstreams,
}

impl Served {
    /// One place of each vendor, and this policy.
    pub(crate) async fn with_policy(policy: &str) -> Self {
        Self::start(policy, Place::everywhere(MAIN), "info").await
    }

    /// Starts everything and waits until it serves.
    pub(crate) async fn start(policy: &str, places: Vec<Place>, log: &str) -> Self {
        let more = format!("[log]\nlevel = \"{log}\"\n");
        Self::configured(policy, places, "", &more).await
    }

    /// The same with further settings of `[server]`, and further sections.
    pub(crate) async fn configured(
        policy: &str,
        places: Vec<Place>,
        server: &str,
        more: &str,
    ) -> Self {
        let upstreams = Upstreams::start(places).await;
        let setup = Setup::new(server, &format!("{more}{}", upstreams.config)).await;
        setup.write("policy.toml", policy);
        Self {
            gateway: setup.serve().await,
            setup,
            upstreams,
        }
    }

    /// That the trail proves what it holds, beside the records too.
    #[track_caller]
    pub(crate) fn verify(&self) {
        let folder = self.setup.folder.path();
        let run = |arguments: &[&str]| {
            let mut command = keygate([&["audit"], arguments].concat());
            let output = command.current_dir(folder).output().unwrap();
            let text = all_told(&output);
            assert!(output.status.success(), "{text}");
            text
        };
        let keys = run(&["key", "--signing-key", "signing.pem"]);
        self.setup.write("keys", &keys);
        run(&["verify", "--config", "keygate.toml", "--key", "keys"]);
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.gateway.grpc)
    }

    /// A token of a subject with these roles.
    pub(crate) fn token(&self, subject: &str, roles: &[&str]) -> String {
        self.setup.token_of(subject, roles)
    }

    /// The simulator of Datadog's organization.
    pub(crate) fn site(&self) -> &dyn Simulator {
        self.upstreams.at("datadog/us1/main")
    }

    /// The records of the trail, oldest first.
    pub(crate) fn records(&self) -> Vec<Json> {
        records(&self.setup.config(), &[])
    }
}

/// What names something that a method can be called on, at a place of this name;
/// empty if it is called on nothing.
pub(crate) async fn target(client: &Client, method: &str, token: &str, place: &str) -> String {
    let Some(key) = vendors::key(&client.method(method)) else {
        return String::new();
    };
    match key.source {
        Source::Made(maker) => {
            let request = client.request_at(maker, "", place);
            let made = client.call(maker, Some(token), &request).await;
            text(&resource(made), key.member)
        }
        Source::Listed(list) => {
            let request = client.request_at(list, "", place);
            let there = client.call(list, Some(token), &request).await;
            text(&resources(there)[0], key.member)
        }
    }
}

/// The key or token that an answer holds.
#[track_caller]
pub(crate) fn resource(answer: Answer) -> DynamicMessage {
    let names = [
        "api_key",
        "application_key",
        "access_token",
        "service_token",
    ];
    let message = answer.ok();
    let name = names.into_iter().find(|it| message.has_field_by_name(it));
    let value = message.get_field_by_name(name.unwrap()).unwrap();
    value.as_message().unwrap().clone()
}

/// The keys or tokens that a list's answer holds.
#[track_caller]
pub(crate) fn resources(answer: Answer) -> Vec<DynamicMessage> {
    let message = answer.ok();
    let descriptor = message.descriptor();
    let lists = descriptor.fields().filter(FieldDescriptor::is_list);
    let first = lists.min_by_key(FieldDescriptor::number);
    let all = message.get_field(&first.unwrap()).into_owned();
    let all = all.as_list().unwrap().iter();
    all.map(|it| it.as_message().unwrap().clone()).collect()
}

/// A text in a message.
#[track_caller]
pub(crate) fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field).unwrap();
    value.as_str().unwrap().to_owned()
}

/// The id of the key or token that an answer holds.
#[track_caller]
pub(crate) fn id(answer: Answer) -> String {
    text(&resource(answer), "id")
}
