//! Reads a policy file. It is read as a whole: every fault is told at once, each
//! with its line and the path of its setting.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    ops::Range,
    sync::Arc,
};

use aws_lc_rs::digest;
use toml::{
    Spanned,
    de::{DeString, DeTable},
};

use super::{
    ACCESS_READ, AUDIT_READ, Grant, Policy,
    reader::{self, Faults, closest, join},
    role::{Ownership, Role},
    upstream::{self, Pattern},
};
use crate::contract::Contract;

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// Every fault that it has.
    pub fn parse(text: &str, contract: &Contract) -> Result<Self, Faults> {
        let mut reader = PolicyReader::new(text, contract);
        let (tree, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or_default();
            reader.tree.fault("", &span, error.message());
        }
        // What was left out of a broken tree would only be missed in vain.
        let policy = errors
            .is_empty()
            .then(|| reader.policy(text, tree.get_ref()));
        let mut faults = reader.tree.faults;
        match policy {
            Some(policy) if faults.is_empty() => Ok(policy),
            _ => {
                faults.sort_by_key(|it| it.line);
                Err(Faults(faults))
            }
        }
    }
}

/// Goes through the tree, and knows what may be in it.
struct PolicyReader<'a> {
    tree: reader::Reader<'a>,
    permissions: BTreeSet<&'a str>,
    in_use: BTreeMap<String, Vec<String>>,
}

impl<'a> PolicyReader<'a> {
    fn new(text: &'a str, contract: &'a Contract) -> Self {
        let mut permissions: BTreeSet<_> = contract.permissions().into_iter().collect();
        permissions.extend([ACCESS_READ, AUDIT_READ]);
        let mut in_use: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for operation in contract.operations() {
            if upstream::is_vendor(operation.provider()) {
                let all = in_use.entry(operation.provider().to_owned()).or_default();
                all.extend_from_slice(&operation.permissions);
            }
        }
        Self {
            tree: reader::Reader::new(text),
            permissions,
            in_use,
        }
    }

    fn policy(&mut self, text: &str, file: &DeTable<'_>) -> Policy {
        self.tree.known(file, "", &["roles", "grants"]);
        let mut roles = Vec::new();
        let mut places = HashMap::new();
        let table = file
            .get("roles")
            .and_then(|it| self.tree.table(it, "roles"));
        for (name, value) in table.into_iter().flatten() {
            let path = join("roles", name.get_ref());
            places.insert(name.get_ref().to_string(), roles.len());
            let Some(table) = self.tree.table(value, &path) else {
                continue;
            };
            let role = self.role(name, table, &path);
            roles.push(Arc::new(role));
        }

        let mut policy = Policy {
            version: version(text).into(),
            roles,
            grants: Vec::new(),
            by_claim: HashMap::new(),
            by_subject: HashMap::new(),
            by_pattern: Vec::new(),
            in_use: std::mem::take(&mut self.in_use),
        };
        let list = file
            .get("grants")
            .and_then(|it| self.tree.list(it, "grants"));
        for (at, value) in list.into_iter().flatten().enumerate() {
            let path = format!("grants[{at}]");
            if let Some(table) = self.tree.table(value, &path) {
                self.grant(table, &value.span(), &path, &places, &mut policy);
            }
        }
        policy
    }

