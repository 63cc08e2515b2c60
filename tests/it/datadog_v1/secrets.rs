//! The id is the secret: nobody writes it down, and yet everything that was done
//! to it is found.

use serde_json::{Value as Json, json};

use super::{Caller, KINDS, VERBS, refused};
use crate::support::{
    gateway::{Sandbox, records_about},
    http::Http,
    served::{MAIN, SANDBOX_POLICY, Served},
    upstreams::{Place, asked, inject},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_key_leads_to_every_record_of_it() {
    let sandbox = Sandbox::start();
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    for kind in KINDS {
        let (id, value) = admin.create_v2(kind, "a").await;
        admin.get(kind, &value).await.ok();
        admin.update(kind, &value, "b").await.ok();
        admin.delete(kind, &value).await.ok();
        assert_eq!(admin.get(kind, &value).await.code(), "NOT_FOUND");

        let records = records_about(sandbox.config(), &value);
        let seen: Vec<_> = records
            .iter()
            .map(|it| {
                let rpc = it["rpc"].as_str().unwrap().rsplit('/').next().unwrap();
                let verb = VERBS.iter().find(|verb| rpc.starts_with(**verb)).unwrap();
                (*verb, it["kind"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("Create", "outcome"),
                ("Get", "outcome"),
                ("Update", "intent"),
                ("Update", "outcome"),
                ("Delete", "intent"),
                ("Delete", "outcome"),
                ("Get", "outcome"),
            ]
        );
        for (at, record) in records.iter().enumerate() {
            assert_eq!(record["resource"]["type"], kind.recorded, "{record}");
            let expected = if at == 0 { json!(id) } else { Json::Null };
            assert_eq!(record["resource"]["id"], expected, "{record}");
            assert_eq!(record["fingerprints"], records[0]["fingerprints"]);
            assert!(!record.to_string().contains(&value), "{record}");
        }
    }
    let other = "0123456789abcdef0123456789abcdef";
    assert!(records_about(sandbox.config(), other).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateways_own_credentials_are_out_of_reach() {
    let sandbox = Sandbox::start();
    let admin = Caller::new(sandbox.client(), sandbox.token("admin"));
    let simulator = Http::new(sandbox.upstream("datadog/us1"), Vec::new());
    let state = async || simulator.get("/__state").await.json();
    let before = state().await;
    for kind in KINDS {
        let of_state = match kind.name {
            "ApiKey" => &before["api_keys"][0],
            _ => &before["application_keys"][0],
        };
        let (id, ours) = (&of_state["id"], of_state["key"].as_str().unwrap());
        for verb in ["Get", "Update", "Delete"] {
            let answer = admin.call(kind, verb, ours, "taken").await;
            refused(&answer, "PERMISSION_DENIED", "POLICY_DENIED");
        }
        let requests = Json::from(asked(state().await)).to_string();
        assert!(!requests.contains(ours), "upstream was asked");

        let value = kind.made(admin.create(kind, "a").await);
        let listed = kind.all(admin.list(kind).await);
        assert_eq!(listed, [(Some(value.clone()), "a".to_owned())]);
        let by_id = kind.v2("Get");
        let request = admin.client.request(&by_id, id.as_str().unwrap());
        let answer = admin.client.call(&by_id, Some(&admin.token), &request);
        refused(&answer.await, "PERMISSION_DENIED", "POLICY_DENIED");
        admin.delete(kind, &value).await.ok();
    }
}

/// Keys that look like nothing that is known to be one.
const ODD: [&str; 2] = ["odd-canary_one-7d1f", "canarytwo"];

#[tokio::test(flavor = "multi_thread")]
async fn what_upstream_repeats_of_it_goes_no_further() {
    let mut served = Served::start(SANDBOX_POLICY, Place::everywhere(MAIN), "trace").await;
    let admin = Caller::new(served.client(), served.token("admin", &["admin"]));
    let mut seen = Vec::new();
    for key in ODD {
        let words = format!("no key {key}, or /api/v1/api_key/{key}?, here");
        let headers = json!({ "x-request-id": key, "x-ratelimit-name": key, "location": key });
        let plain = json!({ "errors": [words] });
        let objects = json!({ "errors": [{ "title": words, "detail": words }] });
        for kind in KINDS {
            for verb in ["Get", "Update", "Delete"] {
                for (status, body) in [
                    (200, &plain),
                    (302, &plain),
                    (400, &plain),
                    (400, &objects),
                    (403, &plain),
                    (404, &plain),
                    (409, &plain),
                    (500, &plain),
                ] {
                    let fault = json!({ "status": status, "body": body, "headers": headers });
                    inject(served.site(), json!({ "fault": fault, "count": 1 }));
                    let answer = admin.call(kind, verb, key, "a").await;
                    let status = answer.result.unwrap_err();
                    seen.push(format!("{status:?}"));
                }
                let answer = admin.call(kind, verb, key, "a").await;
                assert_eq!(answer.code(), "NOT_FOUND");
                let answer = admin.call(kind, verb, &format!("{key}/.."), "a").await;
                assert_eq!(answer.code(), "INVALID_ARGUMENT");
                seen.push(format!("{:?}", answer.result.unwrap_err()));
            }
        }
    }
    let records = served.records();
    assert!(records.len() > 100, "{}", records.len());
    seen.extend(records.iter().map(Json::to_string));
    let plain = Http::new(&served.gateway.http, Vec::new());
    let metrics = plain.get("/metrics").await;
    seen.push(String::from_utf8(metrics.body.to_vec()).unwrap());
    served.gateway.process.terminate();
    let log = served.gateway.process.logged();
    assert!(log.lines().count() > 500, "{}", log.lines().count());
    seen.extend(log.lines().map(str::to_owned));
    for entry in std::fs::read_dir(served.setup.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        seen.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    for text in seen {
        for key in ODD {
            assert!(!text.contains(key), "{key} in {text}");
        }
    }
}

#[test]
fn messages_that_hold_one_do_not_show_it() {
    use keygate::contract::proto::keygate::datadog::v1::{
        ApiKey, ApplicationKey, DeleteApplicationKeyRequest, GetApiKeyRequest,
    };
    let key = "0123456789abcdef".to_owned();
    let request = GetApiKeyRequest {
        key: key.clone(),
        ..Default::default()
    };
    let removal = DeleteApplicationKeyRequest {
        key: key.clone(),
        ..Default::default()
    };
    let api_key = ApiKey {
        key: Some(key.clone()),
        ..Default::default()
    };
    let application_key = ApplicationKey {
        hash: Some(key.clone()),
        ..Default::default()
    };
    for shown in [
        format!("{request:?}"),
        format!("{removal:?}"),
        format!("{api_key:?}"),
        format!("{application_key:?}"),
    ] {
        assert!(
            shown.contains("[redacted]") && !shown.contains(&key),
            "{shown}"
        );
    }
}
