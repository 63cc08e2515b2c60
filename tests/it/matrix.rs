//! Role × method: a matrix that is checked in, held against the contract and
//! against the running gateway.

use std::collections::{BTreeMap, BTreeSet};

use keygate::policy;
use prost_reflect::{DynamicMessage, Value};

use crate::support::{
    gateway::{contract, methods},
    served::{MAIN, SANDBOX_POLICY, Served, target},
};

const MATRIX: &str = include_str!("matrix.txt");
const SANDBOX_ROLES: [&str; 5] = ["admin", "operator", "reader", "auditor", "nobody"];

struct Matrix {
    roles: Vec<&'static str>,
    rows: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl Matrix {
    fn read() -> Self {
        let lines = MATRIX.lines().filter(|it| !it.is_empty());
        let mut lines = lines.filter(|it| !it.starts_with('#'));
        let roles = lines.next().unwrap().strip_prefix("roles: ").unwrap();
        let roles: Vec<_> = roles.split(' ').collect();
        let mut rows = BTreeMap::new();
        for line in lines {
            let (method, permitted) = line.split_once(": ").unwrap();
            let permitted: BTreeSet<_> = match permitted {
                "*" => roles.iter().copied().collect(),
                permitted => permitted.split(' ').collect(),
            };
            for role in &permitted {
                assert!(roles.contains(role), "{method}: no such role: {role}");
            }
            let before = rows.insert(method, permitted);
            assert!(before.is_none(), "{method} is there twice");
        }
        Self { roles, rows }
    }

    /// The methods that a role may call and not everyone may.
    fn of(&self, role: &str) -> Vec<&'static str> {
        let rows = self.rows.iter();
        let own = rows.filter(|(_, it)| it.len() < self.roles.len() && it.contains(role));
        own.map(|(method, _)| *method).collect()
    }
}

/// The permissions that are documented: those of the contract, and keygate's own.
fn permissions() -> BTreeSet<String> {
    let all = contract().permissions().into_iter();
    let own = [policy::ACCESS_READ, policy::AUDIT_READ];
    all.chain(own).map(str::to_owned).collect()
}

#[test]
fn every_method_and_every_permission_of_the_contract_is_in_the_matrix() {
    let matrix = Matrix::read();
    let (served, known) = (methods(), matrix.rows.keys().copied().collect::<Vec<_>>());
    assert_eq!(served, known, "the contract, and the matrix");
    let single = matrix.roles.iter().filter(|it| !SANDBOX_ROLES.contains(it));
    let single: BTreeSet<_> = single.map(|it| (*it).to_owned()).collect();
    assert_eq!(permissions(), single, "the permissions, and the roles");
}

#[test]
fn a_role_with_only_api_keys_read_gets_the_reads_of_api_keys_and_nothing_else() {
    let reads = [
        "v1.ApiKeyService/GetApiKey",
        "v1.ApiKeyService/ListApiKeys",
        "v2.ApiKeyService/GetApiKey",
        "v2.ApiKeyService/ListApiKeys",
        "v2.ApiKeyService/StreamApiKeys",
    ];
    let reads = reads.map(|it| format!("keygate.datadog.{it}"));
    assert_eq!(Matrix::read().of("api_keys_read"), reads);
}

#[test]
fn a_token_can_be_revoked_with_either_of_its_two_permissions() {
    let matrix = Matrix::read();
    let revoke = "keygate.datadog.v2.PersonalAccessTokenService/RevokePersonalAccessToken";
    for permission in ["user_app_keys", "org_app_keys_write"] {
        assert!(matrix.of(permission).contains(&revoke), "{permission}");
    }
    assert_eq!(
        matrix.rows[revoke].len(),
        4,
        "and otherwise by admin and operator only"
    );
}

fn policy_text() -> String {
    permissions()
        .iter()
        .map(|it| {
            format!(
                "\n[roles.{it}]\npermissions = [\"{it}\"]\nkeys = \"any\"\nmax_scopes = [\"*\"]\n\
                 allow_unscoped = true\n\n[[grants]]\nrole = \"{it}\"\nclaim = \"{it}\"\n"
            )
        })
        .fold(SANDBOX_POLICY.to_owned(), |text, role| text + &role)
}

#[tokio::test]
async fn every_role_may_call_what_the_matrix_says_and_nothing_else() {
    let matrix = Matrix::read();
    let served = Served::with_policy(&policy_text()).await;
    let client = served.client();
    let admin = served.token("admin", &["admin"]);
    let mut wrong = Vec::new();
    for role in &matrix.roles {
        let token = match *role {
            "nobody" => served.token("nobody", &[]),
            role => served.token(role, &[role]),
        };
        let rows = matrix.rows.iter();
        let (permitted, denied): (Vec<_>, Vec<_>) = rows.partition(|(_, it)| it.contains(role));
        let before = served.upstreams.requests().len();
        for (method, _) in denied {
            let request = client.request_at(method, "a-key", MAIN);
            let answer = client.call(method, Some(&token), &request).await;
            let got = (answer.code(), answer.reason());
            if got != ("PERMISSION_DENIED", "POLICY_DENIED".to_owned()) {
                wrong.push(format!("{role} {method}: not denied, but {got:?}"));
                continue;
            }
            let missing = contract().operation(method).unwrap().permissions.join(",");
            let details = answer.details().unwrap();
            let told = &details.error_info().unwrap().metadata["permission"];
            assert_eq!(*told, missing, "{role} {method}");
        }
        let sent = served.upstreams.requests().len() - before;
        assert_eq!(sent, 0, "{role}: denied, and sent");
        for (method, _) in permitted {
            let maker = if *role == "operator" { &token } else { &admin };
            let target = target(&client, method, maker, MAIN).await;
            let request = client.request_at(method, &target, MAIN);
            let answer = client.call(method, Some(&token), &request).await;
            let expected = match contract().operation(method).unwrap().not_offered {
                Some(_) => "NOT_OFFERED_UPSTREAM",
                None => "",
            };
            let got = answer.reason();
            if got != expected || (answer.code() == "OK") != expected.is_empty() {
                wrong.push(format!("{role} {method}: not permitted, but {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // whose keys they are is kept of all that were made, too
    served.verify();
}

#[tokio::test]
async fn only_who_may_read_access_may_ask_about_others() {
    let matrix = Matrix::read();
    let served = Served::with_policy(&policy_text()).await;
    let client = served.client();
    let method = "keygate.access.v1.AccessService/ExplainAccess";
    let mut request = client.request(method, "");
    let kind = client
        .method(method)
        .input()
        .get_field_by_name("subject")
        .unwrap()
        .kind();
    let other = DynamicMessage::new(kind.as_message().unwrap().clone());
    request.set_field_by_name("subject", Value::Message(other));
    for role in matrix.roles {
        let token = served.token(role, &[role]);
        let answer = client.call(method, Some(&token), &request).await;
        let expected = match role {
            "admin" | "keygate_access_read" => "OK",
            _ => "PERMISSION_DENIED",
        };
        assert_eq!(answer.code(), expected, "{role}");
    }
}
