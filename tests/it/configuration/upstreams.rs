//! What upstreams are called, and which is the default.

use super::*;

#[test]
fn every_site_of_the_contract_has_a_name() {
    let folder = folder();
    for site in [
        "us1", "us3", "us5", "eu", "ap1", "ap2", "uk1", "us1-fed", "us2-fed",
    ] {
        let entry = format!(
            "{SMALLEST}[[datadog]]\nsite = \"{site}\"\napi_key = {{ file = \"key\" }}\napp_key = {{ file = \"key\" }}"
        );
        let config = Config::parse(&entry, folder.path()).expect("it has no fault");
        assert_eq!(config.upstreams[0].name, format!("datadog/{site}/main"));
    }
}

#[test]
fn every_region_of_the_contract_has_a_name() {
    let folder = folder();
    for region in ["us", "ca", "eu", "au", "hipaa"] {
        let entry = format!(
            "{SMALLEST}[[coveo]]\nregion = \"{region}\"\norganization_id = \"acme\"\ntoken = {{ file = \"key\" }}"
        );
        let config = Config::parse(&entry, folder.path()).expect("it has no fault");
        let upstream = &config.upstreams[0];
        assert_eq!(upstream.name, format!("coveo/{region}/acme"));
        assert_eq!(upstream.address, "coveo/*/acme");
        assert!(upstream.default);
        assert_eq!(upstream.base_url.scheme_str(), Some("https"));
    }
}

/// Which of several upstreams of one address is the default.
#[test]
fn the_default_is_marked_or_alone_or_has_the_usual_name() {
    let instance = |name, mark| ("braintrust", format!("name = \"{name}\""), mark);
    let coveo = |region| {
        let keys = format!("region = \"{region}\"\norganization_id = \"acme\"");
        ("coveo", keys, "")
    };
    let site = |org| ("datadog", format!("site = \"us1\"\norg = \"{org}\""), "");
    let (is, is_not) = ("default = true", "default = false");
    let folder = folder();
    for (entries, expected) in [
        (vec![instance("a", "")], Some("braintrust/a")),
        (vec![instance("a", is_not)], None),
        (vec![instance("default", is_not)], None),
        (
            vec![instance("a", ""), instance("default", "")],
            Some("braintrust/default"),
        ),
        (
            vec![instance("a", is), instance("default", "")],
            Some("braintrust/a"),
        ),
        (vec![instance("a", ""), instance("default", is_not)], None),
        (vec![instance("a", ""), instance("b", "")], None),
        (vec![coveo("us"), coveo("eu")], None),
        (vec![coveo("eu")], Some("coveo/eu/acme")),
        (vec![site("default"), site("other")], None),
    ] {
        let mut text = SMALLEST.to_owned();
        for (vendor, keys, mark) in entries {
            let secrets = if vendor == "datadog" {
                "api_key = { file = \"key\" }\napp_key = { file = \"key\" }"
            } else {
                "token = { file = \"key\" }"
            };
            text += &format!("[[{vendor}]]\n{keys}\n{mark}\n{secrets}\n");
        }
        let config = Config::parse(&text, folder.path()).expect("it has no fault");
        let mut defaults = config.upstreams.iter().filter(|it| it.default);
        let default = defaults.next().map(|it| it.name.as_str());
        assert_eq!(default, expected, "{text}");
        assert!(defaults.next().is_none(), "{text}");
    }
}
