//! `[[coveo]]`: organizations in Coveo's regions, and how to reach them.

use http::Uri;

use super::{
    Limits,
    upstream::{Credential, Section, Upstream},
    values::{Name, Origin, one_of},
};
use crate::{
    contract::proto::keygate::coveo::v1::Region,
    coveo::{masters::SEEK, region},
    settings::{Item, Read, Table},
    upstream::credentials::Header,
};

/// A request always names its organization. It needs no region where that
/// organization is in one only.
pub(super) const SECTION: Section = Section {
    entry,
    named_by: "region",
    usual: None,
};

impl Read for Region {
    fn read(item: &Item<'_>) -> Option<Self> {
        one_of(item, region::ALL, region::name)
    }
}

fn entry(table: &mut Table<'_>) -> Option<Upstream> {
    let region = table.required("region");
    let organization = table.required::<Name>("organization_id");
    // Coveo docs, "Get your Coveo access token"
    let token = Credential::read(table, "token", Header::Bearer);
    let base_url = table.optional::<Origin>("base_url");
    let limits = Limits::read(table);
    let (region, documented) = (region::name(region?)?, region::base_url(region?)?);
    let Name(organization) = organization?;
    Some(Upstream {
        name: format!("coveo/{region}/{organization}"),
        address: format!("coveo/*/{organization}"),
        default: false,
        base_url: base_url.map_or(Uri::from_static(documented), |Origin(it)| it),
        credentials: vec![token?],
        limits,
        seek: SEEK,
    })
}
