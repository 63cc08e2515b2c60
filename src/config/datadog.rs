//! `[[datadog]]`: organizations on Datadog's sites, and how to reach them.

use http::{HeaderName, Uri};

use super::{
    Limits,
    upstream::{Credential, Section, Upstream},
    values::{Name, Origin, one_of},
};
use crate::{
    contract::proto::keygate::datadog::v2::Site,
    datadog::{masters::SEEK, site},
    settings::{Item, Read, Table},
    upstream::credentials::Header,
};

/// Several organizations on a site are told apart by name.
pub(super) const SECTION: Section = Section {
    entry,
    named_by: "org",
    usual: None,
};

impl Read for Site {
    fn read(item: &Item<'_>) -> Option<Self> {
        one_of(item, site::ALL, site::name)
    }
}

fn entry(table: &mut Table<'_>) -> Option<Upstream> {
    // Datadog API reference, "Authentication"
    const API_KEY: Header = Header::Plain(HeaderName::from_static("dd-api-key"));
    const APP_KEY: Header = Header::Plain(HeaderName::from_static("dd-application-key"));
    let site = table.required("site");
    let org = table.or("org", Name("main".to_owned()));
    let api_key = Credential::read(table, "api_key", API_KEY);
    let app_key = Credential::read(table, "app_key", APP_KEY);
    let base_url = table.optional::<Origin>("base_url");
    let limits = Limits::read(table);
    let (site, documented) = (site::name(site?)?, site::base_url(site?)?);
    let address = format!("datadog/{site}");
    Some(Upstream {
        name: format!("{address}/{}", org.0),
        address,
        default: false,
        base_url: base_url.map_or(Uri::from_static(documented), |Origin(it)| it),
        credentials: vec![api_key?, app_key?],
        limits,
        seek: SEEK,
    })
}
