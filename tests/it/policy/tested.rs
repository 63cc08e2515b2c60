//! `keygate policy test`.

use std::{fs, path::Path, process::Output};

use tempfile::TempDir;

use crate::support::program::{keygate, told};

const POLICY: &str = r#"
[roles.payments]
permissions = ["api_keys_read", "api_keys_write", "user_app_keys"]
upstreams = ["datadog/us1"]
names = ["payments-*"]
reveal = true
max_scopes = ["metrics_*"]

[roles.reader]
permissions = ["api_keys_read", "coveo_api_keys_edit"]
keys = "any"
allow_unscoped = true

[[grants]]
role = "payments"
claim = "payments"

[[grants]]
role = "reader"
subject = "spiffe://example.org/*"
issuer = "https://issuer.example"

[[grants]]
role = "payments"
subject = "bob"
certificate = "spiffe://example.org/bob"

[deny]
token_ids = ["stolen"]
rpcs = ["*/Delete*"]
"#;

/// All of these hold.
const CASES: &str = r#"
policy = "policy.toml"

[[cases]]
title = "payments read"
claims = ["other", "payments"]
rpc = "keygate.datadog.v2.ApiKeyService/ListApiKeys"
upstream = "datadog/us1/main"
expect = "permit"
rule = "grants[0] roles.payments"
permission = "api_keys_read"

[[cases]]
claims = ["payments"]
rpc = "v2.ApiKeyService/ListApiKeys"
expect = "permit"

[[cases]]
claims = ["payments"]
rpc = "v2.ApiKeyService/ListApiKeys"
upstream = "datadog/eu/main"
expect = "deny"
rule = "outside *.upstreams"
permission = "api_keys_read"

[[cases]]
claims = ["payments"]
rpc = "v2.ApiKeyService/DeleteApiKey"
expect = "deny"
rule = "deny.rpcs[0]"

[[cases]]
claims = ["payments"]
token_id = "stolen"
rpc = "WhoAmI"
expect = "deny"
rule = "deny.token_ids*"

[[cases]]
subject = "spiffe://example.org/a"
rpc = "v2.ApiKeyService/GetApiKey"
expect = "deny"
rule = "no grant fits the caller"

[[cases]]
subject = "spiffe://example.org/a"
issuer = "https://issuer.example"
rpc = "v2.ApiKeyService/GetApiKey"
key = { name = "any" }
expect = "permit"
reveal = false

[[cases]]
subject = "bob"
rpc = "v2.ApiKeyService/GetApiKey"
expect = "deny"
rule = "outside grants[2].certificate"

[[cases]]
subject = "bob"
certificates = ["spiffe://example.org/bob"]
rpc = "v2.ApiKeyService/GetApiKey"
key = { name = "payments-a", own = true }
expect = "permit"
reveal = true

[[cases]]
claims = ["payments"]
rpc = "v2.ApiKeyService/GetApiKey"
key = { name = "payments-a" }
expect = "deny"
rule = "outside roles.payments.keys"

[[cases]]
claims = ["payments"]
rpc = "v2.ApiKeyService/UpdateApiKey"
key = { name = "payments-a", own = true, new_name = "a" }
expect = "deny"
rule = "outside roles.payments.names"

[[cases]]
claims = ["payments"]
rpc = "CreateCurrentUserApplicationKey"
key = { name = "payments-a", scopes = ["metrics_read"] }
expect = "permit"

[[cases]]
claims = ["payments"]
rpc = "CreateCurrentUserApplicationKey"
key = { name = "payments-a", unscoped = true }
expect = "deny"
rule = "outside roles.payments.allow_unscoped"

[[cases]]
claims = ["payments"]
rpc = "UpdateCurrentUserApplicationKey"
key = { name = "payments-a", own = true, scopes = ["metrics_read", "logs_read"] }
expect = "deny"
rule = "outside roles.payments.max_scopes"

[[cases]]
subject = "spiffe://example.org/a"
issuer = "https://issuer.example"
rpc = "DuplicateApiKey"
upstream = "coveo/us/acme"
key = { name = "a", own = false, new_name = "b", unscoped = true }
expect = "permit"
"#;

fn folder(policy: &str, cases: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    fs::write(folder.path().join("cases.toml"), cases).unwrap();
    folder
}