    fn role(&mut self, name: &Spanned<DeString<'_>>, table: &DeTable<'_>, path: &str) -> Role {
        const KEYS: [&str; 7] = [
            "permissions",
            "upstreams",
            "names",
            "keys",
            "reveal",
            "max_scopes",
            "allow_unscoped",
        ];
        self.tree.known(table, path, &KEYS);
        if name.get_ref().is_empty() {
            self.tree.fault(path, &name.span(), "a role needs a name");
        }
        if !table.contains_key("permissions") {
            let message = "the role has no `permissions`, so that it can't permit anything";
            self.tree.fault(path, &name.span(), message);
        }

        let mut permissions = Vec::new();
        for (text, span, path) in self
            .tree
            .texts(table, path, "permissions", true)
            .unwrap_or_default()
        {
            if text != "*" && !self.permissions.contains(text) {
                let message = self.unknown_permission(text);
                self.tree.fault(&path, &span, message);
            }
            permissions.push(text.to_owned());
        }
        let upstreams = match self.tree.texts(table, path, "upstreams", true) {
            None => vec![Pattern::all()],
            Some(texts) => texts
                .into_iter()
                .filter_map(|(text, span, path)| {
                    Pattern::parse(text)
                        .map_err(|message| self.tree.fault(&path, &span, message))
                        .ok()
                })
                .collect(),
        };
        let own = |texts: Vec<(&str, _, _)>| texts.iter().map(|it| it.0.to_owned()).collect();
        Role {
            name: name.get_ref().to_string(),
            permissions,
            upstreams,
            names: self
                .tree
                .texts(table, path, "names", true)
                .map_or_else(|| vec!["*".to_owned()], own),
            keys: self.ownership(table, path),
            reveal: self.tree.flag(table, path, "reveal"),
            max_scopes: self
                .tree
                .texts(table, path, "max_scopes", false)
                .map_or_else(Vec::new, own),
            allow_unscoped: self.tree.flag(table, path, "allow_unscoped"),
        }
    }

    fn grant(
        &mut self,
        table: &DeTable<'_>,
        span: &Range<usize>,
        path: &str,
        places: &HashMap<String, usize>,
        policy: &mut Policy,
    ) {
        self.tree
            .known(table, path, &["role", "claim", "subject", "issuer"]);
        let place = match table.get("role") {
            None => {
                self.tree.fault(path, span, "the grant has no `role`");
                None
            }
            Some(value) => self.tree.text(value, &join(path, "role")).and_then(|name| {
                let place = places.get(name).copied();
                if place.is_none() {
                    let names = places.keys().map(String::as_str);
                    let hint = closest(name, names).unwrap_or_default();
                    let message = format!("there is no role {name:?} in this file{hint}");
                    self.tree.fault(&join(path, "role"), &value.span(), message);
                }
                place
            }),
        };
        let mut text = |key: &str| {
            let value = table.get(key)?;
            self.tree.text(value, &join(path, key)).map(str::to_owned)
        };
        let (claim, subject, issuer) = (text("claim"), text("subject"), text("issuer"));
        match (table.contains_key("claim"), table.contains_key("subject")) {
            (true, true) => {
                let message = "the grant has both `claim` and `subject`; write two grants, \
                     as a caller who fits one of them would get the role";
                self.tree.fault(path, span, message);
            }
            (false, false) => {
                let message = "the grant has neither `claim` nor `subject`, so that nobody \
                     would get the role; for every caller write subject = \"*\"";
                self.tree.fault(path, span, message);
            }
            _ => {}
        }

        let at = policy.grants.len();
        policy.grants.push(Grant {
            role: place.unwrap_or_default(),
            issuer,
        });
        match (claim, subject) {
            (Some(claim), _) => policy.by_claim.entry(claim).or_default().push(at),
            (_, Some(subject)) if subject.contains('*') => policy.by_pattern.push((subject, at)),
            (_, Some(subject)) => policy.by_subject.entry(subject).or_default().push(at),
            (None, None) => {}
        }
    }

    fn ownership(&mut self, table: &DeTable<'_>, path: &str) -> Ownership {
        let Some(value) = table.get("keys") else {
            return Ownership::Own;
        };
        match value.get_ref().as_str() {
            Some("own") => Ownership::Own,
            Some("any") => Ownership::Any,
            _ => {
                let message = "must be \"own\" (keys that the caller made here) or \"any\"";
                self.tree.fault(&join(path, "keys"), &value.span(), message);
                Ownership::Own
            }
        }
    }

    fn unknown_permission(&self, text: &str) -> String {
        let hint = if text.contains('*') {
            "; only \"*\" by itself stands for several".to_owned()
        } else {
            closest(text, self.permissions.iter().copied())
                .unwrap_or_else(|| "; `keygate permissions` lists them".to_owned())
        };
        format!("there is no permission {text:?}{hint}")
    }
}

fn version(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
