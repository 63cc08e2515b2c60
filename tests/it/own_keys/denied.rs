//! What is known to be the gateway's own is out of reach.

use std::collections::BTreeSet;

use prost_reflect::Value;

use super::{Caller, assert_denied, by_id, held, ids_of, listed, lists, makers, places, serve};
use crate::support::{
    served::{MAIN, SANDBOX_POLICY, Served, id},
    upstreams::Place,
    vendors::holding,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_call_names_one_whatever_it_is_to_do() {
    let served = serve().await;
    let admin = Caller::admin(&served);
    let mut denied = 0;
    for (place, simulator) in served.upstreams.all() {
        let own = ids_of(place.vendor, &simulator.state(), &simulator.masters());
        assert_eq!(
            own.len(),
            place.vendor.masters.len(),
            "{}",
            place.upstream()
        );
        let before = held(&served, place);
        for id in &own {
            // upstream may take each for the same
            let spellings = BTreeSet::from([id.clone(), id.to_uppercase(), id.replace('-', "")]);
            for (method, _) in by_id(place.vendor) {
                for id in &spellings {
                    let answer = admin.call(&method, id).await;
                    assert_denied(&answer, &format!("{method} {id}"));
                    denied += 1;
                }
            }
        }
        assert_eq!(held(&served, place), before, "{}", place.upstream());
    }
    assert!(served.upstreams.requests().is_empty(), "upstream was asked");
    let records = served.records();
    assert_eq!(records.len(), denied);
    for record in records {
        assert_eq!(record["kind"], "denied", "{record}");
        assert_eq!(record["rule"], super::RULE, "{record}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_among_others_keeps_them_all_from_being_touched() {
    const CREATE: &str = "keygate.coveo.v1.ApiKeyService/CreateApiKey";
    let served = serve().await;
    let admin = Caller::admin(&served);
    let simulator = served.upstreams.at("coveo/us/main");
    let own = ids_of(
        &crate::support::vendors::COVEO,
        &simulator.state(),
        &simulator.masters(),
    );
    let other = id(admin.call(CREATE, "").await);
    let before = served.upstreams.requests().len();
    let mut bulk = 0;
    for (method, key) in by_id(&crate::support::vendors::COVEO) {
        let mut request = admin.client.request_at(&method, "", MAIN);
        let field = admin.client.method(&method).input();
        let field = field.get_field_by_name(key.field).unwrap();
        if !field.is_list() {
            continue;
        }
        bulk += 1;
        let ids = [&other, &own[0]].map(|it| Value::String(it.clone()));
        request.set_field(&field, Value::List(ids.into()));
        assert_denied(&admin.send(&method, &request).await, &method);
        request.set_field(&field, holding(&field, &other));
    }
    assert_eq!(bulk, 3);
    assert_eq!(served.upstreams.requests().len(), before);
    // each key has a record of it
    let records = served.records();
    let denied: Vec<_> = records.iter().filter(|it| it["kind"] == "denied").collect();
    let about = |id: &String| {
        denied
            .iter()
            .filter(|it| it["resource"]["id"] == **id)
            .count()
    };
    assert_eq!((denied.len(), about(&other), about(&own[0])), (6, 3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_replaced_by_its_name() {
    const REPLACE: &str = "keygate.braintrust.v1.ServiceTokenService/ReplaceServiceToken";
    let served = serve().await;
    let admin = Caller::admin(&served);
    let (place, _) = served
        .upstreams
        .all()
        .find(|(it, _)| it.vendor.name == "braintrust")
        .unwrap();
    let before = held(&served, place);
    let mut request = admin.client.request_at(REPLACE, "", MAIN);
    for (name, is_own) in [("keygate master", true), ("another", false)] {
        request.set_field_by_name("name", Value::String(name.to_owned()));
        let answer = admin.send(REPLACE, &request).await;
        if is_own {
            assert_denied(&answer, name);
            assert_eq!(held(&served, place), before);
        } else {
            answer.ok();
        }
    }
    let sent = served.upstreams.requests();
    let sent: Vec<_> = sent
        .iter()
        .map(|it| it["method"].as_str().unwrap())
        .collect();
    assert_eq!(sent, ["GET", "GET", "PUT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_leave_them_out_and_count_them_still() {
    let served = serve().await;
    let mut hid = false;
    let admin = Caller::admin(&served);
    for (place, simulator) in served.upstreams.all() {
        let own = ids_of(place.vendor, &simulator.state(), &simulator.masters());
        let own = BTreeSet::from_iter(own);
        let mut made = BTreeSet::new();
        for (maker, _) in makers(place.vendor) {
            made.insert(id(admin.call(&maker, "").await));
        }
        let mut seen = BTreeSet::new();
        for list in lists(place.vendor) {
            let answer = admin.call(&list, "").await;
            let total = answer.messages.first().and_then(|it| {
                let meta = it.get_field_by_name("meta")?.as_message()?.clone();
                meta.get_field_by_name("total_filtered_count")?.as_i64()
            });
            let ids = listed(answer);
            assert!(ids.is_disjoint(&own), "{list}");
            if let Some(total) = total {
                // upstream's own figure: who pages by it comes to the end
                let hidden = total - i64::try_from(ids.len()).unwrap();
                assert!((0..=1).contains(&hidden), "{list}: {hidden}");
                hid |= hidden == 1;
            }
            seen.extend(ids);
        }
        assert!(made.is_subset(&seen), "{}", place.upstream());
    }
    assert!(hid, "no total tells of what is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_one_upstream_is_out_of_reach_through_another() {
    let mut places = places();
    places.extend(Place::everywhere("other"));
    let served = Served::start(SANDBOX_POLICY, places, "info").await;
    let admin = Caller::admin(&served);
    for (place, simulator) in served.upstreams.all().filter(|(it, _)| it.name == MAIN) {
        for own in ids_of(place.vendor, &simulator.state(), &simulator.masters()) {
            for (method, _) in by_id(place.vendor) {
                let request = admin.client.request_at(&method, &own, "other");
                assert_denied(&admin.send(&method, &request).await, &method);
            }
        }
    }
    assert!(served.upstreams.requests().is_empty());
}
