//! Datadog's sites: their names here, and their API's addresses.

use crate::contract::proto::keygate::datadog::v2::Site;

/// Every site.
pub const ALL: [Site; 9] = [
    Site::Us1,
    Site::Us3,
    Site::Us5,
    Site::Eu,
    Site::Ap1,
    Site::Ap2,
    Site::Uk1,
    Site::Us1Fed,
    Site::Us2Fed,
];

/// The site's name in configuration, policies and the trail: `us1`. `None` for
/// [`Site::Unspecified`].
#[must_use]
pub fn name(site: Site) -> Option<&'static str> {
    Some(match site {
        Site::Unspecified => return None,
        Site::Us1 => "us1",
        Site::Us3 => "us3",
        Site::Us5 => "us5",
        Site::Eu => "eu",
        Site::Ap1 => "ap1",
        Site::Ap2 => "ap2",
        Site::Uk1 => "uk1",
        Site::Us1Fed => "us1-fed",
        Site::Us2Fed => "us2-fed",
    })
}

/// Whether it is a Government site: API v1 has no keys there (Datadog API
/// reference, Key Management, v1).
#[must_use]
pub fn is_government(site: Site) -> bool {
    matches!(site, Site::Us1Fed | Site::Us2Fed)
}

/// The API's base URL (Datadog docs, "Getting started with Datadog sites").
/// `None` for [`Site::Unspecified`].
#[must_use]
pub fn base_url(site: Site) -> Option<&'static str> {
    Some(match site {
        Site::Unspecified => return None,
        Site::Us1 => "https://api.datadoghq.com",
        Site::Us3 => "https://api.us3.datadoghq.com",
        Site::Us5 => "https://api.us5.datadoghq.com",
        Site::Eu => "https://api.datadoghq.eu",
        Site::Ap1 => "https://api.ap1.datadoghq.com",
        Site::Ap2 => "https://api.ap2.datadoghq.com",
        Site::Uk1 => "https://api.uk1.datadoghq.com",
        Site::Us1Fed => "https://api.ddog-gov.com",
        Site::Us2Fed => "https://api.us2.ddog-gov.com",
    })
}
