//! A record as an event of the Open Cybersecurity Schema Framework: class 6003, API
//! Activity.
//!
//! Only attributes are used that every version of the schema from 1.1.0 on has, so
//! that collectors of any of them take the events.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::{Finding, Kind, Outcome, Position, Record};

/// The version of the schema that events say they are of.
const VERSION: &str = "1.1.0";

const CATEGORY: (u32, &str) = (6, "Application Activity");
const CLASS: (u32, &str) = (6003, "API Activity");

/// A record at its position, as an event.
#[must_use]
pub fn ocsf(position: Position, record: &Record) -> Value {
    let (activity, activity_name) = activity(record);
    let (severity, severity_name) = severity(record);
    let (status, status_name) = status(record);
    let time = record.time.parse::<prost_types::Timestamp>();
    let time = time.unwrap_or_default();
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": CATEGORY.0,
        "category_name": CATEGORY.1,
        "class_uid": CLASS.0,
        "class_name": CLASS.1,
        "type_uid": CLASS.0 * 100 + activity,
        "type_name": format!("{}: {activity_name}", CLASS.1),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "time": time.seconds.saturating_mul(1000) + i64::from(time.nanos / 1_000_000),
        "message": message(record),
        "metadata": {
            "version": VERSION,
            "uid": record.id,
            "correlation_uid": record.call,
            "sequence": position.0,
            "event_code": record.result(),
            "original_time": record.time,
            "log_name": "keygate audit trail",
            "product": {
                "name": "keygate",
                "vendor_name": "keygate",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
        "actor": actor(record),
        "api": api(record),
        "src_endpoint": endpoint(record),
        "unmapped": unmapped(position, record),
    });
    let optional = [
        ("resources", resources(record)),
        ("status_code", record.code.clone().map(Value::from)),
        ("status_detail", record.reason.clone().map(Value::from)),
        (
            "duration",
            record.duration_us.map(|it| Value::from(it / 1000)),
        ),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            event[name] = value;
        }
    }
    event
}

fn activity(record: &Record) -> (u32, &'static str) {
    match record.effect.as_deref() {
        Some("create") => (1, "Create"),
        Some("read" | "reveal") => (2, "Read"),
        Some("update") => (3, "Update"),
        Some("delete") => (4, "Delete"),
        _ => (99, "Other"),
    }
}

fn severity(record: &Record) -> (u32, &'static str) {
    match (record.kind, record.outcome, record.finding) {
        (Kind::Denied | Kind::Pruned | Kind::Rotated, ..)
        | (_, Some(Outcome::Unknown), _)
        | (_, _, Some(Finding::Applied | Finding::Ambiguous)) => (3, "Medium"),
        (Kind::Refused, ..) | (_, Some(Outcome::Rejected | Outcome::NotSent), _) => (2, "Low"),
        _ => (1, "Informational"),
    }
}

fn status(record: &Record) -> (u32, &'static str) {
    match (record.kind, record.outcome) {
        (Kind::Outcome, Some(Outcome::Succeeded)) | (Kind::Pruned | Kind::Rotated, _) => {
            (1, "Success")
        }
        (Kind::Refused | Kind::Denied, _)
        | (Kind::Outcome, Some(Outcome::Rejected | Outcome::NotSent)) => (2, "Failure"),
        (Kind::Outcome, Some(Outcome::Unknown) | None) => (0, "Unknown"),
        // by its own name
        _ => (99, record.result()),
    }
}

/// What happened, in a line.
fn message(record: &Record) -> String {
    let rpc = record.rpc.as_deref().unwrap_or("the trail's upkeep");
    format!("{rpc}: {}", record.result())
}

fn actor(record: &Record) -> Value {
    let Some(caller) = &record.caller else {
        // it has to be somebody: of whom nothing is known, or keygate itself
        let (name, kind) = match record.kind {
            Kind::Pruned | Kind::Rotated | Kind::Reconciled => ("keygate", 3),
            _ => ("unknown", 0),
        };
        return json!({ "user": { "name": name, "type_id": kind } });
    };
    let mut actor = json!({
        "user": { "name": caller.subject, "uid": caller.subject, "type_id": 0 },
        "idp": { "name": caller.issuer },
    });
    if !caller.claims.is_empty() {
        let groups = caller.claims.iter().map(|it| json!({ "name": it }));
        actor["user"]["groups"] = groups.collect();
    }
    if let Some(id) = &caller.token_id {
        actor["session"] = json!({ "uid": id, "issuer": caller.issuer });
    }
    let decision = match record.kind {
        Kind::Denied => Some("denied"),
        Kind::Intent | Kind::Outcome => Some("allowed"),
        _ => None,
    };
    if let (Some(decision), Some(rule)) = (decision, &record.rule) {
        let mut policy = json!({ "name": rule });
        if let Some(version) = &record.policy_version {
            policy["version"] = version.as_str().into();
        }
        if let Some(permission) = &record.permission {
            policy["desc"] = permission.as_str().into();
        }
        actor["authorizations"] = json!([{ "decision": decision, "policy": policy }]);
    }
    actor
}

