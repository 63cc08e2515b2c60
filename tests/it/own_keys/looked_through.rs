//! Where a key is not told at once, it is looked for page by page, and told from
//! others that look alike.

use std::net::Ipv4Addr;

use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    http::StatusCode,
    routing::get,
};
use keygate::tasks::Tasks;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Caller, assert_denied};
use crate::support::{
    served::{MAIN, SANDBOX_POLICY, Served},
    upstreams::Place,
    vendors::{BRAINTRUST, DATADOG},
};

const API_KEY: &str = "0123456789abcdef0123456789abcdef";
/// A token that stands in an application key's place.
const APP_KEY: &str = "ddpat_0123456789ABCDEFGHIJKL_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const TOKEN: &str = "sk-0123456789abcdefghijklmnopqrstuvwxyz0123456789XYZ1";

fn key(id: &str, shown: Value) -> Value {
    json!({ "id": id, "attributes": shown })
}

fn page(query: Option<String>) -> usize {
    let query = query.unwrap_or_default();
    query.rsplit('=').next().unwrap().parse().unwrap()
}

/// A Datadog that does not tell which API key it is asked with.
fn datadog() -> Router {
    let list = async |RawQuery(query): RawQuery| {
        let others = (0..100).map(|it| key(&format!("k{it}"), json!({ "last4": "0000" })));
        let data = match page(query) {
            0 => others.collect(),
            1 => ["like", "own"]
                .map(|id| key(id, json!({ "last4": "cdef" })))
                .into(),
            _ => Vec::new(),
        };
        Json(json!({ "data": data }))
    };
    let one = async |Path(id): Path<String>| {
        let value = match &*id {
            "own" => API_KEY,
            _ => "ffffffffffffffffffffffffffffcdef",
        };
        Json(json!({ "data": key(&id, json!({ "key": value })) }))
    };
    let gone = async || StatusCode::NO_CONTENT;
    let none = async || Json(json!({ "data": [] }));
    let tokens = async || {
        let all = [
            ("other", "LKJIHGFEDCBA9876543210"),
            ("token", &APP_KEY[6..28]),
        ];
        let all = all.map(|(id, public)| key(id, json!({ "public_portion": public })));
        Json(json!({ "data": all }))
    };
    Router::new()
        .route("/api/v2/api_keys", get(list))
        .route("/api/v2/api_keys/{id}", get(one).delete(gone))
        .route("/api/v2/current_user/application_keys", get(none))
        .route("/api/v2/application_keys", get(none))
        .route("/api/v2/personal_access_tokens", get(tokens))
        .route(
            "/api/v2/personal_access_tokens/{id}",
            axum::routing::delete(gone),
        )
}

/// A Braintrust that a user's API key is presented to.
fn braintrust() -> Router {
    let object = |id: String, preview: &str| json!({ "id": id, "preview_name": preview });
    let list = async move |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        let objects: Vec<_> = match query.ends_with("starting_after=k99") {
            false => (0..100)
                .map(|it| object(format!("k{it}"), "sk-****abcd"))
                .collect(),
            true => [("like", "bt-st-****XYZ1"), ("own", "sk-****XYZ1")]
                .map(|(id, preview)| object(id.to_owned(), preview))
                .into(),
        };
        Json(json!({ "objects": objects }))
    };
    let deleted =
        async |Path(id): Path<String>| Json(json!({ "id": id, "name": "n", "preview_name": "p" }));
    Router::new()
        .route("/v1/service_token", get(async || StatusCode::FORBIDDEN))
        .route("/v1/api_key", get(list))
        .route("/v1/api_key/{id}", axum::routing::delete(deleted))
}

async fn start(routes: Router, tasks: &Tasks) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn_background(async move { axum::serve(listener, routes).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_gateways_own_are_out_of_reach() {
    let tasks = Tasks::new();
    let datadog = start(datadog(), &tasks).await;
    let braintrust = start(braintrust(), &tasks).await;
    let places = vec![
        Place::new(&DATADOG, MAIN)
            .elsewhere(&datadog)
            .with_masters(vec![API_KEY.into(), APP_KEY.into()]),
        Place::new(&BRAINTRUST, MAIN)
            .elsewhere(&braintrust)
            .with_masters(vec![TOKEN.into()]),
    ];
    let served = Served::start(SANDBOX_POLICY, places, "info").await;
    let admin = Caller::admin(&served);
    for upstream in ["datadog/us1/main", "braintrust/main"] {
        assert_eq!(admin.fault(upstream).await, "");
    }
    for (method, own, other) in [
        ("datadog.v2.ApiKeyService/DeleteApiKey", "own", "like"),
        (
            "datadog.v2.PersonalAccessTokenService/RevokePersonalAccessToken",
            "token",
            "other",
        ),
        ("braintrust.v1.ApiKeyService/DeleteApiKey", "own", "like"),
    ] {
        let method = format!("keygate.{method}");
        assert_denied(&admin.call(&method, own).await, &method);
        let answer = admin.call(&method, other).await;
        assert_eq!(answer.code(), "OK", "{method}: {}", answer.reason());
    }
    tasks.stop();
}
