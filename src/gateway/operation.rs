//! What an operation says of itself. The gateway's path does the rest.

use bytes::Bytes;
use http::StatusCode;
use prost_types::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, value::RawValue};

use super::{
    changes,
    trace::{Sought, Trace},
};
use crate::{
    audit,
    call::Call,
    json::Malformed,
    policy::ScopeRequest,
    status::{Error, Violation},
    upstream,
};

/// A vendor's API: how its answers speak where operations do not differ.
pub trait Vendor: Send + Sync + 'static {
    /// What an error's body says, in upstream's words; nothing if it is not an
    /// error of the vendor's own form.
    fn errors(body: &[u8]) -> Vec<String>;

    /// The keys in the answer to a read, of one or of many, each as upstream writes
    /// it.
    ///
    /// # Errors
    /// [`Malformed`] if it is no such answer, or if there may be more keys than it
    /// has.
    fn keys(body: &[u8]) -> Result<Vec<&RawValue>, Malformed>;

    /// What one of [`Self::keys`] is, as far as upstream tells.
    fn found(key: &RawValue) -> Found;

    /// The value of one of [`Self::keys`], where reads show it.
    fn secret(_key: &RawValue) -> Option<SecretString> {
        None
    }

    /// A setting of one of [`Self::keys`], by upstream's name of it.
    fn setting<'k>(key: &'k RawValue, name: &str) -> Option<&'k RawValue>;

    /// Whether a refusal in these words says that the endpoint is switched off for
    /// the organization, and nothing of the request or of our credentials.
    fn is_switched_off(_status: StatusCode, _words: &[String]) -> bool {
        false
    }
}

/// A key as a read finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Its id; `None` where upstream knows none beside the secret.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its scopes: [`Scopes::These`], or unscoped also where they can't be seen.
    pub scopes: Scopes,
    /// What it belongs to: a service account's id.
    pub parent: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// The keys in the answer to a read. Where that can't be told, there is one of
/// which nothing is known.
#[must_use]
pub fn found<V: Vendor>(body: &[u8]) -> Vec<Found> {
    let Ok(keys) = V::keys(body) else {
        return vec![Found::default()];
    };
    keys.into_iter().map(V::found).collect()
}

/// One operation: its request, its route, its body, its answer.
pub trait Operation: Send + Sync + 'static {
    /// The method in the contract: `keygate.datadog.v2.ApiKeyService/ListApiKeys`.
    const METHOD: &'static str;
    /// The vendor.
    type Vendor: Vendor;
    /// The request.
    type Request: Send + 'static;
    /// The response.
    type Response: Answer;

    /// Where it goes: an upstream's name, or as much of one as the request tells;
    /// see [`Registry::choose`](upstream::registry::Registry::choose).
    ///
    /// # Errors
    /// The violation, if the request names no place.
    fn address(request: &Self::Request) -> Result<String, Violation>;

    /// What is wrong with a request whose address fits several upstreams, none of
    /// them the default.
    fn ambiguous() -> Violation;

    /// Translates the request.
    ///
    /// # Errors
    /// Everything that is wrong with it, or why it can't be done there.
    fn plan(request: Self::Request) -> Result<Plan, Error>;

    /// Where its effect shows, should its answer be lost. `None` if it has none.
    fn trace(_sought: &Sought<'_>) -> Option<Trace> {
        None
    }
}

/// A response to a key operation.
pub trait Answer: Sized + Send + 'static {
    /// Translates the answer's body back.
    ///
    /// # Errors
    /// [`Malformed`] if it is not what the vendor documents.
    fn read(body: &[u8]) -> Result<Self, Malformed>;

    /// The keys in it.
    fn keys(&self) -> Vec<Key<'_>>;

    /// Leaves out of a list what is not to be kept.
    fn retain(&mut self, keep: &[bool]);

    /// Leaves out of a list the figures that tell of what else there is.
    fn forget_totals(&mut self) {}

    /// Leaves out what only callers who may reveal can see.
    fn conceal(&mut self);
}

/// A request, translated.
pub struct Plan {
    /// What is sent.
    pub request: upstream::Request,
    /// The type of resource, as the trail names it: `api_key`.
    pub resource_type: &'static str,
    /// What the resource belongs to: a service account's id.
    pub parent: Option<String>,
    /// Which keys it is about.
    pub target: Target,
    /// The name that the request gives.
    pub name: Option<String>,
    /// The scopes that the request gives.
    pub scopes: Scopes,
    /// The settings that the request gives to a key that exists, by upstream's names.
    pub sets: Vec<(String, Value)>,
    /// For changes to what exists: how it is read first.
    pub inspect: Option<Inspect>,
}

impl Plan {
    /// A plan without a name, scopes or a read before it.
    #[must_use]
    pub fn new(request: upstream::Request, resource_type: &'static str, target: Target) -> Self {
        Self {
            request,
            resource_type,
            parent: None,
            target,
            name: None,
            scopes: Scopes::NotApplicable,
            sets: Vec::new(),
            inspect: None,
        }
    }

