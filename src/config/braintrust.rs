//! `[[braintrust]]`: Braintrust's platform, or data planes of one's own, and how
//! to reach them.

use http::Uri;

use super::{
    Limits,
    upstream::{Credential, Section, Upstream},
    values::{BaseUrl, Name},
};
use crate::{
    braintrust::{BASE_URL, masters::SEEK},
    settings::Table,
    upstream::credentials::Header,
};

/// Instances are told apart by name.
pub(super) const SECTION: Section = Section {
    entry,
    named_by: "name",
    usual: Some("braintrust/default"),
};

fn entry(table: &mut Table<'_>) -> Option<Upstream> {
    const ADDRESS: &str = "braintrust";
    let name = table.or("name", Name("default".to_owned()));
    // Braintrust API reference, "Authentication"
    let token = Credential::read(table, "token", Header::Bearer);
    let base_url = table.optional::<BaseUrl>("base_url");
    let limits = Limits::read(table);
    Some(Upstream {
        name: format!("{ADDRESS}/{}", name.0),
        address: ADDRESS.to_owned(),
        default: false,
        base_url: base_url.map_or(Uri::from_static(BASE_URL), |it| it.0),
        credentials: vec![token?],
        limits,
        seek: SEEK,
    })
}
