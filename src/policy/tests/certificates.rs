//! Many grants that ask for a certificate.

use std::fmt::Write as _;

use super::*;

/// So many grants, for any subject or for one claim, each for another team.
fn many(holder: &str) -> Policy {
    let mut text = "[roles.reader]\npermissions = [\"api_keys_read\"]\n".to_owned();
    for number in 0..10_000 {
        writeln!(text, "[[grants]]\nrole = \"reader\"\n{holder}").unwrap();
        writeln!(text, "certificate = \"spiffe://example.org/ns/{number}/*\"").unwrap();
    }
    policy(&text)
}

fn showing(names: &[&str]) -> Caller {
    Caller {
        certificate_names: names.iter().map(|it| (*it).to_owned()).collect(),
        ..caller("bob", &["team"])
    }
}

#[test]
fn each_is_found_by_its_certificate() {
    for holder in ["subject = \"*\"", "claim = \"team\"", "subject = \"b*\""] {
        let policy = many(holder);
        let decide = |caller: &Caller| policy.authorize(caller, operation(LIST), None);
        let own = showing(&["other", "spiffe://example.org/ns/9999/sa/api"]);
        assert_eq!(decide(&own).unwrap().rule(), "grants[9999] roles.reader");
        for other in [&["spiffe://example.org/ns/10000/sa/api"][..], &[]] {
            // whoever is told why it is denied is not told ten thousand reasons
            let rule = decide(&showing(other)).unwrap_err().rule;
            let reasons = rule
                .strip_prefix("outside grants[0].certificate, ")
                .unwrap();
            assert!(
                reasons.ends_with("grants[7].certificate, and more"),
                "{rule}"
            );
        }
        let stranger = Caller {
            subject: "eve".to_owned(),
            claims: Vec::new(),
            ..own
        };
        let is_any = holder.contains("\"*\"");
        assert_eq!(decide(&stranger).is_ok(), is_any, "{holder}");
    }
}
