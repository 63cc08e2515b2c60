//! The simulated Datadog site, as programs outside see it.

mod credentials;
mod keys;
mod lists;
mod official_client;
mod service_accounts;
mod v1;

use keygate::{
    clock::Clock,
    random::Random,
    sandbox::datadog::{Options, Site},
    tasks::Tasks,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{
    clock::{self, Hand},
    http::Http,
};

/// A site, and a client that presents its master keys.
pub(crate) struct Sandbox {
    pub(crate) site: Site,
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
        let site = Site::start(options, clock, Random::system(), &tasks).await;
        let site = site.unwrap();
        let http = client(&site, site.app_key().expose_secret());
        Self {
            site,
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
        let items = document["data"].as_array().unwrap();
        let name = |item: &Value| item["attributes"]["name"].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    }

    /// Creates an API key and returns its resource.
    pub(crate) async fn api_key(&self, attributes: Value) -> Value {
        let body = json!({ "data": { "type": "api_keys", "attributes": attributes } });
        created(self.http.post("/api/v2/api_keys", &body).await)
    }

    /// Creates an application key and returns its resource.
    pub(crate) async fn application_key(&self, attributes: Value) -> Value {
        let body = json!({ "data": { "type": "application_keys", "attributes": attributes } });
        let path = "/api/v2/current_user/application_keys";
        created(self.http.post(path, &body).await)
    }

    /// Creates a token that lives for 30 days, and returns its resource.
    pub(crate) async fn token(&self, name: &str) -> Value {
        let expires_at = "2099-04-08T16:45:23.208Z";
        let attributes =
            json!({ "name": name, "scopes": ["dashboards_read"], "expires_at": expires_at });
        let body =
            json!({ "data": { "type": "personal_access_tokens", "attributes": attributes } });
        created(
            self.http
                .post("/api/v2/personal_access_tokens", &body)
                .await,
        )
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// A client of the site that presents this application key.
pub(crate) fn client(site: &Site, app_key: &str) -> Http {
    let api_key = site.api_key().expose_secret().to_owned();
    let headers = vec![
        ("dd-api-key", api_key),
        ("dd-application-key", app_key.to_owned()),
    ];
    Http::new(site.base_url(), headers)
}

fn created(answer: crate::support::http::Answer) -> Value {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["data"].take()
}

/// A resource's id.
pub(crate) fn id(resource: &Value) -> &str {
    resource["id"].as_str().unwrap()
}
