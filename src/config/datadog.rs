//! `[[datadog]]`: organizations on Datadog's sites, and how to reach them.

use std::{path::PathBuf, time::Duration};

use http::Uri;

use super::values::{Certificates, Endpoint, duration};
use crate::{
    settings::{Item, Read, Table, list},
    upstream::credentials::Source,
};

use crate::{contract::proto::keygate::datadog::v2::Site, datadog::site};

/// One organization on one site.
#[derive(Clone, Debug)]
pub struct Org {
    /// The site, never `Unspecified`.
    pub site: Site,
    /// The name that callers know it by: letters, digits, `.`, `_` and `-`.
    pub org: String,
    /// Whether it is meant where a caller names no organization. At most one on
    /// a site is.
    pub default: bool,
    /// The master's API key.
    pub api_key: Source,
    /// The master's application key.
    pub app_key: Source,
    /// Where requests go instead of the site's own address: scheme and host.
    pub base_url: Option<Uri>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long one request may take, to the end of its answer.
    pub timeout: Duration,
    /// Requests at once.
    pub max_concurrency: usize,
    /// The largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Certificates (PEM) to trust instead of the machine's.
    pub ca: Option<PathBuf>,
}

impl Org {
    /// The upstream's name: `datadog/us1/main`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.address(), self.org)
    }

    /// The address of a request that names no organization: `datadog/us1`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("datadog/{}", site_name(self.site))
    }
}

fn site_name(site: Site) -> &'static str {
    site::name(site).unwrap_or_default()
}

impl Read for Site {
    fn read(item: &Item<'_>) -> Option<Self> {
        let name = item.string()?;
        let site = site::from_name(name);
        if site.is_none() {
            let names = list(site::ALL.map(site_name));
            item.fault(format!("this must be one of {names}"));
        }
        site
    }
}

/// The entries, with the defaults that follow from there being one on a site.
pub(super) fn read(items: Vec<Item<'_>>) -> Vec<Org> {
    let entries: Vec<_> = items
        .into_iter()
        .filter_map(|item| Some((item.table(entry)?, item)))
        .collect();
    for (at, ((org, chosen), item)) in entries.iter().enumerate() {
        let before = &entries[..at];
        let on_site = || before.iter().filter(|((it, _), _)| it.site == org.site);
        if let Some((_, first)) = on_site().find(|((it, _), _)| it.org == org.org) {
            item.fault(format!(
                "`{}` on `{}` is on line {} already; give this one another `org`",
                org.org,
                site_name(org.site),
                first.line()
            ));
        }
        if *chosen != Some(true) {
            continue;
        }
        if let Some((_, first)) = on_site().find(|((_, it), _)| *it == Some(true)) {
            item.fault(format!(
                "the default of `{}` is on line {} already; a site has one",
                site_name(org.site),
                first.line()
            ));
        }
    }
    let alone = |site| {
        entries
            .iter()
            .filter(|((it, _), _)| it.site == site)
            .count()
            == 1
    };
    entries
        .iter()
        .map(|((org, chosen), _)| Org {
            default: chosen.unwrap_or_else(|| alone(org.site)),
            ..org.clone()
        })
        .collect()
}

/// An entry, and what it says of being the default.
fn entry(table: &mut Table<'_>) -> Option<(Org, Option<bool>)> {
    const MS: Duration = Duration::from_millis(1);
    const MOST: Duration = Duration::from_secs(600);
    let site = table.required("site");
    let org = table.or("org", Name("main".to_owned()));
    let chosen = table.optional("default");
    let api_key = table.required("api_key");
    let app_key = table.required("app_key");
    let base_url = table.optional::<BaseUrl>("base_url");
    let connect_timeout = duration(table, "connect_timeout", Duration::from_secs(2), MS..=MOST);
    let timeout = duration(table, "timeout", Duration::from_secs(10), MS..=MOST);
    let max_concurrency = table.number("max_concurrency", 64, 1..=65_536);
    let max_response_bytes = table.number("max_response_bytes", 8 << 20, 1024..=1 << 30);
    let ca = table.optional::<Certificates>("ca");
    let org = Org {
        site: site?,
        org: org.0,
        default: false,
        api_key: api_key?,
        app_key: app_key?,
        base_url: base_url.map(|it| it.0),
        connect_timeout,
        timeout,
        max_concurrency,
        max_response_bytes,
        ca: ca.map(|it| it.path),
    };
    Some((org, chosen))
}

struct Name(String);

impl Read for Name {
    fn read(item: &Item<'_>) -> Option<Self> {
        let name = item.string()?;
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
        if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) {
            return Some(Self(name.to_owned()));
        }
        item.fault("this must be 1 to 64 letters, digits, `.`, `_` and `-`");
        None
    }
}

struct BaseUrl(Uri);

impl Read for BaseUrl {
    fn read(item: &Item<'_>) -> Option<Self> {
        let Endpoint(uri) = Endpoint::read(item)?;
        if uri.path() == "/" && uri.query().is_none() {
            return Some(Self(uri));
        }
        item.fault("this must end after the host and port: the rest comes from the operation");
        None
    }
}