    /// Notes for the call's records what it is about.
    pub(super) fn note(&self, call: &Call) {
        let mut resource = audit::Resource {
            resource_type: Some(self.resource_type.to_owned()),
            id: None,
            name: self.name.clone(),
            parent: self.parent.clone(),
            copy_of: None,
        };
        let trail = &call.ledger().trail;
        let changes = changes::of(&self.sets, trail);
        let mut fingerprints = Vec::new();
        match &self.target {
            Target::Collection | Target::Replacement => {}
            Target::Key(id) => resource.id = Some(id.clone()),
            Target::Secret(secret) => {
                fingerprints.push(trail.fingerprint(secret.expose_secret()));
            }
            Target::Keys(ids) => call.note_keys(ids),
            Target::CopyOf(id) => resource.copy_of = Some(id.clone()),
        }
        call.note(|record| {
            record.resource = Some(resource);
            record.fingerprints = fingerprints;
            record.changes = changes;
        });
    }
}

/// Which keys a request is about.
pub enum Target {
    /// None that exists: a list, or a creation.
    Collection,
    /// The key of this id.
    Key(String),
    /// The key of this value, which is its id too. Nobody writes it down.
    Secret(SecretString),
    /// The keys of these ids. Each is recorded by itself.
    Keys(Vec<String>),
    /// A new key, made from the key of this id.
    CopyOf(String),
    /// A new key in the place of those that the inspection finds, if any. It is
    /// sent once and never again: each time makes another secret.
    Replacement,
}

/// A read of the keys that a change touches, before anything is sent that
/// changes them. It is made if the policy has to know their names or the scopes
/// that they keep, or if the change needs it by itself.
pub struct Inspect {
    /// The read.
    pub request: upstream::Request,
    /// Makes the change's body from what was read.
    pub complete: Option<Complete>,
}

/// The body of a change, made complete with that of the answer to the read before
/// it.
pub type Complete = Box<dyn FnOnce(&[u8]) -> Result<Bytes, Malformed> + Send + Sync>;

impl Inspect {
    /// A read that only the policy can ask for.
    #[must_use]
    pub fn new(request: upstream::Request) -> Self {
        Self {
            request,
            complete: None,
        }
    }
}

/// The scopes that a key or token has after a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scopes {
    /// It knows no scopes, or the request is not about what it may do.
    NotApplicable,
    /// Those of the key that the request touches.
    Unchanged,
    /// All the rights of its owner, or what can't be seen and may be all.
    #[default]
    Unscoped,
    /// These.
    These(Vec<String>),
}

impl Scopes {
    /// The same for the policy. Those of a key that nobody has read may be all.
    #[must_use]
    pub fn request(&self) -> ScopeRequest<'_> {
        match self {
            Self::NotApplicable => ScopeRequest::NotApplicable,
            Self::Unchanged | Self::Unscoped => ScopeRequest::Unscoped,
            Self::These(scopes) => ScopeRequest::Scopes(scopes),
        }
    }
}

/// A key in a response.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// Its id; `None` where upstream knows none beside the secret.
    pub id: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its secret.
    pub secret: Option<&'a str>,
}

/// The plan, unless something is wrong.
///
/// # Errors
/// What is wrong.
pub fn unless(violations: Vec<Violation>, plan: Plan) -> Result<Plan, Error> {
    if violations.is_empty() {
        Ok(plan)
    } else {
        Err(Error::InvalidRequest(violations))
    }
}

/// One operation: its method, its messages and its plan. A vendor wraps this in a
/// macro of its own that fills in what is the same for all its operations: the
/// vendor, the address, what to say where it is ambiguous, and possibly what is
/// checked before anything else. A change says last where its effect shows.
macro_rules! operation {
    (
        vendor: $vendor:ty,
        address: |$request:ident| $address:expr,
        ambiguous: $ambiguous:expr,
        $(first: |$checked:ident| $check:expr,)?
        $(#[$doc:meta])+
        $name:ident = $method:literal, $input:ty => $output:ty,
        |$it:ident, $violations:ident| $plan:expr
        $(, effect: |$sought:ident| $trace:expr)? $(,)?
    ) => {
        $(#[$doc])+
        #[derive(Debug)]
        pub struct $name;

        impl $crate::gateway::Operation for $name {
            const METHOD: &'static str = $method;
            type Vendor = $vendor;
            type Request = $input;
            type Response = $output;

            fn address(
                $request: &Self::Request,
            ) -> Result<String, $crate::status::Violation> {
                $address
            }

            fn ambiguous() -> $crate::status::Violation {
                $ambiguous
            }

            fn plan(
                $it: Self::Request,
            ) -> Result<$crate::gateway::Plan, $crate::status::Error> {
                $({
                    let $checked = &$it;
                    $check?;
                })?
                let mut violations = Vec::new();
                let $violations = &mut violations;
                let plan = $plan;
                $crate::gateway::operation::unless(violations, plan)
            }

            $(fn trace(
                $sought: &$crate::gateway::trace::Sought<'_>,
            ) -> Option<$crate::gateway::trace::Trace> {
                Some($trace)
            })?
        }
    };
}

pub(crate) use operation;
