//! Grants that ask for a client certificate: the token and the certificate have to
//! fit.

use std::{process::Output, time::Duration};

use keygate::clock::Clock;
use prost_reflect::{DynamicMessage, Value};

use crate::support::{
    gateway::{Client, PATIENCE, records},
    program::{keygate, run, told},
    serve::{Gateway, Setup},
    served::text,
    tls::{Authority, Pair},
};

const EXPLAIN: &str = "keygate.access.v1.AccessService/ExplainAccess";
const WHO: &str = "keygate.access.v1.AccessService/WhoAmI";

const TLS: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"clients.pem\" }";

/// Four roles for as many grants: with a URI, a host name, any name, and none.
/// Their permissions differ, to tell them apart.
const POLICY: &str = "\
[roles.by-uri]
permissions = [\"api_keys_read\"]
[roles.by-host]
permissions = [\"api_keys_write\"]
[roles.by-any]
permissions = [\"api_keys_delete\"]
[roles.by-token]
permissions = [\"user_app_keys\"]
[roles.by-subject]
permissions = [\"keygate_access_read\"]

[[grants]]
role = \"by-uri\"
claim = \"payments\"
certificate = \"spiffe://example.org/ns/payments/*\"
[[grants]]
role = \"by-host\"
claim = \"payments\"
certificate = \"*.Payments.Example.ORG\"
[[grants]]
role = \"by-any\"
claim = \"payments\"
certificate = \"*\"
[[grants]]
role = \"by-token\"
claim = \"payments\"
[[grants]]
role = \"by-subject\"
subject = \"*\"
certificate = \"spiffe://example.org/ns/security/sa/audit\"
";

struct Stage {
    setup: Setup,
    gateway: Gateway,
    authority: Authority,
}

impl Stage {
    async fn new() -> Self {
        let authority = Authority::new();
        let setup = Setup::new(TLS, "").await;
        let (certificate, key) = authority.server();
        setup.write("cert.pem", &certificate);
        setup.write("key.pem", &key);
        setup.write("clients.pem", &authority.certificate);
        setup.write("policy.toml", POLICY);
        Self {
            gateway: setup.serve().await,
            setup,
            authority,
        }
    }

    fn client(&self, shown: &Pair) -> Client {
        Client::with(self.gateway.grpc, |it| {
            self.authority.trusted(&it, Some(shown))
        })
    }

    async fn who(&self, names: &[&str], claims: &[&str]) -> DynamicMessage {
        let client = self.client(&self.authority.client(names));
        let token = self.setup.token_of("tester", claims);
        let request = client.request(WHO, "");
        client.call(WHO, Some(&token), &request).await.ok()
    }
}

fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    let value = message.get_field_by_name(field).unwrap();
    let all = value.as_list().unwrap().iter();
    all.map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// The names of the roles in an answer of `WhoAmI`.
fn roles(who: &DynamicMessage) -> Vec<String> {
    let roles = who.get_field_by_name("roles").unwrap();
    let roles = roles.as_list().unwrap().iter();
    let name = |it: &Value| text(it.as_message().unwrap(), "role");
    roles.map(name).collect()
}

const PAYMENTS: &str = "spiffe://example.org/ns/payments/sa/api";

/// What a client shows, and the roles that it then has with the claim `payments`.
const CASES: [(&[&str], &[&str]); 9] = [
    (&[PAYMENTS], &["by-uri", "by-any", "by-token"]),
    (
        &["spiffe://example.org/ns/other/sa/api"],
        &["by-any", "by-token"],
    ),
    // a longer name that begins alike, and another trust domain
    (
        &["spiffe://example.org/ns/payments-2/sa/api"],
        &["by-any", "by-token"],
    ),
    (
        &["spiffe://example.com/ns/payments/sa/api"],
        &["by-any", "by-token"],
    ),
    (
        &["api.payments.example.org"],
        &["by-host", "by-any", "by-token"],
    ),
    (
        &["API.Payments.example.org"],
        &["by-host", "by-any", "by-token"],
    ),
    (&["payments.example.org"], &["by-any", "by-token"]),
    (
        &["api.payments.example.org", PAYMENTS],
        &["by-uri", "by-host", "by-any", "by-token"],
    ),
    // a certificate without any name is one that fits nothing
    (&[], &["by-token"]),
];

#[tokio::test]
async fn the_token_and_the_certificate_have_to_fit() {
    let stage = Stage::new().await;
    for (names, expected) in CASES {
        let who = stage.who(names, &["payments"]).await;
        assert_eq!(roles(&who), expected, "{names:?}");
        // the certificate alone is nothing
        let who = stage.who(names, &["other"]).await;
        assert!(roles(&who).is_empty(), "{names:?}");
    }
    let audit = ["spiffe://example.org/ns/security/sa/audit"];
    assert_eq!(roles(&stage.who(&audit, &[]).await), ["by-subject"]);

    // the names that were shown are told, and recorded: URIs first
    let names = ["API.payments.example.org", PAYMENTS];
    let who = stage.who(&names, &["payments"]).await;
    let told = [PAYMENTS, "api.payments.example.org"];
    assert_eq!(texts(&who, "certificate_names"), told);
    let trail = records(&stage.setup.config(), &[]);
    let last = trail.last().unwrap();
    assert_eq!(last["peer"]["certificate"], told.join(", "));
    let nameless = stage.who(&[], &["payments"]).await;
    assert!(texts(&nameless, "certificate_names").is_empty());
    let trail = records(&stage.setup.config(), &[]);
    assert!(trail.last().unwrap()["peer"].get("certificate").is_none());
}

/// The method that needs the permission of a role.
fn method(role: &str) -> &'static str {
    match role {
        "by-uri" => "keygate.datadog.v2.ApiKeyService/ListApiKeys",
        "by-host" => "keygate.datadog.v2.ApiKeyService/CreateApiKey",
        "by-any" => "keygate.datadog.v2.ApiKeyService/DeleteApiKey",
        "by-token" => {
            "keygate.datadog.v2.CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey"
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn calls_are_decided_as_they_are_explained() {
    let stage = Stage::new().await;
    let shown = stage
        .authority
        .client(&["spiffe://example.org/ns/security/sa/audit"]);
    let security = stage.client(&shown);
    let token = stage.setup.token();
    for (names, expected) in CASES {
        let client = stage.client(&stage.authority.client(names));
        let caller = stage.setup.token_of("api", &["payments"]);
        for role in ["by-uri", "by-host", "by-any", "by-token"] {
            let (method, permitted) = (method(role), expected.contains(&role));
            // nothing is configured there: who may learns that, who may not does not
            let answer = client
                .call(method, Some(&caller), &client.request(method, "k"))
                .await;
            let reason = if permitted {
                "UPSTREAM_NOT_CONFIGURED"
            } else {
                "POLICY_DENIED"
            };
            assert_eq!(answer.reason(), reason, "{names:?} {method}");
            // and what is missing is named
            if !permitted {
                let at = ["by-uri", "by-host", "by-any"]
                    .iter()
                    .position(|it| *it == role);
                let rule = format!("outside grants[{}].certificate", at.unwrap());
                let message = answer.result.unwrap_err().message().to_owned();
                assert!(message.contains(&rule), "{message}");
            }

            let mut subject = security.method(EXPLAIN).input();
            let field = subject.get_field_by_name("subject").unwrap();
            subject = field.kind().as_message().unwrap().clone();
            let mut subject = DynamicMessage::new(subject);
            let list = |all: &[&str]| {
                let all = all.iter().map(|it| Value::String((*it).to_owned()));
                Value::List(all.collect())
            };
            subject.set_field_by_name("claims", list(&["payments"]));
            subject.set_field_by_name("certificate_names", list(names));
            let mut request = security.request(EXPLAIN, "");
            request.set_field_by_name("method", Value::String(method.to_owned()));
            request.set_field(&field, Value::Message(subject));
            let told = security.call(EXPLAIN, Some(&token), &request).await.ok();
            let decision = told.get_field_by_name("decision").unwrap();
            let expected = if permitted { 1 } else { 2 };
            assert_eq!(
                decision.as_enum_number(),
                Some(expected),
                "{names:?} {method}"
            );

            let output = explain(&stage.setup, names, method);
            let code = if permitted { 0 } else { 77 };
            assert_eq!(output.status.code(), Some(code), "{names:?} {method}");
        }
    }
}

fn explain(setup: &Setup, names: &[&str], method: &str) -> Output {
    let mut command = keygate(["policy", "explain", "--claim", "payments", "--config"]);
    command.arg(setup.config());
    for name in names {
        command.args(["--certificate", name]);
    }
    command.arg(method).output().unwrap()
}

#[tokio::test]
async fn a_certificate_that_ends_counts_no_more_on_a_connection_that_is_open() {
    let stage = Stage::new().await;
    let clock = Clock::system();
    let names = [PAYMENTS];
    let shown = stage.authority.client_for(&names, Duration::from_secs(8));
    let client = stage.client(&shown);
    let token = stage.setup.token_of("api", &["payments"]);
    let request = client.request(WHO, "");
    let who = client.call(WHO, Some(&token), &request).await.ok();
    assert_eq!(texts(&who, "certificate_names"), names);
    let begun = clock.instant();
    let refused = loop {
        let answer = client.call(WHO, Some(&token), &request).await;
        if answer.code() != "OK" {
            break answer;
        }
        assert!(clock.instant() - begun < PATIENCE, "it counts for ever");
    };
    assert_eq!(refused.code(), "UNAUTHENTICATED");
    assert_eq!(refused.reason(), "CERTIFICATE_INVALID");
    let trail = records(&stage.setup.config(), &[]);
    let last = trail.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["reason"]),
        (&"refused".into(), &"CERTIFICATE_INVALID".into())
    );
    assert_eq!(last["peer"]["certificate"], PAYMENTS);
    // with the next one it goes on
    stage.who(&names, &["payments"]).await;
}

#[tokio::test]
async fn a_grant_that_can_never_hold_is_remarked_on() {
    let setup = Setup::new("", "").await;
    setup.write("policy.toml", POLICY);
    let output = run(["check", "--config", setup.config().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let (told, _) = told(&output);
    let gateway = setup.serve().await;
    for text in [told, gateway.process.logged()] {
        for grant in [0, 1, 2, 4] {
            assert!(
                text.contains(&format!("grants[{grant}].certificate")),
                "{text}"
            );
        }
        assert!(
            !text.contains("grants[3]") && text.contains("client_ca"),
            "{text}"
        );
    }
    // nor does it hold there for anybody
    let client = gateway.client();
    let token = setup.token_of("api", &["payments"]);
    let request = client.request(WHO, "");
    let who = client.call(WHO, Some(&token), &request).await.ok();
    assert_eq!(roles(&who), ["by-token"]);
}
