//! What upstream could tell of secrets, and answers that do.

use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::support::{
    upstreams::Place,
    vendors::{self, Simulator, Vendor},
};

/// The values of all keys that a simulator holds, each list's oldest first.
pub(super) fn held(place: &Place, simulator: &dyn Simulator) -> Vec<Vec<String>> {
    let state = simulator.state();
    let lists = place.vendor.secrets.iter().map(|(list, member)| {
        let keys = state[list].as_array().unwrap().iter();
        let values = keys.map(|it| it[member].as_str().unwrap().to_owned());
        values.collect()
    });
    lists.collect()
}

/// Secrets that upstream might repeat: ours at that place, and values of its
/// latest keys.
pub(super) fn secrets(place: &Place, simulator: &dyn Simulator) -> Vec<String> {
    let ours = simulator.masters().into_iter();
    let ours = ours.map(|it| it.expose_secret().to_owned());
    let held = held(place, simulator).into_iter();
    let latest = held.flat_map(|it| it.into_iter().rev().take(2));
    ours.chain(latest).collect()
}

/// Answers that repeat secrets, in every way that is looked at.
pub(super) fn repeating(vendor: &Vendor, secrets: &[String]) -> Vec<Json> {
    let words = format!("these are no good: {}", secrets.join(", "));
    let (first, last) = (&secrets[0], &secrets[secrets.len() - 1]);
    let headers = json!({
        "x-request-id": first,
        "x-ratelimit-name": last,
        "location": format!("https://example.test/?api_key={first}"),
        "set-cookie": format!("key={last}"),
        "www-authenticate": format!("Bearer realm=\"{first}\""),
    });
    let fault = |status: u16, mut fault: Json| {
        fault["status"] = status.into();
        fault["headers"] = headers.clone();
        fault
    };
    let mut faults = Vec::new();
    for status in [302, 400, 401, 403, 404, 408, 409, 412, 422, 500] {
        faults.push(fault(status, (vendor.error)(&words)));
    }
    let others = vendors::ALL.into_iter().filter(|it| it.name != vendor.name);
    faults.extend(others.map(|it| fault(400, (it.error)(&words))));
    let objects = json!({ "errors": [{ "title": words, "detail": words, "meta": words }] });
    for body in [objects.to_string(), format!("<html><b>{words}</b></html>")] {
        faults.push(fault(400, json!({ "body": body })));
    }
    // answers that make no sense
    let data = json!({ "data": { "id": 1, "type": "api_keys", "attributes": { "name": words } } });
    let flat = json!({ "id": 1, "name": words, "displayName": words });
    for body in [
        data.to_string(),
        flat.to_string(),
        json!([flat]).to_string(),
        words.clone(),
        format!("{{\"data\":\"{words}"),
    ] {
        faults.push(fault(200, json!({ "body": body })));
    }
    faults.push(json!({ "reset": "mid_body" }));
    faults.push(json!({ "truncate": true }));
    faults
}
