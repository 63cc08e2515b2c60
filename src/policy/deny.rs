//! `[deny]`: what is denied whatever is granted.
//!
//! It is made for emergencies: a stolen token, a compromised issuer, a vendor to
//! stay away from. An entry that fits a call ends it, and no role outweighs it.

use std::{collections::HashMap, fmt};

use super::{Reach, index::Index, upstream::Pattern};
use crate::{
    auth::Caller,
    contract::{Contract, Operation},
    glob,
    settings::{Table, closest},
};

/// What is denied. Nothing, unless the policy says so.
#[derive(Debug, Default)]
pub(super) struct Deny {
    subjects: Index,
    token_ids: Index,
    issuers: Index,
    upstreams: Vec<Pattern>,
    rpcs: Vec<String>,
    /// The first of `rpcs` that fits a method.
    methods: HashMap<String, usize>,
}

/// An entry: `deny.subjects[0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    list: &'static str,
    at: usize,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "deny.{}[{}]", self.list, self.at)
    }
}

/// Something that is denied to every caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied<'a> {
    /// The entry that denies it: `deny.upstreams[0]`.
    pub rule: String,
    /// What it denies.
    pub what: What<'a>,
}

/// What is denied to every caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// The upstreams of a pattern.
    Upstreams(&'a Pattern),
    /// The RPCs of a pattern.
    Rpcs(&'a str),
}

impl Deny {
    /// Reads the section. A list that is left out, or empty, denies nothing.
    pub(super) fn read(table: &mut Table<'_>, contract: &Contract) -> Self {
        let mut list = |name| {
            let all = table.or::<Vec<String>>(name, Vec::new());
            all.into_iter().zip(0..).collect::<Index>()
        };
        let (subjects, token_ids, issuers) = (list("subjects"), list("token_ids"), list("issuers"));
        let upstreams = table.or("upstreams", Vec::new());
        let mut methods = HashMap::new();
        let rpcs = table.items("rpcs");
        let rpcs = rpcs.iter().zip(0..).filter_map(|(item, at)| {
            let pattern = item.string()?;
            let fitting = fitting(pattern, contract);
            if fitting.is_empty() {
                item.fault(unknown(pattern, contract));
            }
            for method in fitting {
                methods.entry(method.to_owned()).or_insert(at);
            }
            Some(pattern.to_owned())
        });
        Self {
            rpcs: rpcs.collect(),
            subjects,
            token_ids,
            issuers,
            upstreams,
            methods,
        }
    }

    /// Whether nothing is denied.
    pub(super) fn is_empty(&self) -> bool {
        let lists = [&self.subjects, &self.token_ids, &self.issuers];
        lists.into_iter().all(Index::is_empty) && self.upstreams.is_empty() && self.rpcs.is_empty()
    }

    /// The entry that denies a caller everything.
    pub(super) fn caller(&self, caller: &Caller) -> Option<Entry> {
        let token = caller.token_id.as_deref();
        let found = [
            ("subjects", self.subjects.first(&caller.subject)),
            ("token_ids", token.and_then(|it| self.token_ids.first(it))),
            ("issuers", self.issuers.first(&caller.issuer)),
        ];
        let mut found = found.into_iter();
        found.find_map(|(list, at)| at.map(|at| Entry { list, at }))
    }

    /// The entry that denies every caller a method.
    pub(super) fn method(&self, operation: &Operation) -> Option<Entry> {
        let at = *self.methods.get(&operation.method)?;
        Some(Entry { list: "rpcs", at })
    }

    /// The entry that denies every caller what a call reaches for.
    pub(super) fn reach(&self, reach: Reach<'_>) -> Option<Entry> {
        let at = self.upstreams.iter().position(|it| match reach {
            Reach::Keygate => false,
            Reach::Vendor(provider) => it.covers(provider),
            Reach::Upstream(name) => it.matches(name),
        })?;
        let list = "upstreams";
        Some(Entry { list, at })
    }

    /// What is denied to every caller, of upstreams only those that overlap with
    /// what somebody reaches: others need not be known to them.
    pub(super) fn to_all(&self, reached: &[&Pattern]) -> Vec<Denied<'_>> {
        let denied = |list, at, what| Denied {
            rule: Entry { list, at }.to_string(),
            what,
        };
        let upstreams = self.upstreams.iter().enumerate();
        let upstreams = upstreams
            .filter(|(_, it)| reached.iter().any(|reached| it.overlaps(reached)))
            .map(|(at, it)| denied("upstreams", at, What::Upstreams(it)));
        let rpcs = self.rpcs.iter().enumerate();
        let rpcs = rpcs.map(|(at, it)| denied("rpcs", at, What::Rpcs(it)));
        upstreams.chain(rpcs).collect()
    }
}

/// Whether a method is one of a pattern's: by its full name, or by the service's
/// own name and the RPC's.
pub(super) fn is_one_of(pattern: &str, operation: &Operation) -> bool {
    glob::matches(pattern, &operation.method) || glob::matches(pattern, operation.short())
}

fn fitting<'c>(pattern: &str, contract: &'c Contract) -> Vec<&'c str> {
    let all = contract.operations().iter();
    let fitting = all.filter(|it| is_one_of(pattern, it));
    fitting.map(|it| it.method.as_str()).collect()
}

fn unknown(pattern: &str, contract: &Contract) -> String {
    let all = || contract.operations().iter();
    let names = all().flat_map(|it| [it.method.as_str(), it.short()]);
    let hint = if all().any(|it| it.rpc == pattern) {
        format!("for that of every service write \"*/{pattern}\"")
    } else if all().any(|it| it.service == pattern) {
        format!("for all of that service write \"{pattern}/*\"")
    } else if let Some(meant) = closest(pattern, names) {
        format!("did you mean {meant:?}?")
    } else {
        "`keygate permissions` lists them".to_owned()
    };
    format!("there is no RPC {pattern:?}; {hint}")
}
