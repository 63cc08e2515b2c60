//! Changes that need a look first: whose policy asks for the key's name, which
//! upstream is asked for before the change itself.

use serde_json::{Value as Json, json};

use super::{
    bench::Bench,
    expected::{End, Expected, internals, records_of},
    method::{self, Method},
};
use crate::support::served::{MAIN, SANDBOX_POLICY};

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
    // two roles alike but for the names
    let mut policy = SANDBOX_POLICY.to_owned();
    for (role, names) in [("admin", "a key of *"), ("operator", "another *")] {
        let old = format!("[roles.{role}]\n");
        assert!(policy.contains(&old), "{policy}");
        policy = policy.replace(&old, &format!("{old}names = [\"{names}\"]\n"));
    }
    let policy = policy.replace("keys = \"own\"", "keys = \"any\"");
    let methods = method::all();
    let bench = Bench::with_policy(&policy, &methods).await;

    let mut cells = Vec::new();
    for method in methods.iter().filter(|it| it.touches()) {
        for wrong in [Wrong::Look, Wrong::Change, Wrong::Name] {
            let key = bench.key(method, MAIN).await;
            bench.fault([method], |it| wrong.fault(it));
            let id = format!("{wrong:?}.{}", method.name);
            let call = match wrong {
                Wrong::Name => bench.call_of_operator(method, &key, &id),
                Wrong::Look | Wrong::Change => bench.call(method, &key, MAIN, &id),
            };
            let answer = bench.client.send(&method.name, call).await;
            bench.fault([], |_| None);
            cells.push((method, wrong, id, answer));
        }
    }
    let records = records_of(bench.end().await);
    let mut problems = Vec::new();
    for (method, wrong, id, answer) in &cells {
        let expected = wrong.expected();
        let found = expected
            .problems_of_answer(method, id, answer)
            .into_iter()
            .chain(expected.problems_of_records(method, &records[id]))
            .chain(answer.result.as_ref().err().and_then(internals));
        problems.extend(found.map(|it| format!("{id}: {it}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

impl Wrong {
    fn fault(self, method: &Method) -> Option<Json> {
        match self {
            Self::Look => Some(json!({ "route": "*", "fault": { "status": 500 } })),
            Self::Change => {
                let fault = json!({ "reset": "before_response" });
                Some(json!({ "route": method.route, "apply": true, "fault": fault }))
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
