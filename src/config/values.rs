//! The kinds of value that several sections have.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use http::Uri;
use rustls::pki_types::CertificateDer;

use crate::{
    files,
    http::endpoint,
    pem,
    settings::{Item, Read, Table, list},
    upstream::registry,
};

impl Read for SocketAddr {
    fn read(item: &Item<'_>) -> Option<Self> {
        let parsed = item.string()?.parse().ok();
        parsed.or_else(|| {
            item.fault("this must be an IP address and a port, such as \"127.0.0.1:50051\"");
            None
        })
    }
}

/// A file that is there and can be read.
pub(super) struct Readable(pub(super) PathBuf);

impl Read for Readable {
    fn read(item: &Item<'_>) -> Option<Self> {
        let path = PathBuf::read(item)?;
        match files::open(&path) {
            Ok(_) => Some(Self(path)),
            Err(error) => {
                item.fault(format!("{} can't be read: {error}", path.display()));
                None
            }
        }
    }
}

/// A file of PEM with at least one certificate.
pub(super) struct Certificates {
    pub(super) path: PathBuf,
    pub(super) chain: Vec<CertificateDer<'static>>,
}

impl Read for Certificates {
    fn read(item: &Item<'_>) -> Option<Self> {
        let path = PathBuf::read(item)?;
        let chain = pem::certificates(&path);
        let chain = chain.map_err(|fault| item.fault(fault.to_string())).ok()?;
        Some(Self { path, chain })
    }
}

/// Where HTTP requests with credentials are sent: see [`endpoint`].
pub(super) struct Endpoint(pub(super) Uri);

impl Read for Endpoint {
    fn read(item: &Item<'_>) -> Option<Self> {
        let uri = endpoint(item.string()?);
        uri.map(Self).map_err(|fault| item.fault(fault)).ok()
    }
}

/// Where an API is, with whatever its paths begin with there.
pub(super) struct BaseUrl(pub(super) Uri);

impl Read for BaseUrl {
    fn read(item: &Item<'_>) -> Option<Self> {
        let Endpoint(uri) = Endpoint::read(item)?;
        if uri.query().is_none() {
            return Some(Self(uri));
        }
        item.fault("this must end before the `?`: the rest comes from the operation");
        None
    }
}

/// Where an API is whose paths begin at the host.
pub(super) struct Origin(pub(super) Uri);

impl Read for Origin {
    fn read(item: &Item<'_>) -> Option<Self> {
        let Endpoint(uri) = Endpoint::read(item)?;
        if uri.path() == "/" && uri.query().is_none() {
            return Some(Self(uri));
        }
        item.fault("this must end after the host and port: the rest comes from the operation");
        None
    }
}

/// The last part of an upstream's name.
pub(super) struct Name(pub(super) String);

impl Read for Name {
    fn read(item: &Item<'_>) -> Option<Self> {
        let name = item.string()?;
        if registry::is_last_part(name) {
            return Some(Self(name.to_owned()));
        }
        item.fault(format!("this must be {}", registry::LAST_PART));
        None
    }
}

/// One of the things that have a name.
pub(super) fn one_of<T: Copy, const N: usize>(
    item: &Item<'_>,
    all: [T; N],
    name: fn(T) -> Option<&'static str>,
) -> Option<T> {
    let text = item.string()?;
    let found = all.into_iter().find(|it| name(*it) == Some(text));
    if found.is_none() {
        let names = list(all.into_iter().filter_map(name));
        item.fault(format!("this must be one of {names}"));
    }
    found
}

/// A length of time with a default and bounds.
pub(super) fn duration(
    table: &mut Table<'_>,
    name: &'static str,
    default: Duration,
    bounds: RangeInclusive<Duration>,
) -> Duration {
    let Some((item, text)) = table.item(name).and_then(|it| it.string().map(|s| (it, s))) else {
        return default;
    };
    match parse_duration(text) {
        Some(length) if bounds.contains(&length) => length,
        Some(_) => {
            let (least, most) = bounds.into_inner();
            item.fault(format!("this must be from {least:?} to {most:?}"));
            default
        }
        None => {
            item.fault("this must be a length of time, such as \"500ms\", \"30s\" or \"5m\"");
            default
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        "d" => number.checked_mul(86_400).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(parse_duration("200ms"), Some(Duration::from_millis(200)));
        assert_eq!(parse_duration("30s"), seconds(30));
        assert_eq!(parse_duration("5m"), seconds(300));
        assert_eq!(parse_duration("2h"), seconds(7200));
        assert_eq!(parse_duration("400d"), seconds(34_560_000));
        for wrong in [
            "",
            "s",
            "30",
            "30 s",
            "-1s",
            "1.5s",
            "1w",
            "1S",
            "30s ",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(parse_duration(wrong), None, "{wrong:?}");
        }
    }
}
