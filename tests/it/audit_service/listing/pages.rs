//! Pages stay what they are while others write, and end when much was looked at.

use keygate::{
    audit::{Caller, Kind, Location, Settings, Trail},
    clock::Clock,
    random::Random,
    tasks::Tasks,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{audit_service::call_on, support::serve::Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_of_what_there_was_at_first_while_others_write() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    for _ in 0..100 {
        leave_a_record(&client, &admin).await;
    }
    let (enough, tasks) = (CancellationToken::new(), Tasks::new());
    let writing =
        (0..4).map(|_| tasks.spawn(call_on(client.clone(), admin.clone(), enough.clone())));
    let writing: Vec<_> = writing.collect();
    let auditor = Auditor::new(&served);
    for order in [RecordOrder::OldestFirst, RecordOrder::NewestFirst] {
        let request = ListRecordsRequest {
            order: order.into(),
            page_size: 7,
            ..ListRecordsRequest::default()
        };
        let (listed, count) = auditor.pages(&request).await;
        let mut positions: Vec<_> = listed.iter().map(|it| it.position).collect();
        if order == RecordOrder::NewestFirst {
            positions.reverse();
        }
        let all: Vec<_> = (0..positions.len() as u64).collect();
        assert_eq!(positions, all, "each once, and in order");
        assert_eq!(count, positions.len().div_ceil(7));
    }
    enough.cancel();
    for it in writing {
        it.await.unwrap();
    }
    let (all, _) = auditor.pages(&ListRecordsRequest::default()).await;
    assert!(all.len() > 200, "nobody has written meanwhile");
}

/// A trail that was there before the gateway, with one record in a thousand of a
/// subject that no index can find.
async fn filled(setup: &Setup, records: usize) {
    let store = Location::parse("sqlite:trail.db", setup.folder.path());
    let settings = Settings::at(store.unwrap());
    let trail = Trail::open(&settings, Clock::system(), Random::system()).unwrap();
    let record = |at: usize| {
        let mut record = trail.record(Kind::Outcome, &format!("call-{at}"));
        let subject = match at % 1000 {
            7 => format!("needle-{at}"),
            _ => "hay".to_owned(),
        };
        record.caller = Some(Caller {
            subject,
            ..Caller::default()
        });
        record.into()
    };
    for piece in (0..records).collect::<Vec<_>>().chunks(2000) {
        let entries = piece.iter().map(|it| record(*it)).collect();
        trail.append_all(entries).await.unwrap();
    }
    trail.close().await.unwrap();
}

#[tokio::test]
async fn a_page_ends_when_much_was_looked_at_and_nothing_is_missed() {
    let setup = Setup::new("", "").await;
    setup.write("policy.toml", SANDBOX_POLICY);
    filled(&setup, 45_000).await;
    let gateway = setup.serve().await;
    let auditor = Auditor {
        client: gateway.client(),
        token: setup.token_of("the-auditor", &["auditor"]),
    };
    let request = ListRecordsRequest {
        filter: Some(RecordFilter {
            subject: "needle-*".to_owned(),
            ..RecordFilter::default()
        }),
        order: RecordOrder::OldestFirst.into(),
        page_size: 1000,
        page_token: String::new(),
    };
    let (found, pages) = auditor.pages(&request).await;
    let found: Vec<_> = found.iter().map(|it| it.position).collect();
    let expected: Vec<_> = (0..45).map(|it| it * 1000 + 7).collect();
    assert_eq!(found, expected);
    assert_eq!(pages, 3);
    let first = auditor.page(&request).await;
    assert_eq!(first.records.len(), 20);
}
