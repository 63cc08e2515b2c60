//! How a gateway starts on a database, or says why it does not.

use super::*;
use crate::support::tls::{Authority, NAME};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_is_told_with_what_to_do() {
    let mut stage = Stage::start().await;
    let serve = |config: &PathBuf| {
        [
            "serve".to_owned(),
            "--config".to_owned(),
            config.to_str().unwrap().to_owned(),
        ]
    };
    let fails = |config: &PathBuf, exit: i32| {
        let arguments = serve(config);
        fails(&arguments.each_ref().map(String::as_str), exit)
    };
    let good = stage.replica("one");
    let url = stage.postgres.url(DATABASE, DATABASE);

    // a replica has its name for itself
    let running = Gateway::start(&good).await;
    let told = fails(&good, 74);
    assert!(
        told.contains("another keygate is writing as `one`"),
        "{told}"
    );
    drop(running);

    stage.setup.write("wrong", "not-the-password");
    let wrong = format!(
        "store = {{ url = \"{url}\", password = {{ file = \"wrong\" }} }}\norigin = \"one\""
    );
    let told = fails(&stage.stored("wrong", &wrong), 74);
    assert!(
        told.contains("does not let `keygate` in; check the password"),
        "{told}"
    );
    assert!(!told.contains("not-the-password"), "{told}");
    let none = format!("store = \"{url}\"\norigin = \"one\"");
    let told = fails(&stage.stored("none", &none), 74);
    assert!(told.contains("wants a password of `keygate`"), "{told}");
    let there = stage.postgres.url_with_password(DATABASE, DATABASE);
    let there = stage.stored("url", &format!("store = \"{there}\"\norigin = \"one\""));
    drop(Gateway::start(&there).await);

    let nowhere = stage.replica_at("nowhere", &stage.postgres.url(DATABASE, "nowhere"), "");
    let told = fails(&nowhere, 74);
    assert!(told.contains("there is no database `nowhere`"), "{told}");

    stage
        .postgres
        .run(
            DATABASE,
            "UPDATE keygate.meta SET value = '99' WHERE name = 'version';\n",
        )
        .await;
    let told = fails(&good, 74);
    assert!(told.contains("schema version 99"), "{told}");
    stage
        .postgres
        .run(
            DATABASE,
            "UPDATE keygate.meta SET value = '1' WHERE name = 'version';\n",
        )
        .await;

    tokio::task::block_in_place(|| stage.postgres.stop());
    let told = fails(&good, 69);
    assert!(told.contains("PostgreSQL can't be reached"), "{told}");
    stage.postgres.start_again_with(&["fsync=off"]).await;
    let told = fails(&good, 74);
    assert!(told.contains("fsync = off"), "{told}");
    tokio::task::block_in_place(|| stage.postgres.stop());
    stage
        .postgres
        .start_again_with(&["default_transaction_read_only=on"])
        .await;
    let told = fails(&good, 74);
    assert!(told.contains("takes no writes"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_elsewhere_is_spoken_to_over_tls_that_was_checked() {
    let (authority, other) = (Authority::new(), Authority::new());
    let stage = Stage::with(Postgres::over_tls(&authority.server()).await).await;
    let ca = stage.setup.write("ca.pem", &authority.certificate);
    let wrong = stage.setup.write("other.pem", &other.certificate);
    let port = stage.postgres.port.unwrap();
    let url = |host: &str, more: &str| {
        format!("postgres://{DATABASE}@{host}:{port}/{DATABASE}?hostaddr=127.0.0.1{more}")
    };
    let with = |ca: &PathBuf| format!(", ca = \"{}\"", ca.to_str().unwrap());

    let config = stage.replica_at("one", &url(NAME, "&sslmode=verify-full"), &with(&ca));
    let gateway = Gateway::start(&config).await;
    make(&gateway.client(), &stage.token(), "made-over-tls")
        .await
        .ok();
    assert_eq!(records(&config, &[]).len(), 2);
    drop(gateway);
    let encrypted = "SELECT 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE usename = 'keygate' AND NOT ssl";
    let client = stage.postgres.client(SUPERUSER).await;
    assert!(client.query(encrypted, &[]).await.unwrap().is_empty());

    for (url, more) in [
        // by whom it is not vouched for, and under a name that it does not have
        (url(NAME, "&sslmode=require"), with(&wrong)),
        (url("elsewhere.example", ""), with(&ca)),
    ] {
        let config = stage.replica_at("one", &url, &more);
        let told = fails(&["serve", "--config", config.to_str().unwrap()], 74);
        assert!(told.contains("there is no TLS with PostgreSQL"), "{told}");
    }
    // a server that takes none but encrypted connections
    let config = stage.replica_at("one", &url(NAME, "&sslmode=disable"), "");
    let told = fails(&["serve", "--config", config.to_str().unwrap()], 74);
    assert!(told.contains("does not let `keygate` in"), "{told}");
}

#[test]
fn faults_of_the_settings_are_told_together_and_without_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keygate.toml");
    let told = |audit: &str| {
        let text = format!("[audit]\n{audit}\n");
        std::fs::write(&file, text).unwrap();
        fails(&["check", "--config", file.to_str().unwrap()], 78)
    };
    let password = PASSWORD;
    for (audit, faults) in [
        (
            format!("store = \"postgres://u:{password}@db:x/d\""),
            vec!["audit.store (line 2): this is not a URL of PostgreSQL"],
        ),
        (
            format!("store = \"postgres://u:{password}@db/d\""),
            vec!["audit.origin", "this is missing: replicas"],
        ),
        (
            format!("store = \"postgres://u:{password}@db/d?sslmode=prefer\""),
            vec!["audit.store", "`sslmode` must be"],
        ),
        (
            format!(
                "origin = \"a\"\nstore = {{ url = \"postgres://u:{password}@localhost/d\", \
                 password = {{ env = \"HOME\" }}, ca = \"none.pem\", reconnect = \"1ms\", colour = 1 }}"
            ),
            vec![
                "audit.store.password",
                "there is one in `url` too",
                "audit.store.ca",
                "audit.store.reconnect",
                "audit.store.colour",
            ],
        ),
        (
            "store = { url = \"sqlite:trail.db\" }".to_owned(),
            vec!["audit.store.url"],
        ),
    ] {
        let told = told(&audit);
        for fault in faults {
            assert!(told.contains(fault), "{fault}: {told}");
        }
    }
}
