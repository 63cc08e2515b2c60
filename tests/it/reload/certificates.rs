//! The server's certificate, and those that vouch for clients.

use std::{collections::BTreeSet, slice::from_ref, time::Duration};

use super::{
    GET, Stage, WHO, replace,
    steady::{Moment, Steady, all_right},
};
use crate::support::{
    gateway::{Client, records},
    tls::{Authority, Pair},
};

const TLS: &str = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
const MUTUAL: &str =
    "tls = { cert = \"cert.pem\", key = \"key.pem\", client_ca = \"clients.pem\" }";

/// A gateway with a certificate of this authority, which trusts clients of those.
async fn stage(server: &str, authority: &Authority, clients: &[&Authority]) -> Stage {
    Stage::prepared(server, "", |setup| {
        let (certificate, key) = authority.server();
        setup.write("cert.pem", &certificate);
        setup.write("key.pem", &key);
        setup.write("clients.pem", &bundle(clients));
    })
    .await
}

fn bundle(authorities: &[&Authority]) -> String {
    let all = authorities.iter().map(|it| it.certificate.as_str());
    all.collect()
}

impl Stage {
    fn secure(&self, authority: &Authority, shown: Option<&Pair>) -> Client {
        Client::with(self.gateway.grpc, |it| authority.trusted(&it, shown))
    }

    /// Whether a client that connects now gets an answer; else why not.
    async fn answers(&self, authority: &Authority, shown: Option<&Pair>) -> Result<(), String> {
        let client = self.secure(authority, shown);
        let request = client.request(WHO, "");
        let answer = client.call(WHO, Some(&self.setup.token()), &request).await;
        answer.result.map_err(|it| format!("{it:?}"))
    }

    /// The ports that calls of a subject came from, in the trail.
    fn peers(&self, subject: &str) -> BTreeSet<String> {
        let filter = ["--rpc", GET, "--subject", subject];
        let records = records(&self.setup.config(), &filter);
        let peer = |it: &serde_json::Value| it["peer"]["address"].as_str().unwrap().to_owned();
        records.iter().map(peer).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_is_rotated_for_new_connections_and_open_ones_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let stage = stage(TLS, &old, &[]).await;
    let clients = [stage.secure(&old, None), stage.secure(&old, None)];
    let token = stage.setup.token_of("steady", &["admin"]);
    let callers = Steady::start(&clients, 8, GET, &token, &Moment::default());
    callers.go_on(50).await;
    assert!(stage.answers(&new, None).await.is_err());

    // the first of two files that belong together fits nothing
    let (certificate, key) = new.server();
    replace(&stage.setup, "cert.pem", &certificate);
    stage.refused(1).await;
    let line = stage.logged("can't be used").await;
    assert!(
        line.contains("not the private key of the certificate"),
        "{line}"
    );
    stage.answers(&old, None).await.unwrap();
    replace(&stage.setup, "key.pem", &key);
    stage.taken(2).await;
    stage.answers(&new, None).await.unwrap();
    assert!(stage.answers(&old, None).await.is_err());
    callers.go_on(50).await;

    // what is no certificate leaves the last one
    replace(&stage.setup, "cert.pem", "-----BEGIN CERTIFICATE-----\n");
    stage.refused(2).await;
    stage.answers(&new, None).await.unwrap();
    callers.go_on(50).await;
    all_right(&callers.stop().await);
    replace(&stage.setup, "cert.pem", &certificate);
    assert_eq!(stage.peers("steady").len(), clients.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_vouches_for_clients_is_rotated_and_open_connections_go_on_or_end() {
    let server = Authority::new();
    let (old, new) = (Authority::new(), Authority::new());
    let stage = stage(MUTUAL, &server, &[&old]).await;
    let shown = [&old, &new].map(|it| it.client(&["spiffe://example.org/api"]));
    let token = |subject: &str| stage.setup.token_of(subject, &["admin"]);
    let open = stage.secure(&server, Some(&shown[0]));
    let before = Steady::start(from_ref(&open), 4, GET, &token("old"), &Moment::default());
    before.go_on(20).await;
    assert!(stage.answers(&server, Some(&shown[1])).await.is_err());

    // both
    replace(&stage.setup, "clients.pem", &bundle(&[&old, &new]));
    stage.taken(2).await;
    let client = stage.secure(&server, Some(&shown[1]));
    let after = Steady::start(&[client], 4, GET, &token("new"), &Moment::default());
    after.go_on(20).await;
    before.go_on(20).await;
    all_right(&before.stop().await);
    assert_eq!(stage.peers("old").len(), 1);

    // the new one alone: from here on no call gets through on the connection that
    // is open, nor on another
    let moment = Moment::default();
    let before = Steady::start(&[open], 4, GET, &token("old"), &moment);
    before.go_on(20).await;
    replace(&stage.setup, "clients.pem", &new.certificate);
    stage.taken(3).await;
    moment.pass();
    before.go_on(20).await;
    after.go_on(20).await;
    let calls = before.stop().await;
    let let_in = calls.iter().filter(|it| it.from == 1 && it.result == "OK");
    assert_eq!(let_in.count(), 0);
    for call in calls {
        // or there is no connection any more, as the next test of one shows
        let is_told = call.result == "CERTIFICATE_INVALID" || call.result.contains("transport");
        assert!(call.result == "OK" || is_told, "{call:?}");
    }
    assert!(stage.answers(&server, Some(&shown[0])).await.is_err());
    all_right(&after.stop().await);
    assert_eq!(stage.peers("new").len(), 1);
    stage.logged("counts no more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_a_certificate_that_ends_soon_is_sent_for_the_next_one_in_time() {
    let authority = Authority::new();
    let stage = stage(MUTUAL, &authority, &[&authority]).await;
    let shown = authority.client_for(&["api.example.org"], Duration::from_secs(25));
    let client = stage.secure(&authority, Some(&shown));
    let token = stage.setup.token_of("steady", &["admin"]);
    let callers = Steady::start(&[client], 4, GET, &token, &Moment::default());
    stage.logged("counts no more").await;
    callers.go_on(20).await;
    // it showed the same again, as it still holds: every call that was sent succeeded
    let calls = callers.stop().await;
    let (right, others): (Vec<_>, Vec<_>) = calls.iter().partition(|it| it.result == "OK");
    for call in others {
        // tonic does not try again what its closing connection had not sent yet
        assert!(call.result.contains("connection closed"), "{call:?}");
    }
    let recorded = records(&stage.setup.config(), &["--subject", "steady"]);
    assert_eq!(recorded.len(), right.len());
    assert!(recorded.iter().all(|it| it["outcome"] == "succeeded"));
    assert!(stage.peers("steady").len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_asked_for_certificates_from_then_on() {
    let server = Authority::new();
    let stage = stage(TLS, &server, &[&server]).await;
    let shown = server.client(&["api.example.org"]);
    let open = stage.secure(&server, None);
    let request = open.request(WHO, "");
    let token = stage.setup.token();
    open.call(WHO, Some(&token), &request).await.ok();
    let text = stage.text();
    replace(&stage.setup, "keygate.toml", &text.replace(TLS, MUTUAL));
    stage.taken(2).await;
    let refused = open.call(WHO, Some(&token), &request).await;
    assert_ne!(refused.code(), "OK");
    stage.answers(&server, Some(&shown)).await.unwrap();
    // and no more
    replace(&stage.setup, "keygate.toml", &text);
    stage.taken(3).await;
    stage.answers(&server, None).await.unwrap();
}
