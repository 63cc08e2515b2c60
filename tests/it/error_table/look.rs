//! Changes that need a look first: whose policy asks for the key's name, which
//! upstream is asked for before the change itself.

use std::fs;

use prost::Message as _;
use serde_json::{Value as Json, json};

use super::{
    bench::{Bench, call, configuration, end},
    expected::{End, Expected, internals, records_of},
    method::{self, Method},
};
use crate::support::serve::Gateway;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// The look.
    Look,
    /// The change, after a look that went well.
    Change,
    /// The name that the look tells.
    Name,
}

#[tokio::test]
async fn what_a_look_before_a_change_told_is_not_told_as_the_changes_own() {
    let bench = Bench::start().await;
    let path = configuration(&bench.sandbox, "look", "");
    let text = fs::read_to_string(&path).unwrap();
    let policy = fs::read_to_string(path.with_file_name("policy.toml")).unwrap();
    // two roles alike but for the names
    let mut narrowed = policy;
    for (role, names) in [("admin", "a key of *"), ("operator", "another *")] {
        let old = format!("[roles.{role}]\n");
        assert!(narrowed.contains(&old), "{narrowed}");
        narrowed = narrowed.replace(&old, &format!("{old}names = [\"{names}\"]\n"));
    }
    let narrowed = narrowed.replace("keys = \"own\"", "keys = \"any\"");
    fs::write(path.with_file_name("narrowed.toml"), narrowed).unwrap();
    fs::write(&path, text.replace("policy.toml", "narrowed.toml")).unwrap();
    let gateway = Gateway::start(&path).await;
    let client = gateway.client();

    let looking = method::all();
    let looking = looking
        .iter()
        .filter(|it| ["update", "delete"].contains(&it.effect));
    let mut cells = Vec::new();
    for method in looking {
        for wrong in [Wrong::Look, Wrong::Change, Wrong::Name] {
            let key = bench.key(method).await;
            bench.fault(wrong.fault(method)).await;
            let token = match wrong {
                Wrong::Name => "operator",
                Wrong::Look | Wrong::Change => "admin",
            };
            let token = Some(bench.sandbox.token(token));
            let id = format!("{wrong:?}.{}", method.name);
            let message = bench.message(method, &key, "main").encode_to_vec();
            let answer = client
                .send(&method.name, call(message.into(), token, &id))
                .await;
            cells.push((method.clone(), wrong, id, answer));
        }
    }
    drop(client);
    let records = records_of(end(gateway, path).await);
    let mut problems = Vec::new();
    for (method, wrong, id, answer) in &cells {
        let expected = wrong.expected();
        let found = expected
            .problems_of_answer(id, answer)
            .into_iter()
            .chain(expected.problems_of_records(method, &records[id]))
            .chain(answer.result.as_ref().err().and_then(internals));
        problems.extend(found.map(|it| format!("{id}: {it}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

impl Wrong {
    fn fault(self, method: &Method) -> Option<Json> {
        let route = method.route.as_ref()?;
        let (_, path) = route.split_once(' ')?;
        match self {
            Self::Look => {
                let fault = json!({ "status": 500 });
                Some(json!({ "route": format!("GET {path}"), "fault": fault }))
            }
            Self::Change => {
                let fault = json!({ "reset": "before_response" });
                Some(json!({ "route": route, "apply": true, "fault": fault }))
            }
            Self::Name => None,
        }
    }

    fn expected(self) -> Expected {
        match self {
            // nothing was changed, and it is known
            Self::Look => Expected {
                upstream: Some(500..=500),
                ..Expected::new("UNAVAILABLE", "UPSTREAM_UNAVAILABLE", End::Refused)
            },
            Self::Change => Expected::new("UNKNOWN", "OUTCOME_UNKNOWN", End::Outcome("unknown")),
            Self::Name => Expected {
                upstream: Some(200..=200),
                ..Expected::new("PERMISSION_DENIED", "POLICY_DENIED", End::Denied)
            },
        }
    }
}
