//! The masters' credentials.

use super::{
    GET, Stage, replace,
    steady::{Moment, Steady, all_right},
};
use crate::support::serve::{POLICY, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_rotated_under_load_and_no_call_is_lost() {
    let stage = Stage::new("", "").await;
    let clients = [stage.gateway.client(), stage.gateway.client()];
    let callers = Steady::start(&clients, 8, GET, &stage.setup.token(), &Moment::default());
    callers.go_on(50).await;
    let mut old = "first".to_owned();
    for number in 2..8 {
        let new = format!("master-{number}");
        stage.upstream.take(&new);
        replace(&stage.setup, "key", &new);
        stage.taken(number).await;
        // a request with the old one may be on its way
        callers.go_on(50).await;
        assert!(stage.upstream.came(&new) > 0);
        stage.upstream.revoke(&old);
        let last = stage.upstream.came(&old);
        callers.go_on(50).await;
        assert_eq!(stage.upstream.came(&old), last, "{old} is still presented");
        old = new;
    }
    all_right(&callers.stop().await);

    // what is no credential leaves the last one
    replace(&stage.setup, "key", "two\nlines");
    stage.refused(1).await;
    let line = stage.logged("can't be used").await;
    assert!(line.contains("datadog/us1/main: api_key"), "{line}");
    assert!(!stage.gateway.process.logged().contains("lines"));
    let client = stage.gateway.client();
    let request = client.request(GET, "k");
    let token = stage.setup.token();
    client.call(GET, Some(&token), &request).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_again_on_a_signal_and_not_because_a_file_has_changed() {
    let stage = Stage::prepared("", "", |setup| {
        let text = std::fs::read_to_string(setup.config()).unwrap();
        let folder = setup.folder.path().to_str().unwrap();
        let command = format!(
            "{{ command = [\"sh\", \"-c\", \"echo >> {folder}/runs; cat {folder}/key\"] }}"
        );
        setup.write(
            "keygate.toml",
            &text.replace("{ file = \"key\" }", &command),
        );
    })
    .await;
    let runs = || {
        let runs = std::fs::read_to_string(stage.setup.folder.path().join("runs"));
        runs.unwrap().lines().count()
    };
    let client = stage.gateway.client();
    let callers = Steady::start(&[client], 4, GET, &stage.setup.token(), &Moment::default());
    callers.go_on(20).await;
    assert_eq!(runs(), 1);

    stage.upstream.take("second");
    stage.setup.write("key", "second");
    stage
        .setup
        .write("policy.toml", &format!("{POLICY}# another\n"));
    stage.taken(2).await;
    callers.go_on(20).await;
    assert_eq!((runs(), stage.upstream.came("second")), (1, 0));

    stage.gateway.process.hang_up();
    stage.taken(3).await;
    callers.go_on(20).await;
    assert_eq!(runs(), 2);
    assert!(stage.upstream.came("second") > 0);

    // one that fails leaves what it gave before, and holds nothing else up
    std::fs::remove_file(stage.setup.folder.path().join("key")).unwrap();
    stage.gateway.process.hang_up();
    stage.refused(1).await;
    assert_eq!(runs(), 3);
    stage.setup.write("policy.toml", POLICY);
    stage.taken(4).await;
    callers.go_on(20).await;
    assert_eq!(runs(), 3);
    all_right(&callers.stop().await);
}

#[tokio::test]
async fn a_signal_with_nothing_changed_changes_nothing() {
    let stage = Stage::new("", "").await;
    stage.gateway.process.hang_up();
    stage.taken(2).await;
    let logged = || {
        let logged = stage.gateway.process.logged();
        logged.contains("read anew").then_some(())
    };
    until("it is logged", logged).await;
    let client = stage.gateway.client();
    let request = client.request(GET, "k");
    let token = stage.setup.token();
    client.call(GET, Some(&token), &request).await.ok();
}
