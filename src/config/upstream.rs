//! An upstream, as the sections of all vendors come to it.

use http::Uri;

use super::Limits;
use crate::{
    settings::{Item, Table},
    upstream::{
        credentials::{Header, Source},
        masters::Seek,
    },
};

/// An upstream, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name: `datadog/us1/main`.
    pub name: String,
    /// The address of a request that leaves out what tells it from its like:
    /// `datadog/us1`.
    pub address: String,
    /// Whether that address means this one. At most one of an address is its
    /// default.
    pub default: bool,
    /// Where its API is.
    pub base_url: Uri,
    /// The master's credentials.
    pub credentials: Vec<Credential>,
    /// How far to go with it.
    pub limits: Limits,
    /// How keygate's own keys are found there.
    pub seek: Seek,
}

/// One credential of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The setting that names it: `api_key`.
    pub setting: &'static str,
    /// How it is presented.
    pub header: Header,
    /// Where it is.
    pub source: Source,
}

impl Credential {
    /// Reads the setting that names one.
    pub(super) fn read(
        table: &mut Table<'_>,
        setting: &'static str,
        header: Header,
    ) -> Option<Self> {
        let source = table.required(setting)?;
        Some(Self {
            setting,
            header,
            source,
        })
    }
}

/// A vendor's section: how its entries are read and told apart.
pub(super) struct Section {
    /// Reads one, but for whether it is the default.
    pub(super) entry: fn(&mut Table<'_>) -> Option<Upstream>,
    /// The setting that tells entries of one address apart.
    pub(super) named_by: &'static str,
    /// The name of the one that is the default where there are several and none
    /// is marked.
    pub(super) usual: Option<&'static str>,
}

impl Section {
    /// The entries, with the defaults that follow from there being one of an
    /// address.
    pub(super) fn read(&self, items: Vec<Item<'_>>) -> Vec<Upstream> {
        let entry = |table: &mut Table<'_>| {
            let chosen = table.optional("default");
            Some(((self.entry)(table)?, chosen))
        };
        let entries: Vec<_> = items
            .into_iter()
            .filter_map(|item| item.table(entry).map(|(it, chosen)| (it, chosen, item)))
            .collect();
        for (at, (upstream, chosen, item)) in entries.iter().enumerate() {
            let before = &entries[..at];
            let same_name = before.iter().find(|(it, ..)| it.name == upstream.name);
            if let Some((.., first)) = same_name {
                item.fault(format!(
                    "`{}` is on line {} already; give this one another `{}`",
                    upstream.name,
                    first.line(),
                    self.named_by
                ));
            }
            let same_default = before
                .iter()
                .find(|(it, marked, _)| it.address == upstream.address && *marked == Some(true));
            if let (Some(true), Some((.., first))) = (*chosen, same_default) {
                item.fault(format!(
                    "the default of `{}` is on line {} already; there can be one",
                    upstream.address,
                    first.line()
                ));
            }
        }
        let is_default = |upstream: &Upstream| {
            let like = || {
                entries
                    .iter()
                    .filter(|(it, ..)| it.address == upstream.address)
            };
            let marked = like().any(|(_, chosen, _)| *chosen == Some(true));
            let usual = self.usual == Some(upstream.name.as_str());
            !marked && (usual || like().count() == 1)
        };
        entries
            .iter()
            .map(|(upstream, chosen, _)| Upstream {
                default: chosen.unwrap_or_else(|| is_default(upstream)),
                ..upstream.clone()
            })
            .collect()
    }
}
