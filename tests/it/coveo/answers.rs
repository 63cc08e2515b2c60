//! What answers hold, in whatever form upstream has it.

use keygate::contract::proto::keygate::coveo::v1::{
    ApiKey, ApiKeyStatus, ApiKeyStatusFilter, ExposureCreationType, ExposureSeverity,
    ExposureSource, ListApiKeysRequest, PrivacyLevel,
    api_key::{Expiry, LastUsed, Secret},
};
use prost_types::{Struct, Timestamp, value::Kind};
use serde_json::{Value as Json, json};

use super::{Bench, Caller, get, names, value};
use crate::support::{served::SANDBOX_POLICY, upstreams::inject};

/// What a caller gets where upstream answers this to a read, and to a list.
async fn shown(bench: &Bench, caller: &Caller, key: &Json) -> ApiKey {
    let answer = |body: Json| json!({ "count": 1, "fault": { "status": 200, "body": body } });
    inject(bench.simulator(), answer(key.clone()));
    let read = caller.ask(get("a")).await.api_key.unwrap();
    inject(bench.simulator(), answer(json!([key])));
    assert_eq!(caller.list().await, std::slice::from_ref(&read));
    read
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_read_in_either_form() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    for (written, read) in [
        (json!(1_614_969_486_123_u64), "2021-03-05T18:38:06.123Z"),
        (json!(0), "1970-01-01T00:00:00Z"),
        (json!(-1), "1969-12-31T23:59:59.999Z"),
        (
            json!("2021-03-05T18:38:06.123Z"),
            "2021-03-05T18:38:06.123Z",
        ),
        (
            json!("2021-03-05T13:38:06.123456-05:00"),
            "2021-03-05T18:38:06.123456Z",
        ),
    ] {
        let key = json!({
            "id": "a", "createdDate": written, "lastUsedDate": written, "expirationDate": written,
            "activationDate": written, "disabledDate": written,
            "exposureReport": {
                "deactivationDate": written, "createdDate": written,
                "reasons": [{ "createdDate": written }],
            },
        });
        let key = shown(&bench, &admin, &key).await;
        let expected = Some(time(read));
        assert_eq!(key.created_date, expected, "{written}");
        assert_eq!(key.activation_date, expected);
        assert_eq!(key.disabled_date, expected);
        assert_eq!(key.last_used, expected.map(LastUsed::LastUsedDate));
        assert_eq!(key.expiry, expected.map(Expiry::ExpirationDate));
        let report = key.exposure_report.unwrap();
        assert_eq!(report.deactivation_date, expected);
        assert_eq!(report.created_date, expected);
        assert_eq!(report.reasons[0].created_date, expected);
        assert_eq!(key.additional_members, None);
    }
    let never =
        json!({ "id": "a", "lastUsedDate": null, "expirationDate": null, "disabledDate": null });
    let never = shown(&bench, &admin, &never).await;
    assert_eq!(never.last_used, Some(LastUsed::NeverUsed(true)));
    assert_eq!(never.expiry, Some(Expiry::NeverExpires(true)));
    assert_eq!(never.null_members, ["disabledDate"]);
    // what is no time is kept as it came
    for odd in [json!("yesterday"), json!(1.5), json!(i64::MAX), json!([])] {
        let key = json!({ "id": "a", "createdDate": odd });
        let key = shown(&bench, &admin, &key).await;
        assert_eq!(key.created_date, None, "{odd}");
        assert!(
            key.additional_members
                .unwrap()
                .fields
                .contains_key("createdDate")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_has_its_field() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    let key = json!({
        "id": "a", "tokenId": "b", "resourceId": "c", "organizationId": "d", "displayName": "e",
        "description": "f", "enabled": true, "status": "DISABLED_EXPOSED", "value": "xx*****1343",
        "privileges": [{ "owner": "g", "targetDomain": "h", "targetId": "i", "type": "j", "level": "k" }],
        "allowedIps": ["l"], "deniedIps": [], "createdBy": { "username": "m", "email": "n" },
        "apiKeyTemplateId": "o", "privacyLevel": "PUBLIC",
        "groupsThatCanEdit": [{ "id": "p", "displayName": "q" }], "apiKeysThatCanEdit": [],
        "additionalConfiguration": { "commerce": { "catalogId": "r" } },
        "exposureReport": {
            "apiKeyLoggerId": "s", "severity": "WARN", "creationType": "AUTOMATED",
            "createdBy": "t", "reasons": [{ "id": "u", "reason": "v", "source": "GITHUB", "url": "w" }],
        },
    });
    let read = shown(&bench, &admin, &key).await;
    assert_eq!(read.additional_members, None);
    assert!(read.null_members.is_empty());
    assert_eq!(read.status(), ApiKeyStatus::DisabledExposed);
    assert_eq!(read.privacy_level(), PrivacyLevel::Public);
    assert_eq!(
        read.secret,
        Some(Secret::MaskedValue("xx*****1343".to_owned()))
    );
    assert_eq!(read.denied_ips.unwrap().values, [""; 0]);
    assert_eq!(read.created_by.unwrap().email.as_deref(), Some("n"));
    let report = read.exposure_report.unwrap();
    assert_eq!(report.severity(), ExposureSeverity::Warn);
    assert_eq!(report.creation_type(), ExposureCreationType::Automated);
    assert_eq!(report.created_by.unwrap().username.as_deref(), Some("t"));
    assert_eq!(report.reasons[0].source(), ExposureSource::Github);
    assert_eq!(report.additional_members, None);
    let privilege = &read.privileges.unwrap().values[0];
    assert_eq!(privilege.level.as_deref(), Some("k"));
    let groups = read.groups_that_can_edit.unwrap().values;
    assert_eq!(groups[0].display_name.as_deref(), Some("q"));
    let configuration = read.additional_configuration.unwrap();
    assert!(configuration.fields.contains_key("commerce"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_is_known_and_others_are_kept() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    for (word, status) in [
        ("ENABLED", ApiKeyStatus::Enabled),
        ("DISABLED", ApiKeyStatus::Disabled),
        (
            "DISABLED_FOR_INACTIVITY",
            ApiKeyStatus::DisabledForInactivity,
        ),
        ("EXPIRED", ApiKeyStatus::Expired),
        ("SOON_TO_BE_EXPIRED", ApiKeyStatus::SoonToBeExpired),
        ("SOON_TO_BE_DISABLED", ApiKeyStatus::SoonToBeDisabled),
        ("DISABLED_EXPOSED", ApiKeyStatus::DisabledExposed),
    ] {
        let key = shown(&bench, &admin, &json!({ "id": "a", "status": word })).await;
        assert_eq!((key.status(), key.additional_members), (status, None));
    }
    for word in ["ASLEEP", "UNSPECIFIED", "enabled", ""] {
        let key = shown(&bench, &admin, &json!({ "id": "a", "status": word })).await;
        assert_eq!(key.status(), ApiKeyStatus::Unspecified);
        let kept = &key.additional_members.unwrap().fields["status"].kind;
        assert_eq!(*kept, Some(Kind::StringValue(word.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_no_secret_and_a_value_is_no_mask() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let (admin, reader) = (bench.caller("a", "admin"), bench.caller("r", "reader"));
    for masked in [
        "xx*****1343",
        "**********-****-****-****-********1b3e",
        "****",
    ] {
        let key = json!({ "id": "a", "value": masked });
        for caller in [&admin, &reader] {
            let key = shown(&bench, caller, &key).await;
            assert_eq!(key.secret, Some(Secret::MaskedValue(masked.to_owned())));
        }
    }
    // upstream masks what it answers to a read; should it not, nobody gains by it
    for whole in [
        "xx65151ec3-7b30-4772-a99a-09b4c0f71343",
        "xx65151ec3-7b30-4772-a99a-*",
        "",
    ] {
        let key = json!({ "id": "a", "value": whole });
        assert_eq!(shown(&bench, &reader, &key).await.secret, None);
        assert_eq!(value(&shown(&bench, &admin, &key).await), Some(whole));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_reveal_sees_what_the_contract_does_not_name() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let (admin, reader) = (bench.caller("a", "admin"), bench.caller("r", "reader"));
    let key = json!({
        "id": "a", "displayName": "b", "value": "xx*****1343", "new": "c",
        "privileges": [{ "owner": "d", "targetDomain": "e", "new": "f" }],
        "additionalConfiguration": { "g": "h" },
        "createdBy": { "username": "i", "new": "j" },
        "exposureReport": {
            "severity": "LOW", "new": "k", "createdBy": { "email": "l", "new": "m" },
            "reasons": [{ "url": "n", "new": "o" }],
        },
    });
    let all = shown(&bench, &admin, &key).await;
    let holds = |members: &Option<Struct>, name: &str| {
        members
            .as_ref()
            .is_some_and(|it| it.fields.contains_key(name))
    };
    assert!(holds(&all.additional_members, "new") && holds(&all.additional_members, "privileges"));
    assert!(holds(&all.additional_configuration, "g"));
    assert!(holds(
        &all.created_by.as_ref().unwrap().additional_members,
        "new"
    ));
    let report = all.exposure_report.as_ref().unwrap();
    assert!(holds(&report.additional_members, "new"));
    assert!(holds(
        &report.created_by.as_ref().unwrap().additional_members,
        "new"
    ));
    assert!(holds(&report.reasons[0].additional_members, "new"));

    let mut expected = all;
    expected.additional_members = None;
    expected.additional_configuration = None;
    expected.created_by.as_mut().unwrap().additional_members = None;
    let report = expected.exposure_report.as_mut().unwrap();
    report.additional_members = None;
    report.created_by.as_mut().unwrap().additional_members = None;
    report.reasons[0].additional_members = None;
    assert_eq!(shown(&bench, &reader, &key).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_no_key_makes_no_sense() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    for body in [
        json!({}),
        json!({ "id": "" }),
        json!({ "id": 7 }),
        json!([]),
        json!(null),
    ] {
        let fault = |body: &Json| json!({ "count": 1, "fault": { "status": 200, "body": body } });
        inject(bench.simulator(), fault(&body));
        admin.refused(get("a"), "UPSTREAM_MALFORMED").await;
        inject(bench.simulator(), fault(&json!([body])));
        let list = ListApiKeysRequest::default();
        admin.refused(list, "UPSTREAM_MALFORMED").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_takes_every_filter() {
    let bench = Bench::start(SANDBOX_POLICY).await;
    let admin = bench.caller("admin", "admin");
    admin.create("on").await;
    let off = admin.create("off").await.id;
    let (http, path) = bench.upstream();
    let path = format!("{path}/{off}/disable");
    assert_eq!(http.send(http::Method::PUT, &path, None).await.status, 204);
    for (filter, expected) in [
        (ApiKeyStatusFilter::Unspecified, &["on", "off"][..]),
        (ApiKeyStatusFilter::Active, &["on"]),
        (ApiKeyStatusFilter::SoonToBeDisabled, &[]),
        (ApiKeyStatusFilter::SoonToBeExpired, &[]),
        (ApiKeyStatusFilter::ActiveAndExposed, &[]),
        (ApiKeyStatusFilter::WithWarning, &[]),
        (ApiKeyStatusFilter::AllExposed, &[]),
        (ApiKeyStatusFilter::Deactivated, &["off"]),
    ] {
        let mut request = ListApiKeysRequest::default();
        request.set_status(filter);
        assert_eq!(
            names(&admin.ask(request).await.api_keys),
            expected,
            "{filter:?}"
        );
    }
}
