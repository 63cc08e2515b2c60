//! Coveo's regions: their names here, and their API's addresses.

use crate::contract::proto::keygate::coveo::v1::Region;

/// Every region.
pub const ALL: [Region; 5] = [
    Region::Us,
    Region::Ca,
    Region::Eu,
    Region::Au,
    Region::Hipaa,
];

/// The region's name in configuration, policies and the trail: `us`. `None` for
/// [`Region::Unspecified`].
#[must_use]
pub fn name(region: Region) -> Option<&'static str> {
    Some(match region {
        Region::Unspecified => return None,
        Region::Us => "us",
        Region::Ca => "ca",
        Region::Eu => "eu",
        Region::Au => "au",
        Region::Hipaa => "hipaa",
    })
}

/// The platform's base URL (Coveo docs, "Data residency", and the vendor's own
/// TypeScript client). `None` for [`Region::Unspecified`].
#[must_use]
pub fn base_url(region: Region) -> Option<&'static str> {
    Some(match region {
        Region::Unspecified => return None,
        Region::Us => "https://platform.cloud.coveo.com",
        Region::Ca => "https://platform-ca.cloud.coveo.com",
        Region::Eu => "https://platform-eu.cloud.coveo.com",
        Region::Au => "https://platform-au.cloud.coveo.com",
        Region::Hipaa => "https://platformhipaa.cloud.coveo.com",
    })
}
