//! What the user of a gateway may do in the database, and what nobody may.

use super::*;
use crate::support::serve::until;

/// The user that serves.
const SERVER: &str = "keygate_serve";

#[tokio::test(flavor = "multi_thread")]
async fn serving_needs_no_right_to_change_records() {
    let stage = Stage::start().await;
    let role = format!("CREATE ROLE {SERVER} LOGIN PASSWORD '{PASSWORD}';\n");
    stage.postgres.run(DATABASE, &role).await;
    let serving = stage.replica_at("one", &stage.postgres.url(SERVER, DATABASE), "");
    let (serve, owner) = (serving.to_str().unwrap(), stage.replica("owner"));
    let owner = owner.to_str().unwrap();

    // who may not make tables says who has to
    let told = fails(&["serve", "--config", serve], 74);
    assert!(told.contains("keygate migrate"), "{told}");
    let migrate = |arguments: &[&str]| {
        let output = run([&["migrate", "--config", owner], arguments].concat());
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{printed}");
        printed
    };
    assert_eq!(migrate(&[]), "tables: made, version 1\n");
    let told = fails(&["serve", "--config", serve], 74);
    assert!(
        told.contains(&format!("keygate migrate --grant {SERVER}")),
        "{told}"
    );
    let granted = migrate(&["--grant", SERVER]);
    assert_eq!(
        granted,
        "tables: as they should be, version 1; `keygate_serve` may serve\n"
    );
    fails(&["migrate", "--config", owner, "--grant", "no\"body"], 74);

    let gateway = Gateway::start(&serving).await;
    let (client, token) = (gateway.client(), stage.token());
    make(&client, &token, "made-one").await.ok();
    let key = records(&serving, &[])[1]["resource"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    on(&client, DELETE, &token, &key).await.ok();
    assert_eq!(records(&serving, &[]).len(), 4);

    // not even who owns the tables changes a record by mistake
    let may_serve = stage.postgres.client(DATABASE).await;
    may_serve
        .batch_execute(&format!("SET ROLE {SERVER}"))
        .await
        .unwrap();
    let owns = stage.postgres.client(DATABASE).await;
    owns.batch_execute(&format!("SET ROLE {DATABASE}"))
        .await
        .unwrap();
    for client in [&may_serve, &owns] {
        for change in [
            "UPDATE keygate.records SET body = '\\x00' WHERE position = 0",
            "UPDATE keygate.records SET body = NULL, kind = 'denied' WHERE position = 0",
            "UPDATE keygate.records SET subject = 'mallory' WHERE position = 0",
            "UPDATE keygate.records SET body = NULL, subject = 'mallory' WHERE position = 0",
            "DELETE FROM keygate.records WHERE position = 0",
            "TRUNCATE keygate.records",
        ] {
            let refused = client.batch_execute(change).await.unwrap_err();
            let code = refused.code().map(|it| it.code().to_owned());
            assert_eq!(code.as_deref(), Some("42501"), "{change}: {refused}");
        }
    }
    for (table, change) in [
        ("head", "DELETE FROM"),
        ("origins", "DELETE FROM"),
        ("checkpoints", "DELETE FROM"),
        ("fingerprint_keys", "DELETE FROM"),
        ("meta", "DELETE FROM"),
    ] {
        let refused = may_serve
            .batch_execute(&format!("{change} keygate.{table}"))
            .await;
        assert!(refused.is_err(), "{table}");
    }
    stage.verified(&["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_is_missed_until_it_is_given_back() {
    let stage = Stage::start().await;
    let config = stage.replica_at(
        "one",
        &stage.postgres.url(DATABASE, DATABASE),
        ", reconnect = \"1s\"",
    );
    let gateway = Gateway::start(&config).await;
    let (client, token) = (gateway.client(), stage.token());
    make(&client, &token, "made-before").await.ok();
    let revoke = format!("REVOKE INSERT ON keygate.records FROM {DATABASE};\n");
    stage.postgres.run(DATABASE, &revoke).await;
    let refused = make(&client, &token, "made-without").await;
    assert_eq!(refused.reason(), "AUDIT_UNAVAILABLE");
    until("it says why", || {
        gateway
            .process
            .logged()
            .contains("lacks a right")
            .then_some(())
    })
    .await;
    let grant = format!("GRANT INSERT ON keygate.records TO {DATABASE};\n");
    stage.postgres.run(DATABASE, &grant).await;
    let begun = keygate::clock::Clock::system().instant();
    while make(&client, &token, "made-after").await.result.is_err() {
        assert!(begun.elapsed() < crate::support::gateway::PATIENCE);
    }
    let of_refused = records(&config, &["--request-id", "made-without"]);
    assert_eq!(texts(&of_refused, "kind"), ["intent", "outcome"]);
    assert_eq!(of_refused[1]["outcome"], "not_sent");
    assert_eq!(stage.made(), ["made-before", "made-after"]);
}
