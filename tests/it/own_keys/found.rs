//! How the gateway comes to know its own keys, and what goes on until it does.

use serde_json::{Value as Json, json};

use super::{Caller, assert_denied, by_id, changes, ids_of, makers, places};
use crate::support::{
    gateway::Sandbox,
    http::Http,
    serve::{Setup, until},
    served::{MAIN, SANDBOX_POLICY, Served, id},
    upstreams::{Place, Upstreams, inject, requests},
    vendors::{BRAINTRUST, COVEO, DATADOG},
};

const DELETE: &str = "keygate.datadog.v2.ApiKeyService/DeleteApiKey";
const DATADOG_MAIN: &str = "datadog/us1/main";

/// A gateway whose vendors make these faults from the start.
async fn beginning_with(places: Vec<Place>, faults: &[(&str, Json)]) -> Served {
    let upstreams = Upstreams::start(places).await;
    for (place, simulator) in upstreams.all() {
        let own = faults.iter().filter(|it| it.0 == place.vendor.name);
        own.for_each(|(_, rule)| inject(simulator, rule.clone()));
    }
    let setup = Setup::new("", &upstreams.config).await;
    setup.write("policy.toml", SANDBOX_POLICY);
    Served {
        gateway: setup.serve().await,
        setup,
        upstreams,
    }
}

/// What the gateway asks for to find its keys.
const LOOKS: [(&str, &str); 3] = [
    ("datadog", "GET /api/v2/validate"),
    ("braintrust", "GET /v1/service_token"),
    ("coveo", "GET /rest/organizations/{organization_id}/apikeys"),
];

