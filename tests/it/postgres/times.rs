//! Records of a time are found, whatever the clocks of replicas say.

use std::time::{Duration, SystemTime};

use keygate::{
    audit::{Entry, Filter, Kind, Order, Query, Record},
    clock::Clock,
};

use super::{upkeep::DAY, *};

const HOUR: Duration = Duration::from_secs(3600);

/// A time as records tell it.
fn told(at: SystemTime) -> String {
    Record::new(Kind::Outcome, "", "", at).time
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_time_are_found_though_the_clocks_of_replicas_are_a_day_apart() {
    let stage = Stage::start().await;
    let now = Clock::system().now();
    for hour in 0..8_u32 {
        for (origin, behind) in [("one", DAY), ("two", 2 * DAY)] {
            let at = now - behind + HOUR * hour;
            let trail = stage.open_at(origin, at);
            let entry = |it: u32| {
                let mut record = trail.record(Kind::Denied, &format!("{origin}-{hour}-{it}"));
                record.time = told(at - HOUR * it * 7 / 100);
                Entry::from(record)
            };
            trail
                .append_all((0..100).map(entry).collect())
                .await
                .unwrap();
            trail.close().await.unwrap();
        }
    }
    let reader = stage.reader();
    let find = |filter: &Filter, order| {
        let query = Query {
            filter: filter.clone(),
            order,
            ..Query::default()
        };
        let found = reader.records(query).map(|it| it.unwrap());
        found
            .map(|it| (it.position, it.record.time))
            .collect::<Vec<_>>()
    };
    let all = find(&Filter::default(), Order::Oldest);
    let mut some = 0;
    for since in 0..30_u32 {
        for until in since..30 {
            let [since, until] = [since, until].map(|it| now - 3 * DAY + HOUR * it * 3);
            let filter = Filter {
                since: Some(since),
                until: Some(until),
                ..Filter::default()
            };
            let between = |time: &String| *time >= told(since) && *time < told(until);
            let mut expected = all.clone();
            expected.retain(|(_, time)| between(time));
            some += usize::from(!expected.is_empty() && expected.len() < all.len());
            assert_eq!(find(&filter, Order::Oldest), expected);
            expected.reverse();
            assert_eq!(find(&filter, Order::Newest), expected);
        }
        let before = now - 3 * DAY + HOUR * since * 3;
        let expected = all.iter().filter(|(_, time)| *time < told(before)).count();
        let pruned = reader.pruning(before, None).unwrap().pruned;
        let pruned = pruned.map_or(0, |it| it.records);
        assert_eq!(pruned, expected as u64);
    }
    assert!(some > 200, "{some}");
    drop(reader);

    // that is looked at, too
    let output = stage.verify(&["one", "two"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", all_told(&output));
    let client = stage.postgres.client(DATABASE).await;
    let change = "UPDATE keygate.spans SET latest = earliest WHERE number = 2";
    assert_eq!(client.execute(change, &[]).await.unwrap(), 1);
    let output = stage.verify(&["one", "two"], &[]);
    let said = all_told(&output);
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(
        said.contains("the times that records are found by"),
        "{said}"
    );
}