/// Runs from elsewhere, so that what is relative is relative to the file.
fn test(folder: &Path, arguments: &[&str]) -> Output {
    keygate(["policy", "test"])
        .arg(folder.join("cases.toml"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn a_policy_that_decides_as_expected_passes() {
    let folder = folder(POLICY, CASES);
    let output = test(folder.path(), &[]);
    assert_eq!(told(&output).0, "15 of 15 passed\n");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output).1);
    assert_eq!(told(&output).1, "");
}

#[test]
fn what_is_decided_otherwise_is_told_with_its_rule() {
    let folder = folder(POLICY, CASES);
    let wider = POLICY
        .replace("upstreams = [\"datadog/us1\"]\n", "")
        .replace("reveal = true", "reveal = false")
        .replace("rpcs = [\"*/Delete*\"]", "rpcs = []");
    let other = folder.path().join("wider.toml");
    fs::write(&other, wider).unwrap();
    let output = test(folder.path(), &["--policy", other.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output).1);
    let expected = "\
cases[2] (line 18)
  expected  deny by outside *.upstreams (api_keys_read)
  got       permit by grants[0] roles.payments (api_keys_read)
cases[3] (line 26)
  expected  deny by deny.rpcs[0]
  got       deny by no role of the caller (payments) has api_keys_delete (api_keys_delete)
cases[8] (line 59)
  expected  permit and reveal
  got       permit by grants[2] roles.payments (api_keys_read) and not reveal
12 of 15 passed
";
    assert_eq!(told(&output).0, expected);
    assert!(
        told(&output)
            .1
            .contains("cases.toml: 3 of 15 are decided otherwise")
    );
}

#[test]
fn every_fault_of_the_file_is_told_and_ends_with_65() {
    let cases = r#"
polcy = "policy.toml"

[[cases]]
rpc = "ListApiKeys"
expect = "allow"

[[cases]]
subject = 5
rpc = "v2.ApiKeyService/ListApiKeys"
upstream = "datadog/us9"
claim = "payments"

[[cases]]
rpc = "v2.ApiKeyService/CreateApiKey"
upstream = "coveo/us/acme"
key = { scopes = [], unscoped = true, nam = "a" }
reveal = true
expect = "permit"

[[cases]]
rpc = "WhoAmI"
upstream = "datadog/us1/*"
key = { name = "a" }
expect = "permit"
"#;
    let output = test(folder(POLICY, cases).path(), &[]);
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(told(&output).0, "");
    let (_, complained) = told(&output);
    for fault in [
        "polcy (line 2): there is no such setting; did you mean `policy`?",
        "cases[0].rpc (line 5): several services have it; name one of `keygate.braintrust.v1.",
        "cases[0].expect (line 6): this must be \"permit\" or \"deny\"",
        "cases[1].subject (line 9): this is a whole number, and must be a string",
        "cases[1].upstream (line 11): \"datadog/us9\" names no known site",
        "cases[1].claim (line 12): there is no such setting; did you mean `claims`?",
        "cases[1].expect (line 8): this is missing, and has no default",
        "cases[2].upstream (line 16): the RPC goes to no such upstream",
        "cases[2].key.unscoped (line 17): a key can't have `scopes` and be unscoped",
        "cases[2].key.nam (line 17): there is no such setting; did you mean `name`?",
        "cases[2].reveal (line 18): only the answer to a read reveals",
        "cases[3].upstream (line 23): \"datadog/us1/*\" is a pattern; name one upstream",
        "cases[3].key (line 24): the RPC is about no key",
    ] {
        assert!(complained.contains(fault), "{fault}\n{complained}");
    }

    for (cases, fault) in [
        (
            "policy = \"policy.toml\"\n",
            "cases: there are none, so that nothing would be tested",
        ),
        (
            "[[cases]]\nrpc = \"WhoAmI\"\nexpect = \"permit\"\n",
            "it names no `policy`",
        ),
        ("[[cases]\n", "line 1: this is not TOML"),
    ] {
        let output = test(folder(POLICY, cases).path(), &[]);
        assert_eq!(output.status.code(), Some(65), "{cases}");
        assert!(told(&output).1.contains(fault), "{fault}");
    }
    let missing = test(Path::new("/nowhere"), &[]);
    assert_eq!(missing.status.code(), Some(65));
    assert!(told(&missing).1.contains("the file can't be read"));
}

#[test]
fn a_faulty_policy_ends_with_78() {
    let faulty = folder("[roles.a]\n[deny]\nrpcs = [\"x\"]\n", CASES);
    let output = test(faulty.path(), &[]);
    assert_eq!(output.status.code(), Some(78));
    let (_, complained) = told(&output);
    for fault in ["policy.toml", "roles.a (line 1)", "deny.rpcs[0] (line 3)"] {
        assert!(complained.contains(fault), "{complained}");
    }
    let missing = CASES.replace("policy.toml", "missing.toml");
    let output = test(folder(POLICY, &missing).path(), &[]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn certificates_count_as_they_do_on_a_connection() {
    const POLICY: &str = r#"
[roles.reader]
permissions = ["api_keys_read"]

[[grants]]
role = "reader"
subject = "*"
certificate = "spiffe://example.org/ns/*/sa/api"

[[grants]]
role = "reader"
subject = "*"
certificate = "*.Example.org"
"#;
    let case = |names: &str, expect: &str, rule: &str| {
        format!(
            "[[cases]]\nsubject = \"bob\"\ncertificates = {names}\nrpc = \"v2.ApiKeyService/GetApiKey\"\n\
             expect = \"{expect}\"\nrule = \"{rule}\"\n"
        )
    };
    let missing = "outside grants[0].certificate, grants[1].certificate";
    let cases = [
        case("[]", "deny", missing),
        // all of a URI counts, and how it is written
        case(r#"["spiffe://example.org/ns/a/sa/api2"]"#, "deny", missing),
        case(r#"["spiffe://Example.org/ns/a/sa/api"]"#, "deny", missing),
        // of a host name the case does not
        case(r#"["WWW.example.ORG"]"#, "permit", "grants[1] roles.reader"),
        // any of the names will do, and the first grant that one fits decides
        case(
            r#"["www.example.org", "other", "spiffe://example.org/ns/a/sa/api"]"#,
            "permit",
            "grants[0] roles.reader",
        ),
    ];
    let all = format!("policy = \"policy.toml\"\n{}", cases.concat());
    let output = test(folder(POLICY, &all).path(), &[]);
    assert_eq!(told(&output).0, "5 of 5 passed\n", "{}", told(&output).1);

    let faulty = all.replacen("certificates = []", "certificates = \"x\"", 1);
    let output = test(folder(POLICY, &faulty).path(), &[]);
    assert_eq!(output.status.code(), Some(65));
    let (_, complained) = told(&output);
    let expected = "cases[0].certificates (line 4)";
    assert!(complained.contains(expected), "{complained}");
}