async fn figure(served: &Served, upstream: &str) -> String {
    let http = Http::new(served.gateway.http.clone(), Vec::new());
    let text = http.get("/metrics").await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let name = format!("keygate_own_keys_known{{upstream=\"{upstream}\"}} ");
    let figure = text.lines().find_map(|it| it.strip_prefix(&name));
    figure.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn until_it_knows_nothing_is_changed_by_id_and_all_else_goes_on() {
    let faults = [
        json!({ "fault": { "hang": true } }),
        json!({ "fault": { "reset": "before_response" }, "apply": false }),
        json!({ "fault": { "status": 503 } }),
    ];
    let faults = LOOKS.iter().zip(faults).map(|((vendor, route), mut rule)| {
        rule["route"] = (*route).into();
        (*vendor, rule)
    });
    let faults: Vec<_> = faults.collect();
    // one that hangs keeps nobody from the others, nor the gateway from serving
    let places = places().into_iter().map(|it| it.with("timeout = \"2s\""));
    let served = beginning_with(places.collect(), &faults).await;
    let admin = Caller::admin(&served);
    let mut refused = 0;
    for (place, simulator) in served.upstreams.all() {
        let own = ids_of(place.vendor, &simulator.state(), &simulator.masters());
        for (method, key) in by_id(place.vendor) {
            if !changes(&method) || key.member != "id" {
                continue;
            }
            for id in own.iter().map(String::as_str).chain(["another"]) {
                let before = requests(simulator).len();
                let answer = admin.call(&method, id).await;
                let told = (answer.code(), answer.reason());
                let expected = ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE".to_owned());
                assert_eq!(told, expected, "{method}");
                assert_eq!(requests(simulator).len(), before, "{method} was sent");
                refused += 1;
            }
        }
        for (maker, _) in makers(place.vendor) {
            admin.call(&maker, "").await.ok();
        }
        // of which it can't be told whether it replaces a key
        if place.vendor.name == "braintrust" {
            let replace = "keygate.braintrust.v1.ServiceTokenService/ReplaceServiceToken";
            let answer = admin.call(replace, "").await;
            assert_eq!(answer.reason(), "UPSTREAM_UNAVAILABLE");
            refused += 1;
        }
        assert_ne!(admin.fault(&place.upstream()).await, "");
    }
    let records = served.records();
    let ends: Vec<_> = records
        .iter()
        .filter(|it| it["reason"] == "UPSTREAM_UNAVAILABLE")
        .collect();
    assert_eq!(ends.len(), refused);
    for it in ends {
        // no intent, no outcome: nothing was meant to be sent
        assert_eq!(it["kind"], "refused", "{it}");
    }
    assert_eq!(figure(&served, "braintrust/main").await, "0");

    // and when they are back, it finds them by itself
    served.upstreams.clear();
    for (place, simulator) in served.upstreams.all() {
        let upstream = place.upstream();
        admin.knows(&upstream).await;
        assert_eq!(figure(&served, &upstream).await, "1");
        let own = ids_of(place.vendor, &simulator.state(), &simulator.masters());
        for (method, key) in by_id(place.vendor) {
            if key.member == "id" {
                assert_denied(&admin.call(&method, &own[0]).await, &method);
            }
        }
    }
    let maker = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
    let made = id(admin.call(maker, "").await);
    admin.call(DELETE, &made).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_keeps_the_gateway_from_nothing_else() {
    let mut places = places();
    places.push(Place::new(&DATADOG, "gone").elsewhere("http://127.0.0.1:9"));
    let served = beginning_with(places, &[]).await;
    let admin = Caller::admin(&served);
    let request = admin.client.request_at(DELETE, "another", "gone");
    let answer = admin.send(DELETE, &request).await;
    assert_eq!(answer.reason(), "UPSTREAM_UNAVAILABLE");
    assert!(
        admin
            .fault("datadog/us1/gone")
            .await
            .contains("can't be asked")
    );
    // as everywhere, upstream is asked there
    assert_eq!(
        admin.call(DELETE, "another").await.reason(),
        "KEY_NOT_FOUND"
    );
}

fn forbidden(route: &str) -> (&'static str, Json) {
    let body = json!({ "errors": ["Forbidden"] });
    let fault = json!({ "status": 403, "body": body });
    ("datadog", json!({ "route": route, "fault": fault }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_endpoint_refuses_to_tell_another_may() {
    let served = beginning_with(
        vec![Place::new(&DATADOG, MAIN)],
        &[
            forbidden("GET /api/v2/validate"),
            forbidden("GET /api/v2/current_user/application_keys"),
        ],
    )
    .await;
    let admin = Caller::admin(&served);
    assert_eq!(admin.fault(DATADOG_MAIN).await, "");
    let site = served.site();
    let own = ids_of(&DATADOG, &site.state(), &site.masters());
    assert_eq!(own.len(), 2);
    for id in own {
        assert_denied(&admin.call(DELETE, &id).await, &id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_named_and_looked_for_again() {
    let places = vec![
        Place::new(&DATADOG, MAIN),
        Place::new(&BRAINTRUST, MAIN),
        Place::new(&COVEO, MAIN),
    ];
    let lists = [
        "GET /api/v2/current_user/application_keys",
        "GET /api/v2/application_keys",
        "GET /api/v2/personal_access_tokens",
    ];
    let mut faults: Vec<_> = lists.map(forbidden).into();
    for (vendor, route) in LOOKS.iter().skip(1) {
        let fault = json!({ "status": 403, "body": "no" });
        faults.push((vendor, json!({ "route": route, "fault": fault })));
    }
    let served = beginning_with(places, &faults).await;
    let admin = Caller::admin(&served);
    let told = [
        (DATADOG_MAIN, "user_app_keys"),
        ("braintrust/main", "owner rights"),
        ("coveo/us/main", "privilege to view API keys"),
    ];
    for (upstream, right) in told {
        let fault = admin.fault(upstream).await;
        assert!(fault.contains(right) && fault.contains("403"), "{fault}");
    }
    assert_eq!(
        admin.call(DELETE, "another").await.reason(),
        "UPSTREAM_UNAVAILABLE"
    );
    // it is looked for again and again, and logged once
    let looks = || {
        let state = served.site().state();
        let asked = state["requests"].as_array().unwrap().iter();
        let looks = asked.filter(|it| it["route"] == "/api/v2/validate").count();
        (looks >= 3).then_some(())
    };
    until("it is looked for again", looks).await;
    let logged = served.gateway.process.logged();
    let lines = logged.lines();
    let lines: Vec<_> = lines.filter(|it| it.contains("user_app_keys")).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("ERROR"), "{}", lines[0]);
    served.upstreams.clear();
    for (upstream, _) in told {
        admin.knows(upstream).await;
    }
    assert_eq!(
        admin.call(DELETE, "another").await.reason(),
        "KEY_NOT_FOUND"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_no_answer_shows_is_known_by_its_end() {
    let sandbox = Sandbox::with(&["--one-time-read"]);
    let simulator = Http::new(sandbox.upstream("datadog/us1"), Vec::new());
    let state = simulator.get("/__state").await.json();
    let admin = Caller {
        client: sandbox.client(),
        token: sandbox.token("admin").to_owned(),
    };
    for (list, service) in [
        ("api_keys", "ApiKeyService"),
        ("application_keys", "ApplicationKeyService"),
        ("application_keys", "CurrentUserApplicationKeyService"),
    ] {
        let id = state[list][0]["id"].as_str().unwrap();
        let name = service.strip_suffix("Service").unwrap();
        for verb in ["Get", "Update", "Delete"] {
            let method = format!("keygate.datadog.v2.{service}/{verb}{name}");
            let request = admin.client.request(&method, id);
            assert_denied(&admin.send(&method, &request).await, &method);
        }
    }
    let after = simulator.get("/__state").await.json();
    for list in ["api_keys", "application_keys"] {
        assert_eq!(after[list][0]["name"], state[list][0]["name"]);
    }
}
