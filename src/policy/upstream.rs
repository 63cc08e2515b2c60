//! Patterns of upstream names: `*`, or `<provider>/<site>[/<org>]`.
//!
//! A name is `datadog/us1/main`, `braintrust/default` or
//! `coveo/us/<organization id>`. In each part of a pattern `*` stands for any run of
//! characters; a part that is left out at the end stands for all.

use std::{fmt, iter};

use crate::{coveo::region, datadog::site, glob, settings::list};

/// The vendors.
const PROVIDERS: [&str; 3] = ["datadog", "braintrust", "coveo"];

/// The sites that a vendor has. None: they are named freely.
fn sites(provider: &str) -> Vec<&'static str> {
    match provider {
        "datadog" => site::ALL.into_iter().filter_map(site::name).collect(),
        "coveo" => region::ALL.into_iter().filter_map(region::name).collect(),
        _ => Vec::new(),
    }
}

/// The names of vendors, and those of their sites and regions.
#[must_use]
pub fn known_parts() -> Vec<&'static str> {
    let sites = PROVIDERS.into_iter().flat_map(sites);
    PROVIDERS.into_iter().chain(sites).collect()
}

/// Whether a provider of operations is a vendor, and not keygate itself.
pub(super) fn is_vendor(provider: &str) -> bool {
    PROVIDERS.contains(&provider)
}

/// A valid pattern of upstream names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// The pattern of all upstreams.
    pub(super) fn all() -> Self {
        Self {
            text: "*".to_owned(),
        }
    }

    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for the person who wrote it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let valid = || {
            Ok(Self {
                text: text.to_owned(),
            })
        };
        if text == "*" {
            return valid();
        }
        let parts: Vec<_> = text.split('/').collect();
        let (provider, site, org) = match parts.as_slice() {
            [provider, site] => (*provider, *site, None),
            [provider, site, org] => (*provider, *site, Some(*org)),
            _ => {
                return Err(format!(
                    "{text:?} is no pattern of upstreams; write \"*\" or \
                     \"<provider>/<site>[/<org>]\", as \"datadog/us1\" or \"coveo/*/my-org\""
                ));
            }
        };
        if parts.iter().any(|it| it.is_empty()) {
            return Err(format!(
                "{text:?} has an empty part; write \"*\" for any, or leave the end out"
            ));
        }
        let fitting: Vec<_> = PROVIDERS
            .into_iter()
            .filter(|it| glob::matches(provider, it))
            .map(sites)
            .collect();
        if fitting.is_empty() {
            return Err(format!(
                "{text:?} names no known provider; known are {}",
                list(PROVIDERS)
            ));
        }
        let has_site =
            |sites: &Vec<&str>| sites.is_empty() || sites.iter().any(|it| glob::matches(site, it));
        if !fitting.iter().any(has_site) {
            return Err(format!(
                "{text:?} names no known site; known are {}",
                list(fitting.into_iter().flatten())
            ));
        }
        if let ("braintrust", Some(org)) = (provider, org)
            && !glob::is_all(org)
        {
            return Err(format!(
                "{text:?} names an organization, and Braintrust's instances have none; \
                 write \"{provider}/{site}\""
            ));
        }
        valid()
    }

    /// What is wrong with the name of an upstream that somebody asks about: by a slip
    /// it would be that of none, and nothing would be permitted there.
    ///
    /// # Errors
    /// What is wrong, for the person who wrote it.
    pub fn check_name(name: &str) -> Result<(), String> {
        if name.contains('*') {
            return Err(format!("{name:?} is a pattern; name one upstream"));
        }
        Self::parse(name).map(drop)
    }

    /// Whether an upstream's name fits.
    #[must_use]
    pub fn matches(&self, upstream: &str) -> bool {
        if self.text == "*" {
            return true;
        }
        let mut names = upstream.split('/');
        let fits = self.text.split('/').all(|part| match names.next() {
            Some(name) => glob::matches(part, name),
            None => glob::is_all(part),
        });
        fits && names.count() <= 1
    }

    /// Whether a name can fit both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let parts = |it: &Self| {
            let parts = it.text.split('/').map(str::to_owned).collect::<Vec<_>>();
            parts
                .into_iter()
                .chain(iter::repeat("*".to_owned()))
                .take(3)
        };
        parts(self)
            .zip(parts(other))
            .all(|(a, b)| glob::overlap(&a, &b))
    }

    /// Whether every upstream of that provider fits.
    pub(super) fn covers(&self, provider: &str) -> bool {
        let mut rest = self.text.split('/').skip(1);
        self.can_match(provider) && rest.all(glob::is_all)
    }

    /// Whether an upstream of that provider can fit.
    pub(super) fn can_match(&self, provider: &str) -> bool {
        let part = self.text.split('/').next().unwrap_or_default();
        glob::matches(part, provider)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_say_what_they_cover() {
        for (pattern, upstream, expected) in [
            ("*", "datadog/us1/main", true),
            ("*", "braintrust/default", true),
            ("datadog/*", "datadog/us1/main", true),
            ("datadog/*", "coveo/us/org", false),
            ("datadog/us1", "datadog/us1/main", true),
            ("datadog/us1", "datadog/us1-fed/main", false),
            ("datadog/us1/main", "datadog/us1/main", true),
            ("datadog/us1/main", "datadog/us1/mainly", false),
            ("datadog/us1/main", "datadog/us1", false),
            ("datadog/us1/*", "datadog/us1", true),
            ("datadog/us1/prod-*", "datadog/us1/prod-eu", true),
            ("datadog/*/main", "datadog/eu/main", true),
            ("datadog/*/main", "datadog/eu/other", false),
            ("datadog/*", "datadog/us1/main/more", false),
            ("*/us/*", "coveo/us/org", true),
            ("braintrust/*/*", "braintrust/default", true),
            ("braintrust/team", "braintrust/default", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(upstream), expected, "{pattern} {upstream}");
        }
    }

    #[test]
    fn patterns_overlap_where_an_upstream_fits_both() {
        for (one, other, expected) in [
            ("*", "coveo/us", true),
            ("datadog/us1", "datadog/us1/main", true),
            ("datadog/us1", "datadog/us1-fed", false),
            ("datadog/*/main", "datadog/us1/m*", true),
            ("datadog/*/main", "datadog/us1/other", false),
            ("*/us/*", "coveo/*", true),
            ("*/us/*", "datadog/us1", false),
        ] {
            let [one, other] = [one, other].map(|it| Pattern::parse(it).unwrap());
            assert_eq!(one.overlaps(&other), expected, "{one} {other}");
            assert_eq!(other.overlaps(&one), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_pattern_that_covers_nothing_is_refused() {
        for (pattern, part) in [
            ("", "is no pattern"),
            ("datadog", "is no pattern"),
            ("datadog/us1/main/x", "is no pattern"),
            ("datadog/", "empty part"),
            ("/us1", "empty part"),
            ("datadoc/us1", "known are `datadog`, `braintrust`, `coveo`"),
            ("datadog/us2", "known are `us1`, `us3`"),
            ("datadog/US1", "known are `us1`, `us3`"),
            ("coveo/us1", "known are `us`, `ca`, `eu`, `au`, `hipaa`"),
            ("braintrust/default/org", "write \"braintrust/default\""),
        ] {
            let fault = Pattern::parse(pattern).unwrap_err();
            assert!(fault.contains(part), "{fault}");
        }
    }
}