fn api(record: &Record) -> Value {
    let (service, operation) = match record.rpc.as_deref() {
        Some(rpc) => rpc.split_once('/').unwrap_or(("keygate", rpc)),
        None => ("keygate", record.kind.name()),
    };
    let mut api = json!({
        "operation": operation,
        "service": { "name": service },
    });
    if let Some(id) = &record.request_id {
        api["request"] = json!({ "uid": id });
    }
    if let Some(code) = &record.code {
        let mut response = json!({ "message": code });
        if let Some(status) = record.upstream_status {
            response["code"] = status.into();
        }
        if let Some(reason) = &record.reason {
            response["error"] = reason.as_str().into();
        }
        api["response"] = response;
    }
    api
}

fn endpoint(record: &Record) -> Value {
    let Some(peer) = &record.peer else {
        return json!({ "name": "keygate" });
    };
    let mut endpoint = match peer.address.parse::<SocketAddr>() {
        Ok(address) => json!({ "ip": address.ip().to_string(), "port": address.port() }),
        Err(_) => json!({ "name": peer.address }),
    };
    if let Some(certificate) = &peer.certificate {
        endpoint["name"] = certificate.as_str().into();
    }
    endpoint
}

fn resources(record: &Record) -> Option<Value> {
    let resource = record.resource.as_ref()?;
    let mut it = Map::new();
    let members = [
        ("uid", &resource.id),
        ("name", &resource.name),
        ("type", &resource.resource_type),
        ("namespace", &record.upstream),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            it.insert(name.to_owned(), value.as_str().into());
        }
    }
    if resource.id.is_none() && resource.name.is_none() {
        // it has to have one of the two; of a list the type names it
        let name = resource.resource_type.as_deref()?;
        it.insert("name".to_owned(), name.into());
    }
    Some(json!([it]))
}

/// What the schema has no place for.
fn unmapped(position: Position, record: &Record) -> Value {
    let mut unmapped = Map::new();
    unmapped.insert("position".to_owned(), position.0.into());
    // as the record itself has it
    if let Ok(Value::Object(record)) = serde_json::to_value(record) {
        unmapped.insert("record".to_owned(), Value::Object(record));
    }
    Value::Object(unmapped)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::audit::{Caller, Peer, Resource};

    fn record(kind: Kind) -> Record {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        Record::new(kind, "the-call", "the-id", time)
    }

    #[test]
    fn a_denial_says_who_what_and_why() {
        let record = Record {
            caller: Some(Caller {
                issuer: "https://issuer".to_owned(),
                subject: "bob".to_owned(),
                claims: vec!["reader".to_owned()],
                token_id: Some("t1".to_owned()),
            }),
            peer: Some(Peer {
                address: "[2001:db8::1]:4711".to_owned(),
                certificate: None,
            }),
            rpc: Some("keygate.datadog.v2.ApiKeyService/DeleteApiKey".to_owned()),
            effect: Some("delete".to_owned()),
            permission: Some("api_keys_delete".to_owned()),
            rule: Some("no role".to_owned()),
            upstream: Some("datadog/us1/main".to_owned()),
            resource: Some(Resource {
                resource_type: Some("api_key".to_owned()),
                id: Some("1f".to_owned()),
                ..Resource::default()
            }),
            code: Some("PERMISSION_DENIED".to_owned()),
            reason: Some("POLICY_DENIED".to_owned()),
            ..record(Kind::Denied)
        };
        let event = ocsf(Position(7), &record);
        assert_eq!(event["type_uid"], 600_304);
        assert_eq!(event["time"], 1_700_000_000_123_i64);
        assert_eq!(event["status"], "Failure");
        assert_eq!(event["actor"]["user"]["name"], "bob");
        let authorization = &event["actor"]["authorizations"][0];
        assert_eq!(authorization["decision"], "denied");
        assert_eq!(authorization["policy"]["name"], "no role");
        assert_eq!(authorization["policy"]["desc"], "api_keys_delete");
        assert_eq!(event["src_endpoint"]["ip"], "2001:db8::1");
        assert_eq!(event["resources"][0]["uid"], "1f");
        assert_eq!(event["metadata"]["sequence"], 7);
        assert_eq!(event["unmapped"]["record"]["reason"], "POLICY_DENIED");
    }

    #[test]
    fn what_is_required_is_there_whatever_the_record_says() {
        for kind in Kind::ALL {
            let event = ocsf(Position(0), &record(*kind));
            for name in [
                "activity_id",
                "actor",
                "api",
                "category_uid",
                "class_uid",
                "metadata",
                "severity_id",
                "src_endpoint",
                "time",
                "type_uid",
            ] {
                assert!(!event[name].is_null(), "{kind}: {name}");
            }
        }
    }
}
