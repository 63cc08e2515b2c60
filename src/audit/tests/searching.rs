//! Records are found by what is in them, wherever that is kept by then.

use super::*;
use crate::audit::verify::{Evidence, verify};

/// One of a few, so that many records have it.
fn few(random: &Random, many: u8) -> u8 {
    let [byte] = random.bytes();
    byte % many
}

/// A record that says some things that others say too.
fn record(trail: &Trail, random: &Random, number: usize) -> Record {
    let mut record = trail.record(Kind::Outcome, &format!("call-{}", number / 2));
    record.outcome = Some(Outcome::Succeeded);
    record.effect = Some("read".to_owned());
    record.request_id = match few(random, 3) {
        0 => None,
        1 => Some(record.call.clone()),
        _ => Some(format!("call-{}", few(random, 40))),
    };
    record.caller = Some(Caller {
        subject: format!("s{}", few(random, 4)),
        ..Caller::default()
    });
    record.resource = Some(Resource {
        id: Some(format!("k{}", few(random, 30))),
        ..Resource::default()
    });
    for _ in 0..few(random, 3) {
        let secret = format!("secret-{}", few(random, 20));
        record.fingerprints.push(trail.fingerprint(&secret));
    }
    record
}

fn filters(reader: &Reader, all: &[Stored]) -> Vec<Filter> {
    let text = |kind: &str, number: usize| Some(format!("{kind}{number}"));
    let any = Filter::default;
    let mut filters = vec![any()];
    for number in 0..40 {
        filters.push(Filter {
            request_id: text("call-", number),
            ..any()
        });
        filters.push(Filter {
            call: text("call-", number),
            ..any()
        });
        filters.push(Filter {
            resource_id: text("k", number),
            kinds: vec![Kind::Outcome],
            ..any()
        });
        filters.push(Filter {
            subject: text("s", number % 5),
            resource_id: text("k", number),
            ..any()
        });
        filters.push(Filter {
            subject: text("s", number % 5),
            ..any()
        });
        let mut both = reader.fingerprints(&format!("secret-{number}"));
        both.extend(reader.fingerprints("secret-0"));
        filters.push(Filter {
            fingerprints: Some(both),
            ..any()
        });
    }
    // between some records, for some subjects and for all
    for (number, stored) in all.iter().enumerate().step_by(9) {
        let at = |stored: &Stored| {
            let nanoseconds = record::nanoseconds(&stored.record.time);
            let since = std::time::Duration::from_nanos(nanoseconds.cast_unsigned());
            Some(std::time::SystemTime::UNIX_EPOCH + since)
        };
        let until = all.get(number + 40).and_then(at);
        let subject = text("s", number % 3).filter(|_| number % 2 == 0);
        filters.push(Filter {
            since: at(stored),
            until,
            subject,
            ..any()
        });
        filters.push(Filter {
            until: at(stored),
            subject: text("s", 1),
            ..any()
        });
    }
    filters
}

/// What a filter finds is what it lets through of all that there is.
fn compare(folder: &Folder) {
    let all = folder.all();
    let reader = Reader::open(&folder.settings()).unwrap();
    for filter in filters(&reader, &all) {
        let matcher = filter::Matcher::new(filter.clone());
        let fitting = all.iter().filter(|it| matcher.matches(&it.record));
        let mut expected: Vec<_> = fitting.map(|it| it.position).collect();
        for order in [Order::Oldest, Order::Newest] {
            let mut found = Vec::new();
            // page by page
            loop {
                let page = folder.read(Query {
                    filter: filter.clone(),
                    order,
                    after: found.last().copied(),
                    limit: Some(7),
                    ..Query::default()
                });
                found.extend(page.iter().map(|it| it.position));
                if page.len() < 7 {
                    break;
                }
            }
            assert_eq!(found, expected, "{order:?} {filter:?}");
            expected.reverse();
        }
    }
    let report = verify(&folder.settings(), &Evidence::default(), &mut |_, _| ()).unwrap();
    assert!(report.holds(), "{:?}", report.findings);
}

#[tokio::test]
async fn whoever_searches_finds_all_that_a_look_at_every_record_finds() {
    let (folder, random) = (Folder::new(), Random::system());
    let mut number = 0;
    let mut half = Clock::system().now();
    for session in 0..4 {
        let trail = folder.open();
        while number < (session + 1) * 45 {
            // what is written at once may be of several runs, or of a part of one
            let together = 1 + usize::from(few(&random, 30));
            let entries = (number..number + together).map(|it| record(&trail, &random, it).into());
            trail.append_all(entries.collect()).await.unwrap();
            number += together;
        }
        // the last one is tidied up behind these by now
        trail.append(record(&trail, &random, number)).await.unwrap();
        let last = number as i64 / 8;
        assert!(count(&folder, "SELECT count(*) FROM runs") >= last);
        number += 1;
        if session == 1 {
            half = Clock::system().now();
        }
        if session == 3 {
            compare(&folder);
            let mandate = Mandate {
                caller: None,
                rule: "a test".to_owned(),
            };
            let pruning = trail.prune(half, None, mandate).await.unwrap();
            assert!(pruning.pruned.unwrap().records > 80);
            compare(&folder);
        }
        trail.close().await.unwrap();
        compare(&folder);
    }
    assert!(count(&folder, "SELECT count(*) FROM runs") > 20);
    let gone = count(&folder, "SELECT count(*) FROM terms WHERE run < 9");
    assert_eq!(gone, 0);
}

fn count(folder: &Folder, sql: &str) -> i64 {
    let kept = Connection::open(folder.path()).unwrap();
    kept.query_row(sql, [], |row| row.get(0)).unwrap()
}
