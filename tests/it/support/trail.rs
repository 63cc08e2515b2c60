//! What tests write into a trail themselves.

use keygate::audit::{Caller, Kind, Outcome, Peer, Record, Resource, Trail};

/// A record that says most of what records say.
pub(crate) fn record(trail: &Trail, call: &str) -> Record {
    Record {
        request_id: Some(format!("request-{call}")),
        caller: Some(Caller {
            issuer: "https://issuer.example".to_owned(),
            subject: "alice".to_owned(),
            claims: vec!["admin".to_owned()],
            token_id: Some("t-1".to_owned()),
        }),
        peer: Some(Peer {
            address: "192.0.2.7:4711".to_owned(),
            certificate: None,
        }),
        rpc: Some("keygate.datadog.v2.ApiKeyService/DeleteApiKey".to_owned()),
        effect: Some("delete".to_owned()),
        permission: Some("api_keys_delete".to_owned()),
        rule: Some("grants[0] roles.admin".to_owned()),
        policy_version: Some("0a".to_owned()),
        upstream: Some("datadog/us1/main".to_owned()),
        resource: Some(Resource {
            resource_type: Some("api_key".to_owned()),
            id: Some(format!("id-of-{call}")),
            name: Some(format!("payments {call}")),
            ..Resource::default()
        }),
        outcome: Some(Outcome::Succeeded),
        code: Some("OK".to_owned()),
        upstream_status: Some(204),
        duration_us: Some(12_345),
        ..trail.record(Kind::Outcome, call)
    }
}
