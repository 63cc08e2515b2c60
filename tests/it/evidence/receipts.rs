//! Every mutation's answer carries a receipt that proves its record.

use super::*;
use crate::support::gateway::{contract, is_terminal};

#[tokio::test(flavor = "multi_thread")]
async fn every_mutation_of_the_contract_gives_a_receipt_that_proves_its_record() {
    let mut stage = Stage::new().await;
    let operations = contract().operations().iter();
    let mut expected = 0;
    for operation in operations.filter(|it| it.not_offered.is_none()) {
        if operation.service.starts_with("keygate.audit")
            || operation.service.starts_with("keygate.access")
        {
            continue;
        }
        let before = stage.receipts.len();
        let answer = stage.call(&operation.method).await;
        let of_answer = stage.receipts.len() - before;
        let mutation = usize::from(operation.effect.is_mutation());
        assert!(
            (mutation..=mutation * 3).contains(&of_answer),
            "{}: {of_answer} receipts, {:?}",
            operation.method,
            answer.result
        );
        expected += of_answer;
    }
    assert!(expected > 30, "{expected}");
    stage.end();

    // each proves a terminal record of its own, without the trail
    let exported = audit(&[
        "export",
        "--format",
        "jsonl",
        "--config",
        stage.served.setup.config().to_str().unwrap(),
    ]);
    assert!(exported.status.success(), "{}", all_told(&exported));
    let lines = String::from_utf8(exported.stdout).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    let key = stage.key();
    let mut proved = Vec::new();
    for path in &stage.receipts {
        let text = fs::read_to_string(path).unwrap();
        let index = text
            .lines()
            .find_map(|it| it.strip_prefix("index "))
            .unwrap();
        let line = lines[index.parse::<usize>().unwrap()];
        let record: Json = serde_json::from_str(line).unwrap();
        assert!(is_terminal(&record), "{record}");
        assert!(matches!(
            record["effect"].as_str(),
            Some("create" | "update" | "delete")
        ));
        let alone = stage.kept.path().join("record.json");
        fs::write(&alone, line).unwrap();
        let (key, receipt) = (key.to_str().unwrap(), path.to_str().unwrap());
        let prove = |record: &Path| {
            audit(&[
                "prove",
                "--key",
                key,
                "--receipt",
                receipt,
                record.to_str().unwrap(),
            ])
        };
        let output = prove(&alone);
        assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
        fs::write(&alone, line.replacen("\"v\":1", "\"v\":2", 1)).unwrap();
        assert_eq!(prove(&alone).status.code(), Some(65));
        proved.push(record["id"].clone());
    }
    proved.sort_by_key(ToString::to_string);
    proved.dedup();
    assert_eq!(proved.len(), expected);

    // and the trail holds against all of them, by either program
    let receipts: Vec<_> = stage
        .receipts
        .iter()
        .flat_map(|it| ["--receipt", it.to_str().unwrap()])
        .collect();
    let output = stage.verify(&receipts);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
    let none = stage.kept.path().join("none");
    fs::write(&none, "").unwrap();
    let output = stage.verify_independently(&none);
    assert!(output.status.success(), "{}", all_told(&output));
    assert!(all_told(&output).contains(&format!("receipts: {expected}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_fails_has_its_receipt_too() {
    let mut stage = Stage::new().await;
    let client = stage.served.client();
    let request = client.request(DELETE, "no-such-key");
    for (roles, code) in [
        (&["admin"][..], "NOT_FOUND"),
        (&["reader"], "PERMISSION_DENIED"),
        (&[], "PERMISSION_DENIED"),
    ] {
        let token = stage.served.token("kim", roles);
        let answer = client.call(DELETE, Some(&token), &request).await;
        assert_eq!(answer.code(), code);
        assert_eq!(answer.receipts.len(), 1, "{roles:?}");
        stage.keep(&answer);
    }
    let nobody = client.call(DELETE, None, &request).await;
    assert_eq!(
        (nobody.code(), nobody.receipts.len()),
        ("UNAUTHENTICATED", 1)
    );
    // a list proves nothing to its caller
    assert!(stage.call(LIST).await.receipts.is_empty());
    stage.end();
    let output = stage.verify(&["--receipt", stage.receipts[1].to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
}
