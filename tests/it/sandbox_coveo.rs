//! The simulated Coveo organization, as programs outside see it.

mod keys;
mod official_client;
mod refusals;
mod statuses;

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::coveo::{Options, Organization},
    tasks::Tasks,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::support::{
    clock::{self, Hand},
    http::{Answer, Http},
};

/// An organization, and a client that presents its master token.
struct Sandbox {
    organization: Organization,
    http: Http,
    hand: Hand,
    tasks: Tasks,
}

impl Sandbox {
    async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    async fn start_with(options: Options) -> Self {
        let (clock, hand) = clock::manual();
        Self::start_at(options, clock, hand).await
    }

    async fn start_at(options: Options, clock: Clock, hand: Hand) -> Self {
        let tasks = Tasks::new();
        let organization = Organization::start(options, clock, Random::system(), &tasks).await;
        let organization = organization.unwrap();
        let http = client(&organization, organization.token().expose_secret());
        Self {
            organization,
            http,
            hand,
            tasks,
        }
    }

    /// A path below the organization's API keys.
    fn path(&self, rest: &str) -> String {
        let organization = self.organization.organization_id();
        format!("/rest/organizations/{organization}/apikeys{rest}")
    }

    /// Creates a key and returns it.
    async fn key(&self, body: Value) -> Value {
        let answer = self.http.post(&self.path(""), &body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()
    }

    /// Reads a key.
    async fn read(&self, id: &str) -> Value {
        let answer = self.http.get(&self.path(&format!("/{id}"))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Asks for something that has no answer but that it was done.
    async fn done(&self, path: &str, body: Option<&Value>) {
        let answer = self.put(path, body).await;
        assert_eq!(answer.status, 204, "{path}: {answer:?}");
        assert!(answer.body.is_empty());
    }

    async fn put(&self, path: &str, body: Option<&Value>) -> Answer {
        self.http
            .send(http::Method::PUT, &self.path(path), body)
            .await
    }

    /// The names in a list.
    async fn names(&self, query: &str) -> Vec<String> {
        let answer = self.http.get(&self.path(query)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let document = answer.json();
        let keys = document.as_array().unwrap();
        let name = |key: &Value| key["displayName"].as_str().unwrap().to_owned();
        keys.iter().map(name).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// A client of the organization that presents this token.
fn client(organization: &Organization, token: &str) -> Http {
    let headers = vec![("authorization", format!("Bearer {token}"))];
    Http::new(organization.base_url(), headers)
}

/// A key's id.
fn id(key: &Value) -> &str {
    key["id"].as_str().unwrap()
}
