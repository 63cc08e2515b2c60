//! What an operation says of itself. The gateway's path does the rest.

use crate::{audit::Resource, json::Malformed, policy::ScopeRequest, status::Violation, upstream};

/// A vendor: how its answers speak where operations do not differ.
pub trait Vendor: Send + Sync + 'static {
    /// What an error's body says, in upstream's words; nothing if it is not an
    /// error of the vendor's own form.
    fn errors(body: &[u8]) -> Vec<String>;

    /// The name of the key in the answer to a read of one.
    fn name(body: &[u8]) -> Option<String>;
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

    /// Where it goes: the place (`datadog/us1`) and the configured name, empty
    /// for the place's default.
    ///
    /// # Errors
    /// The violation, if the request names no place.
    fn place(request: &Self::Request) -> Result<(String, &str), Violation>;

    /// What is wrong with a request that gives no configured name at a place
    /// that has no default.
    fn unnamed() -> Violation;

    /// Translates the request.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn plan(request: Self::Request) -> Result<Plan, Vec<Violation>>;
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

    /// Leaves out of a list what is not to be kept, and the figures that would
    /// tell of it.
    fn retain(&mut self, keep: &[bool]);

    /// Leaves out what only callers who may reveal can see.
    fn conceal(&mut self);
}

/// A request, translated.
pub struct Plan {
    /// What is sent.
    pub request: upstream::Request,
    /// What it is about. A name is the one that the request gives.
    pub resource: Resource,
    /// The scopes that the request gives.
    pub scopes: Scopes,
    /// For changes to one key: the request that reads it, in case the policy
    /// must know its name first.
    pub inspect: Option<upstream::Request>,
}

/// The scopes that a request gives to a key or token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scopes {
    /// The operation knows no scopes.
    NotApplicable,
    /// They stay as they are.
    Unchanged,
    /// The key is to have all the rights of its owner.
    Unscoped,
    /// These.
    These(Vec<String>),
}

impl Scopes {
    /// The same for the policy.
    #[must_use]
    pub fn request(&self) -> ScopeRequest<'_> {
        match self {
            Self::NotApplicable => ScopeRequest::NotApplicable,
            Self::Unchanged => ScopeRequest::Unchanged,
            Self::Unscoped => ScopeRequest::Unscoped,
            Self::These(scopes) => ScopeRequest::Scopes(scopes),
        }
    }
}

/// A key in a response.
pub struct Key<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its secret.
    pub secret: Option<&'a str>,
}
