//! Records are watched as they are committed: none is lost, and none comes twice.

use keygate::{
    contract::proto::keygate::audit::v1::{RecordFilter, RecordKind, WatchRecordsRequest},
    tasks::Tasks,
};
use tokio_util::sync::CancellationToken;

use super::{Auditor, call_on, leave_a_record};
use crate::support::{
    gateway::Client,
    served::{SANDBOX_POLICY, Served},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_watcher_gets_every_record_once_and_in_order() {
    const CALLS: usize = 300;
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    let nobody = served.token("nobody", &[]);
    let tasks = Tasks::new();
    let mut watching = Vec::new();
    for at in 0..6_u64 {
        let auditor = auditor.clone();
        // some see denials alone, and some begin anew again and again
        let (denials, restless) = (at % 2 == 1, at % 3 == 0);
        watching.push(tasks.spawn(async move {
            let kinds = denials.then(|| RecordKind::Denied.into());
            let mut request = WatchRecordsRequest {
                filter: Some(RecordFilter {
                    kinds: kinds.into_iter().collect(),
                    subject: "n*".to_owned(),
                    ..RecordFilter::default()
                }),
                from_position: Some(0),
                to_position: None,
            };
            let mut seen = Vec::new();
            let mut watch = auditor.watch(&request).await;
            while seen.len() < CALLS {
                let message = watch.next().await.unwrap().unwrap();
                seen.extend(message.record.map(|it| it.position));
                if restless && seen.len() % 40 == 7 {
                    request.from_position = Some(message.next_position);
                    watch = auditor.watch(&request).await;
                }
            }
            seen
        }));
    }
    // what is denied to one, and what another may: of the watchers' own none is
    const LIST: &str = "keygate.datadog.v2.ApiKeyService/ListApiKeys";
    let mut calling = Vec::new();
    for _ in 0..6 {
        let (client, admin, nobody) = (client.clone(), admin.clone(), nobody.clone());
        calling.push(tasks.spawn(async move {
            for _ in 0..CALLS / 6 {
                leave_a_record(&client, &admin).await;
                let request = client.request(LIST, "");
                client.call(LIST, Some(&nobody), &request).await;
            }
        }));
    }
    for it in calling {
        it.await.unwrap();
    }
    let records = served.records();
    let denied = records.iter().enumerate();
    let denied = denied.filter(|(_, it)| it["caller"]["subject"] == "nobody");
    let denied: Vec<_> = denied.map(|(at, _)| at as u64).collect();
    assert_eq!(denied.len(), CALLS);
    for it in watching {
        assert_eq!(it.await.unwrap(), denied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_of_everything_is_the_trail_itself() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    for _ in 0..50 {
        leave_a_record(&client, &admin).await;
    }
    let (enough, tasks) = (CancellationToken::new(), Tasks::new());
    let writing =
        (0..4).map(|_| tasks.spawn(call_on(client.clone(), admin.clone(), enough.clone())));
    let writing: Vec<_> = writing.collect();
    let request = WatchRecordsRequest {
        from_position: Some(0),
        to_position: Some(400),
        ..WatchRecordsRequest::default()
    };
    let mut watch = auditor.watch(&request).await;
    let mut bodies = Vec::new();
    while let Some(message) = watch.next().await.unwrap() {
        let record = message.record.unwrap();
        assert_eq!(record.position, bodies.len() as u64);
        bodies.push(record.body);
    }
    enough.cancel();
    for it in writing {
        it.await.unwrap();
    }
    assert_eq!(bodies.len(), 400, "it ends where it was to end");
    let records = served.records();
    for (body, record) in bodies.iter().zip(&records) {
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body, *record);
    }
}

#[tokio::test]
async fn without_a_position_it_begins_with_what_is_committed_next() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    for _ in 0..5 {
        leave_a_record(&client, &admin).await;
    }
    let mut watch = auditor.watch(&WatchRecordsRequest::default()).await;
    leave_a_record(&client, &admin).await;
    assert_eq!(watch.position().await.unwrap(), Some(5));
    // a position that is still to come is waited for, but none beyond that
    let from = |position| WatchRecordsRequest {
        from_position: Some(position),
        ..WatchRecordsRequest::default()
    };
    let mut next = auditor.watch(&from(6)).await;
    leave_a_record(&client, &admin).await;
    assert_eq!(next.position().await.unwrap(), Some(6));
    assert_eq!(watch.position().await.unwrap(), Some(6));
    let answer = auditor.call("WatchRecords", &from(1000)).await;
    assert_eq!(answer.reason(), "INVALID_REQUEST");
    let backward = WatchRecordsRequest {
        to_position: Some(1),
        ..from(2)
    };
    let answer = auditor.call("WatchRecords", &backward).await;
    assert_eq!(answer.reason(), "INVALID_REQUEST");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_told_now_and_then_how_far_things_have_got() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    let request = WatchRecordsRequest {
        filter: Some(RecordFilter {
            subject: "nobody-at-all".to_owned(),
            ..RecordFilter::default()
        }),
        from_position: Some(0),
        to_position: None,
    };
    let mut watch = auditor.watch(&request).await;
    let tasks = Tasks::new();
    let calling = (0..8).map(|_| {
        let (client, admin) = (client.clone(), admin.clone());
        tasks.spawn(async move {
            for _ in 0..150 {
                leave_a_record(&client, &admin).await;
            }
        })
    });
    for it in calling.collect::<Vec<_>>() {
        it.await.unwrap();
    }
    let told = watch.next().await.unwrap().unwrap();
    assert!(told.record.is_none());
    assert!((1000..=1200).contains(&told.next_position), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_holds_nobody_up_and_is_recorded_with_what_was_taken() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let narrow = |it: tonic::transport::Endpoint| {
        it.initial_stream_window_size(4096)
            .initial_connection_window_size(4096)
    };
    let auditor = Auditor {
        client: Client::with(served.gateway.grpc, narrow),
        ..Auditor::new(&served)
    };
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    let request = WatchRecordsRequest {
        from_position: Some(0),
        ..WatchRecordsRequest::default()
    };
    leave_a_record(&client, &admin).await;
    let mut watch = auditor.watch_as(&request, Some("slow")).await.unwrap();
    assert_eq!(watch.position().await.unwrap(), Some(0));
    for _ in 0..300 {
        leave_a_record(&client, &admin).await;
    }
    drop(watch);
    let record = super::ending::record(&served, "slow").await;
    assert_eq!(record["outcome"], "succeeded", "{record:#}");
    assert_eq!(record["code"], "CANCELLED", "{record:#}");
    let items = record["items"].as_u64().unwrap();
    assert!((1..200).contains(&items), "{record:#}");
}
