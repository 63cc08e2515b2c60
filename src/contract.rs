//! The contract: code generated from `proto/`, its descriptor, and the table of
//! operations read from it.
//!
//! Every method of a keygate service carries the option
//! `keygate.options.v1.operation`. [`Contract::load`] reads them all and fails
//! over a method without one, so that nothing unclassified is ever served.
//! This module knows no caller, no policy and no upstream.

use std::{collections::HashMap, fmt};

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ServiceDescriptor};

/// The code generated from `proto/`, one module a package.
#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
    include!(concat!(env!("OUT_DIR"), "/redacted.rs"));
}

pub use proto::keygate::options::v1::Effect;

use proto::keygate::options::v1 as options;

/// The encoded `google.protobuf.FileDescriptorSet` of `proto/` and its imports.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// One classified method of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The full name: `keygate.datadog.v2.ApiKeyService/ListApiKeys`.
    pub method: String,
    /// The service's full name.
    pub service: String,
    /// The method's own name.
    pub rpc: String,
    /// Permissions, any one of which suffices. Empty: any caller.
    pub permissions: Vec<String>,
    /// What it does.
    pub effect: Effect,
    /// The upstream route it mirrors, `None` if keygate answers by itself.
    pub route: Option<String>,
    /// Why the vendor has no such operation; `None` if it has it.
    pub not_offered: Option<String>,
    /// Whether its service is deprecated, as it is upstream.
    pub deprecated: bool,
}

impl Operation {
    /// The method without its package: `ApiKeyService/ListApiKeys`.
    #[must_use]
    pub fn short(&self) -> &str {
        let package = self.service.rfind('.').map_or(0, |dot| dot + 1);
        &self.method[package..]
    }

    /// The vendor: the second part of the package's name, `datadog`.
    #[must_use]
    pub fn provider(&self) -> &str {
        self.service.split('.').nth(1).unwrap_or_default()
    }
}

impl Effect {
    /// Whether it changes anything upstream.
    #[must_use]
    pub fn is_mutation(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }

    /// The effect in lower case, as the audit trail and the tables write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Read => "read",
            Self::Reveal => "reveal",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The table of operations.
#[derive(Debug)]
pub struct Contract {
    operations: Vec<Operation>,
    by_method: HashMap<String, usize>,
}

/// Why a contract can't be served: every fault that it has.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The descriptor set can't be read.
    #[error("the descriptor set of the contract can't be read")]
    Descriptor(#[from] prost_reflect::DescriptorError),
    /// Methods are not, or wrongly, classified.
    #[error("methods of the contract are not classified:{}", Lines(.0))]
    Unclassified(Vec<String>),
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl Contract {
    /// Reads the contract that this build was generated from.
    ///
    /// # Errors
    /// [`Error`] if a method is not classified.
    pub fn load() -> Result<Self, Error> {
        Self::from_descriptor_set(DESCRIPTOR_SET)
    }

    /// Reads the contract from an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// [`Error`] if the set can't be read, or a method is not classified.
    pub fn from_descriptor_set(encoded: &[u8]) -> Result<Self, Error> {
        let pool = DescriptorPool::decode(encoded)?;
        let mut operations = Vec::new();
        let mut faults = Vec::new();
        for service in pool.services() {
            for method in service.methods() {
                match classify(&pool, &method) {
                    Ok(operation) => operations.push(operation),
                    Err(fault) => faults.push(format!("{}: {fault}", method_name(&method))),
                }
            }
        }
        if !faults.is_empty() {
            return Err(Error::Unclassified(faults));
        }
        operations.sort_by(|a, b| a.method.cmp(&b.method));
        let by_method = operations
            .iter()
            .enumerate()
            .map(|(at, operation)| (operation.method.clone(), at))
            .collect();
        Ok(Self {
            operations,
            by_method,
        })
    }

    /// All operations, by method name.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of a method, `package.Service/Method`.
    #[must_use]
    pub fn operation(&self, method: &str) -> Option<&Operation> {
        self.by_method.get(method).map(|at| &self.operations[*at])
    }

    /// The operation that a person means: by its full name, or by as much of its end
    /// as only one operation has.
    ///
    /// # Errors
    /// What is wrong with the name, for whoever wrote it.
    pub fn find(&self, name: &str) -> Result<&Operation, String> {
        let name = name.trim_start_matches('/');
        if let Some(operation) = self.operation(name) {
            return Ok(operation);
        }
        let is_meant = |it: &&Operation| {
            let before = it.method.strip_suffix(name);
            before.is_some_and(|it| it.ends_with(['.', '/']))
        };
        let meant: Vec<_> = self.operations.iter().filter(is_meant).collect();
        match meant.as_slice() {
            [operation] => Ok(operation),
            [] => Err("there is no such RPC; `keygate permissions` lists them".to_owned()),
            several => {
                let names: Vec<_> = several
                    .iter()
                    .map(|it| format!("`{}`", it.method))
                    .collect();
                let names = names.join(", ");
                Err(format!("several services have it; name one of {names}"))
            }
        }
    }

    /// Every permission that an operation asks for, sorted, each once.
    #[must_use]
    pub fn permissions(&self) -> Vec<&str> {
        let mut all: Vec<_> = self
            .operations
            .iter()
            .flat_map(|it| it.permissions.iter().map(String::as_str))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn method_name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

fn is_deprecated(service: &ServiceDescriptor) -> bool {
    let options = service.options();
    let option = options.get_field_by_name("deprecated");
    option.and_then(|it| it.as_bool()).unwrap_or_default()
}

fn classify(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<Operation, &'static str> {
    const OPTION: &str = "keygate.options.v1.operation";
    let extension = pool
        .get_extension_by_name(OPTION)
        .ok_or("the option `keygate.options.v1.operation` is not part of the contract")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return Err("has no option `keygate.options.v1.operation`");
    }
    let value = options.get_extension(&extension);
    let declared = value
        .as_message()
        .map(DynamicMessage::encode_to_vec)
        .and_then(|bytes| options::Operation::decode(bytes.as_slice()).ok())
        .ok_or("its classification can't be read")?;
    let effect = declared.effect();
    if effect == Effect::Unspecified {
        return Err("has no effect");
    }
    match (declared.permissions.is_empty(), declared.any_caller) {
        (true, false) => return Err("names no permission and is not open to any caller"),
        (false, true) => return Err("names permissions and is open to any caller"),
        _ => {}
    }
    if declared.any_caller && effect != Effect::Read {
        return Err("is open to any caller, and does more than read");
    }
    match (
        declared.not_offered.is_empty(),
        declared.upstream_route.is_empty(),
    ) {
        (true, true) if !declared.any_caller && effect != Effect::Read => {
            return Err("changes something, and names no upstream route");
        }
        (false, false) => return Err("names an upstream route, and is not offered there"),
        _ => {}
    }
    Ok(Operation {
        method: method_name(method),
        service: method.parent_service().full_name().to_owned(),
        rpc: method.name().to_owned(),
        permissions: declared.permissions,
        effect,
        route: Some(declared.upstream_route).filter(|it| !it.is_empty()),
        not_offered: Some(declared.not_offered).filter(|it| !it.is_empty()),
        deprecated: is_deprecated(method.parent_service()),
    })
}
