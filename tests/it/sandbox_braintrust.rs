//! The simulated Braintrust instance, as programs outside see it.

mod credentials;
mod lists;
mod official_client;
mod tokens;

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::braintrust::{Instance, Options},
    tasks::Tasks,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{
    clock::{self, Hand},
    http::Http,
};

/// An instance, and a client that presents its master token.
pub(crate) struct Sandbox {
    pub(crate) instance: Instance,
    pub(crate) http: Http,
    pub(crate) hand: Hand,
    tasks: Tasks,
}

impl Sandbox {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let (clock, hand) = clock::manual();
        Self::start_at(options, clock, hand).await
    }

    async fn start_at(options: Options, clock: Clock, hand: Hand) -> Self {
        let tasks = Tasks::new();
        let instance = Instance::start(options, clock, Random::system(), &tasks).await;
        let instance = instance.unwrap();
        let http = client(&instance, instance.token().expose_secret());
        Self {
            instance,
            http,
            hand,
            tasks,
        }
    }

    /// The names in a list.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        let answer = self.http.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let document = answer.json();
        let objects = document["objects"].as_array().unwrap();
        let name = |object: &Value| object["name"].as_str().unwrap().to_owned();
        objects.iter().map(name).collect()
    }

    /// The body that asks for a service token.
    pub(crate) fn wanted(&self, name: &str) -> Value {
        json!({ "name": name, "service_account_id": self.instance.service_account_id() })
    }

    /// Creates a service token.
    pub(crate) async fn token(&self, name: &str) -> Value {
        let answer = self
            .http
            .post("/v1/service_token", &self.wanted(name))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// A client of the instance that presents this credential.
pub(crate) fn client(instance: &Instance, credential: &str) -> Http {
    let headers = vec![("authorization", format!("Bearer {credential}"))];
    Http::new(instance.base_url(), headers)
}

/// A member's text.
pub(crate) fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap()
}
