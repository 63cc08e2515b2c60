//! The configuration itself: upstreams, limits, the log, and what takes a restart.

use std::fs;

use prost_reflect::ReflectMessage as _;

use super::{
    GET, Stage, Upstream, WHO, replace,
    steady::{Moment, Steady, all_right},
};
use crate::support::serve::{POLICY, Setup, until};

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_come_move_and_go_under_load() {
    let stage = Stage::new("", "").await;
    let (client, token) = (stage.gateway.client(), stage.setup.token());
    let clients = [client.clone(), stage.gateway.client()];
    let callers = Steady::start(&clients, 8, GET, &token, &Moment::default());
    callers.go_on(50).await;
    let before = stage.text();
    let in_eu = async || {
        let mut request = client.request(GET, "k");
        let site = request.descriptor().get_field_by_name("site").unwrap();
        let eu = site
            .kind()
            .as_enum()
            .unwrap()
            .get_value_by_name("SITE_EU")
            .unwrap();
        request.set_field(&site, prost_reflect::Value::EnumNumber(eu.number()));
        client.call(GET, Some(&token), &request).await
    };
    assert_eq!(in_eu().await.reason(), "UPSTREAM_NOT_CONFIGURED");

    // one comes
    let other = Upstream::start("third").await;
    other.take("first");
    stage.setup.write("other-key", "third");
    let more = other.section("eu", "{ file = \"other-key\" }");
    replace(&stage.setup, "keygate.toml", &format!("{before}{more}"));
    stage.taken(2).await;
    in_eu().await.ok();
    assert_eq!(other.came("third"), 1);

    // one moves, and gets limits of its own
    let moved = before.replace(&stage.upstream.address, &other.address);
    replace(
        &stage.setup,
        "keygate.toml",
        &format!("{moved}max_concurrency = 3\n{more}"),
    );
    stage.taken(3).await;
    callers.go_on(50).await;
    let (there, here) = (other.came("first"), stage.upstream.came("first"));
    assert!(there > 0 && here > 0);
    callers.go_on(50).await;
    assert_eq!(stage.upstream.came("first"), here);

    // one goes
    replace(&stage.setup, "keygate.toml", &before);
    stage.taken(4).await;
    callers.go_on(50).await;
    assert_eq!(in_eu().await.reason(), "UPSTREAM_NOT_CONFIGURED");
    assert!(stage.upstream.came("first") > here);
    all_right(&callers.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_one_changes_nothing_and_is_taken_when_the_files_that_it_names_are_mended() {
    let stage = Stage::new("", "").await;
    let token = stage.setup.token();
    let callers = Steady::start(
        &[stage.gateway.client()],
        4,
        GET,
        &token,
        &Moment::default(),
    );
    callers.go_on(20).await;
    let good = stage.text();

    // faults of the configuration hide none of the policy's
    stage.setup.write("policy.toml", "[roles.r]\n");
    let faulty = good.replace("file = \"key\"", "file = \"no-such-key\"");
    let faulty = faulty.replace("[audit]", "[audit]\ncolour = \"red\"");
    replace(&stage.setup, "keygate.toml", &faulty);
    stage.refused(1).await;
    let told = async || {
        let all = stage.gateway.process.logged();
        let mut lines = all.lines().filter(|it| it.contains("can't be used"));
        lines.next_back().unwrap_or_default().to_owned()
    };
    until("everything is told", || {
        let all = stage.gateway.process.logged();
        let wanted = [
            "datadog[0].api_key",
            "no-such-key",
            "audit.colour",
            "roles.r",
        ];
        let mut lines = all.lines();
        lines.find(|it| wanted.iter().all(|part| it.contains(part)))?;
        Some(())
    })
    .await;
    assert!(!told().await.is_empty());
    assert_eq!(stage.figure("keygate_reload_failed").await, 1.0);
    callers.go_on(20).await;

    // the names of a policy and of a key that are not there yet
    stage.setup.write("policy.toml", POLICY);
    let next = good.replace("policy.toml", "policy-2.toml");
    let next = next.replace("file = \"key\"", "file = \"key-2\"");
    replace(&stage.setup, "keygate.toml", &next);
    stage.upstream.take("second");
    until("it misses both", || {
        let all = stage.gateway.process.logged();
        let mut lines = all.lines();
        lines.find(|it| it.contains("policy-2.toml") && it.contains("key-2"))?;
        Some(())
    })
    .await;
    stage.setup.write("policy-2.toml", POLICY);
    stage.setup.write("key-2", "second");
    stage.taken(2).await;
    callers.go_on(20).await;
    assert!(stage.upstream.came("second") > 0);
    assert_eq!(stage.figure("keygate_reload_failed").await, 0.0);

    // from now on only what it names now is followed
    replace(&stage.setup, "key", "first\n\n");
    replace(&stage.setup, "key-2", "second\n");
    stage.taken(3).await;
    all_right(&callers.stop().await);
}

#[tokio::test]
async fn what_takes_a_restart_is_told_and_all_else_is_in_force() {
    let stage = Stage::new("", "").await;
    let text = stage.text().replace(
        "[server]",
        "[server]\nworker_threads = 2\nmax_in_flight = 7",
    );
    let text = text.replacen("127.0.0.1:0", "127.0.0.1:1", 1);
    let text = text.replace("sqlite:trail.db", "sqlite:other.db");
    let text = text + "[log]\nlevel = \"debug\"\nformat = \"text\"\n";
    replace(&stage.setup, "keygate.toml", &text);
    stage.taken(2).await;
    for setting in [
        "server.grpc",
        "server.worker_threads",
        "audit",
        "log.format",
    ] {
        stage.logged(&format!("\"setting\":\"{setting}\"")).await;
    }
    assert_eq!(stage.figure("keygate_restart_needed").await, 4.0);
    assert_eq!(stage.figure("keygate_reload_failed").await, 0.0);
    // the level is another, the format is not
    let (client, token) = (stage.gateway.client(), stage.setup.token());
    let request = client.request(GET, "k");
    client.call(GET, Some(&token), &request).await.ok();
    let line = stage.logged("\"level\":\"DEBUG\"").await;
    serde_json::from_str::<serde_json::Value>(&line).unwrap();
    assert!(!stage.setup.folder.path().join("other.db").exists());
}

#[tokio::test]
async fn the_log_gets_quiet_and_talks_again() {
    let stage = Stage::new("", "[log]\nlevel = \"info\"\n").await;
    let (client, token) = (stage.gateway.client(), stage.setup.token());
    let request = client.request(GET, "k");
    let lines = || {
        let logged = stage.gateway.process.logged();
        logged.matches("\"message\":\"call\"").count()
    };
    for (taken, level, more) in [
        (2, "error", 0),
        (3, "keygate::call=info,error", 1),
        (4, "info", 1),
    ] {
        let text = stage.text();
        let start = text.find("level = ").unwrap();
        let end = start + text[start..].find('\n').unwrap();
        let text = format!("{}level = \"{level}\"{}", &text[..start], &text[end..]);
        replace(&stage.setup, "keygate.toml", &text);
        stage.taken(taken).await;
        let before = lines();
        client.call(GET, Some(&token), &request).await.ok();
        assert_eq!(lines(), before + more, "{level}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_is_not_taken_for_one_that_has_changed() {
    const CALLS: usize = 4;
    let setup = Setup::new("", "").await;
    let text = fs::read_to_string(setup.config()).unwrap();
    let text = text.replace("{ stdout = false }", "{ stdout = false, file = \"notes\" }");
    setup.write("keygate.toml", &text);
    let gateway = setup.serve().await;
    let (client, token) = (gateway.client(), setup.token());
    let notes = setup.folder.path().join("notes");
    for at in 1..=CALLS {
        let request = client.request(WHO, "");
        client.call(WHO, Some(&token), &request).await.ok();
        let size = format!("keygate\n{at}\n");
        until("its checkpoint is written", || {
            let notes = fs::read_to_string(&notes).unwrap_or_default();
            notes.contains(&size).then_some(())
        })
        .await;
    }
    // what is read in the end is the change that there was
    replace(&setup, "policy.toml", &format!("{POLICY}\n"));
    let reads = || gateway.process.logged().matches("was read anew").count();
    until("it is read", || (reads() > 0).then_some(())).await;
    assert_eq!(reads(), 1);
}
