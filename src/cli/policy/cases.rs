//! Files of decisions that a policy is expected to make.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::key::KeyFacts;
use crate::{
    auth::Caller,
    contract::{Contract, Effect, Operation},
    policy::{Pattern, certificate_name},
    settings::{Document, Fault, Faults, Item, Read, Table},
};

/// A file of cases.
#[derive(Debug)]
pub(super) struct Cases<'c> {
    /// The policy that they are about, if the file says.
    pub(super) policy: Option<PathBuf>,
    pub(super) cases: Vec<Case<'c>>,
}

/// A question, and the decision that is expected.
#[derive(Debug)]
pub(super) struct Case<'c> {
    /// Where it stands, from 0, and its line.
    pub(super) at: (usize, usize),
    pub(super) title: Option<String>,
    pub(super) caller: Caller,
    pub(super) operation: &'c Operation,
    pub(super) upstream: Option<String>,
    pub(super) key: Option<KeyFacts>,
    pub(super) expected: Expected,
}

/// A decision that is expected. What is not said may be anything.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) decision: Decision,
    /// A pattern of the rule that decides.
    pub(super) rule: Option<String>,
    /// The permission that allows the call, or one that is missing.
    pub(super) permission: Option<String>,
    /// Whether a read shows the key's secret.
    pub(super) reveal: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Permit,
    Deny,
}

impl Decision {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
        }
    }
}

impl Read for Decision {
    fn read(item: &Item<'_>) -> Option<Self> {
        match item.string()? {
            "permit" => Some(Self::Permit),
            "deny" => Some(Self::Deny),
            _ => {
                item.fault("this must be \"permit\" or \"deny\"");
                None
            }
        }
    }
}

impl<'c> Cases<'c> {
    /// Reads a file. The policy that it names is relative to its folder.
    ///
    /// # Errors
    /// All the faults that it has.
    pub(super) fn load(file: &Path, contract: &'c Contract) -> Result<Self, Faults> {
        let text = fs::read_to_string(file).map_err(|error| {
            Faults(vec![Fault {
                path: file.display().to_string(),
                line: None,
                message: format!("the file can't be read: {error}"),
            }])
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Document::read(&text, folder, |root| {
            let policy = root.optional("policy");
            let items = root.items("cases");
            if items.is_empty() {
                root.fault("cases", "there are none, so that nothing would be tested");
            }
            let cases = items.iter().enumerate();
            let cases: Vec<_> = cases
                .filter_map(|(at, item)| {
                    item.table(|table| case(table, (at, item.line()), contract))
                })
                .collect();
            Some(Self { policy, cases })
        })
    }
}

fn case<'c>(table: &mut Table<'_>, at: (usize, usize), contract: &'c Contract) -> Option<Case<'c>> {
    let title = table.optional("title");
    let names: Vec<String> = table.or("certificates", Vec::new());
    let caller = Caller {
        issuer: table.or("issuer", String::new()),
        subject: table.or("subject", String::new()),
        claims: table.or("claims", Vec::new()),
        token_id: table.optional("token_id"),
        expires_at: SystemTime::UNIX_EPOCH,
        certificate_names: names.iter().map(|it| certificate_name(it)).collect(),
    };
    let operation = operation(table, contract);
    let upstream = upstream(table, operation);
    let key = table.item("key").and_then(|it| it.table(key));
    let expected = expected(table);
    if let (Some(operation), Some(_)) = (operation, &key)
        && operation.route.is_none()
        && operation.not_offered.is_none()
    {
        table.fault("key", "the RPC is about no key");
    }
    let is_read = |it: Option<&Operation>| {
        it.is_none_or(|it| matches!(it.effect, Effect::Read | Effect::Reveal))
    };
    if expected.as_ref().is_some_and(|it| it.reveal.is_some())
        && !(is_read(operation) && key.is_some())
    {
        let fault = "only the answer to a read reveals, or not; say of which `key`";
        table.fault("reveal", fault);
    }
    Some(Case {
        at,
        title,
        caller,
        operation: operation?,
        upstream,
        key,
        expected: expected?,
    })
}

fn operation<'c>(table: &mut Table<'_>, contract: &'c Contract) -> Option<&'c Operation> {
    let name: String = table.required("rpc")?;
    let found = contract.find(&name);
    found.map_err(|fault| table.fault("rpc", fault)).ok()
}

fn upstream(table: &mut Table<'_>, operation: Option<&Operation>) -> Option<String> {
    let name: String = table.optional("upstream")?;
    let provider = operation.map(Operation::provider);
    let fault = match Pattern::check_name(&name) {
        Err(fault) => fault,
        // it would be denied for that alone
        Ok(()) if provider.is_some_and(|it| name.split('/').next() != Some(it)) => {
            "the RPC goes to no such upstream".to_owned()
        }
        Ok(()) => return Some(name),
    };
    table.fault("upstream", fault);
    None
}

fn key(table: &mut Table<'_>) -> Option<KeyFacts> {
    let key = KeyFacts {
        name: table.optional("name"),
        own: table.optional("own"),
        new_name: table.optional("new_name"),
        scopes: table.optional("scopes"),
        unscoped: table.or("unscoped", false),
    };
    if key.unscoped && key.scopes.is_some() {
        table.fault("unscoped", "a key can't have `scopes` and be unscoped");
    }
    Some(key)
}

fn expected(table: &mut Table<'_>) -> Option<Expected> {
    let (rule, permission) = (table.optional("rule"), table.optional("permission"));
    let reveal = table.optional("reveal");
    Some(Expected {
        decision: table.required("expect")?,
        rule,
        permission,
        reveal,
    })
}
