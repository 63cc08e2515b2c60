//! Every filter, against what the records say.

use super::*;

#[tokio::test]
async fn every_filter_finds_what_it_means_and_nothing_else() {
    type Means = Box<dyn Fn(&Json) -> bool>;
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let records = traffic(&served).await;
    let auditor = Auditor::new(&served);
    let (one, other) = (time(&records[3]), time(&records[9]));
    let made = records
        .iter()
        .find(|it| it["rpc"] == CREATE && it["outcome"] == "succeeded");
    let made = made.unwrap().clone();
    let between = (
        text(&records[3], "/time").to_owned(),
        text(&records[9], "/time").to_owned(),
    );
    let id = text(&made, "/resource/id").to_owned();
    let name = text(&made, "/resource/name").to_owned();
    let fingerprint = text(&made, "/fingerprints/0").to_owned();
    let (call, request_id) = (
        text(&made, "/call").to_owned(),
        text(&made, "/request_id").to_owned(),
    );
    let any = RecordFilter::default;
    let issuer = served.setup.issuer.issuer().to_owned();
    let is = |pointer: &'static str, wanted: &str| -> Means {
        let wanted = wanted.to_owned();
        Box::new(move |it| text(it, pointer) == wanted)
    };
    let cases: Vec<(&str, RecordFilter, Means)> = vec![
        ("all", any(), Box::new(|_| true)),
        (
            "time",
            RecordFilter {
                since: Some(one),
                until: Some(other),
                ..any()
            },
            Box::new(move |it| {
                let time = text(it, "/time");
                time >= between.0.as_str() && time < between.1.as_str()
            }),
        ),
        (
            "issuer",
            RecordFilter {
                issuer: issuer.clone(),
                ..any()
            },
            is("/caller/issuer", &issuer),
        ),
        (
            "subject",
            RecordFilter {
                subject: "a-reader".to_owned(),
                ..any()
            },
            is("/caller/subject", "a-reader"),
        ),
        (
            "a pattern of subjects",
            RecordFilter {
                subject: "system:serviceaccount:*:api".to_owned(),
                ..any()
            },
            is("/caller/subject", "system:serviceaccount:payments:api"),
        ),
        (
            "the end of an RPC's name in lower case",
            RecordFilter {
                rpc: "listapikeys".to_owned(),
                ..any()
            },
            Box::new(|it| text(it, "/rpc").ends_with("/ListApiKeys")),
        ),
        (
            "a pattern of RPCs",
            RecordFilter {
                rpc: "Delete*".to_owned(),
                ..any()
            },
            is("/rpc", DELETE),
        ),
        (
            "a part of an upstream",
            RecordFilter {
                upstream: "us1/main".to_owned(),
                ..any()
            },
            is("/upstream", "datadog/us1/main"),
        ),
        (
            "a vendor",
            RecordFilter {
                upstream: "coveo".to_owned(),
                ..any()
            },
            Box::new(|it| text(it, "/upstream").starts_with("coveo/")),
        ),
        (
            "resource type",
            RecordFilter {
                resource_type: "api_key".to_owned(),
                ..any()
            },
            is("/resource/type", "api_key"),
        ),
        (
            "resource id",
            RecordFilter {
                resource_id: id.clone(),
                ..any()
            },
            is("/resource/id", &id),
        ),
        (
            "a pattern of a resource's name",
            RecordFilter {
                resource_name: format!("{}*", &name[..20]),
                ..any()
            },
            Box::new(move |it| text(it, "/resource/name").starts_with(&name[..20])),
        ),
        (
            "decision",
            RecordFilter {
                kinds: vec![RecordKind::Denied.into()],
                ..any()
            },
            is("/kind", "denied"),
        ),
        (
            "two kinds",
            RecordFilter {
                kinds: vec![RecordKind::Refused.into(), RecordKind::Intent.into()],
                ..any()
            },
            Box::new(|it| ["refused", "intent"].contains(&text(it, "/kind"))),
        ),
        (
            "result",
            RecordFilter {
                outcomes: vec![Outcome::Rejected.into(), Outcome::Succeeded.into()],
                ..any()
            },
            Box::new(|it| ["rejected", "succeeded"].contains(&text(it, "/outcome"))),
        ),
        (
            "code",
            RecordFilter {
                code: "UNAUTHENTICATED".to_owned(),
                ..any()
            },
            is("/code", "UNAUTHENTICATED"),
        ),
        (
            "call",
            RecordFilter {
                call: call.clone(),
                ..any()
            },
            is("/call", &call),
        ),
        (
            "request id",
            RecordFilter {
                request_id: request_id.clone(),
                ..any()
            },
            is("/request_id", &request_id),
        ),
        (
            "fingerprint",
            RecordFilter {
                fingerprint: fingerprint.clone(),
                ..any()
            },
            Box::new(move |it| {
                let all = it["fingerprints"].as_array();
                all.is_some_and(|it| it.iter().any(|it| *it == fingerprint.as_str()))
            }),
        ),
        (
            "two at once",
            RecordFilter {
                subject: "a-reader".to_owned(),
                kinds: vec![RecordKind::Denied.into()],
                ..any()
            },
            Box::new(|it| text(it, "/caller/subject") == "a-reader" && it["kind"] == "denied"),
        ),
    ];
    for (what, filter, means) in cases {
        for order in [RecordOrder::NewestFirst, RecordOrder::OldestFirst] {
            let request = ListRecordsRequest {
                filter: Some(filter.clone()),
                order: order.into(),
                page_size: 3,
                page_token: String::new(),
            };
            let (listed, _) = auditor.pages(&request).await;
            // the listing's own calls have left records since
            let listed = listed.iter().map(|it| it.position);
            let mut listed: Vec<_> = listed.filter(|it| *it < records.len() as u64).collect();
            if order == RecordOrder::NewestFirst {
                listed.reverse();
            }
            let expected = records.iter().enumerate().filter(|(_, it)| means(it));
            let expected: Vec<_> = expected.map(|(at, _)| at as u64).collect();
            assert!(!expected.is_empty(), "{what}: nothing to be found");
            assert_eq!(listed, expected, "{what}");
        }
    }
}
