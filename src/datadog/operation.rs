//! What Datadog's operations have in common: requests that name a site, and
//! bodies in JSON:API.

use bytes::Bytes;
use http::Method;
use serde::Serialize;

use super::{query::check_id, site};
use crate::{
    audit,
    contract::proto::keygate::datadog::v2::{Scopes, Site},
    gateway::operation as gateway,
    status::Violation,
    upstream::Request,
};

/// The place of a site and the organization there, for
/// [`gateway::Operation::place`].
///
/// # Errors
/// The violation, if it is no site that this version knows, or a name that no
/// organization can have: it stands in records and statuses, so it is bounded.
pub fn place(site: i32, org: &str) -> Result<(String, &str), Violation> {
    const LONGEST: usize = 64;
    let name = Site::try_from(site).ok().and_then(site::name);
    let name = name
        .ok_or_else(|| Violation::new("site", "is required, and must be a site of this version"))?;
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
    if org.len() > LONGEST || !org.bytes().all(is_plain) {
        let fault = "must be at most 64 letters, digits, `.`, `_` and `-`";
        return Err(Violation::new("org", fault));
    }
    Ok((format!("datadog/{name}"), org))
}

/// For [`gateway::Operation::unnamed`].
#[must_use]
pub fn unnamed() -> Violation {
    Violation::new(
        "org",
        "is required: no organization is this site's default; see AccessService.ListUpstreams",
    )
}

/// A kind of resource, as the trail and JSON:API name it.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// In the trail: `api_key`.
    pub name: &'static str,
    /// In JSON:API: `api_keys`.
    pub jsonapi: &'static str,
}

/// API keys.
pub const API_KEY: Kind = Kind {
    name: "api_key",
    jsonapi: "api_keys",
};
/// Application keys.
pub const APPLICATION_KEY: Kind = Kind {
    name: "application_key",
    jsonapi: "application_keys",
};
/// Personal access tokens.
pub const PERSONAL_ACCESS_TOKEN: Kind = Kind {
    name: "access_token",
    jsonapi: "personal_access_tokens",
};

/// A kind of resource at a collection's path.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    /// What it holds.
    pub kind: Kind,
    /// Its path.
    pub path: &'static str,
    /// The field of requests that holds an id.
    pub id_field: &'static str,
    /// The route of one of its resources.
    pub item: &'static str,
}

impl Collection {
    fn resource(&self, id: Option<String>, name: Option<String>) -> audit::Resource {
        audit::Resource {
            resource_type: Some(self.kind.name.to_owned()),
            id,
            name,
        }
    }

    fn request(&self, method: Method, path: String, route: &'static str) -> Request {
        let repeatable = method == Method::GET;
        Request {
            method,
            path,
            route,
            body: None,
            repeatable,
        }
    }

    /// A list.
    #[must_use]
    pub fn list(&self, path: String) -> gateway::Plan {
        gateway::Plan {
            request: self.request(Method::GET, path, self.path),
            resource: self.resource(None, None),
            scopes: gateway::Scopes::NotApplicable,
            inspect: None,
        }
    }

    /// The path of one resource. What is wrong with the id goes into `violations`.
    #[must_use]
    pub fn path_of(&self, id: &str, violations: &mut Vec<Violation>) -> String {
        check_id(self.id_field, id, violations);
        format!("{}/{id}", self.path)
    }

    /// A read of one resource.
    #[must_use]
    pub fn get(&self, id: String, path: String) -> gateway::Plan {
        gateway::Plan {
            request: self.request(Method::GET, path, self.item),
            resource: self.resource(Some(id), None),
            scopes: gateway::Scopes::NotApplicable,
            inspect: None,
        }
    }

    /// A creation.
    #[must_use]
    pub fn create<A: Serialize>(
        &self,
        name: String,
        scopes: gateway::Scopes,
        attributes: A,
    ) -> gateway::Plan {
        let mut request = self.request(Method::POST, self.path.to_owned(), self.path);
        request.body = Some(self.body(None, attributes));
        gateway::Plan {
            request,
            resource: self.resource(None, Some(name)),
            scopes,
            inspect: None,
        }
    }

    /// A change of one resource.
    #[must_use]
    pub fn update<A: Serialize>(
        &self,
        id: String,
        path: String,
        name: Option<String>,
        scopes: gateway::Scopes,
        attributes: A,
    ) -> gateway::Plan {
        let inspect = self.request(Method::GET, path.clone(), self.item);
        let mut request = self.request(Method::PATCH, path, self.item);
        request.body = Some(self.body(Some(&id), attributes));
        gateway::Plan {
            request,
            resource: self.resource(Some(id), name),
            scopes,
            inspect: Some(inspect),
        }
    }

    /// A change of a resource that has a name and scopes. What is not set stays as
    /// it is.
    #[must_use]
    pub fn rename_or_rescope(
        &self,
        id: String,
        name: Option<String>,
        given: Option<Scopes>,
        violations: &mut Vec<Violation>,
    ) -> gateway::Plan {
        let path = self.path_of(&id, violations);
        check_new_name(name.as_deref(), violations);
        let (policy, sent) = scopes(given, gateway::Scopes::Unchanged, violations);
        let attributes = Attributes {
            name: name.clone(),
            scopes: sent,
            ..Attributes::default()
        };
        self.update(id, path, name, policy, attributes)
    }

    /// A removal of one resource.
    #[must_use]
    pub fn delete(&self, id: String, violations: &mut Vec<Violation>) -> gateway::Plan {
        let path = self.path_of(&id, violations);
        gateway::Plan {
            inspect: Some(self.request(Method::GET, path.clone(), self.item)),
            request: self.request(Method::DELETE, path, self.item),
            resource: self.resource(Some(id), None),
            scopes: gateway::Scopes::NotApplicable,
        }
    }

    fn body<A: Serialize>(&self, id: Option<&str>, attributes: A) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a, A> {
            data: Data<'a, A>,
        }
        #[derive(Serialize)]
        struct Data<'a, A> {
            r#type: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
            attributes: A,
        }
        let data = Data {
            r#type: self.kind.jsonapi,
            id,
            attributes,
        };
        // structs of strings, numbers and lists of them always serialize
        serde_json::to_vec(&Body { data })
            .unwrap_or_default()
            .into()
    }
}

/// Attributes of a body: what is not set is not sent; `scopes` may be null.
#[derive(Debug, Default, Serialize)]
pub struct Attributes {
    /// `name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `category`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// `remote_config_read_enabled`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_config_read_enabled: Option<bool>,
    /// `scopes`: null for a key with all the rights of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Option<Vec<String>>>,
    /// `expires_at`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Scopes of a request: for the policy, and for the body.
pub fn scopes(
    scopes: Option<Scopes>,
    absent: gateway::Scopes,
    violations: &mut Vec<Violation>,
) -> (gateway::Scopes, Option<Option<Vec<String>>>) {
    let Some(scopes) = scopes else {
        return (absent, None);
    };
    if scopes.unscoped {
        if !scopes.values.is_empty() {
            violations.push(Violation::new(
                "scopes",
                "can't have `values` and be `unscoped`",
            ));
        }
        return (gateway::Scopes::Unscoped, Some(None));
    }
    (
        gateway::Scopes::These(scopes.values.clone()),
        Some(Some(scopes.values)),
    )
}

/// Checks a name that upstream requires.
pub fn check_name(name: Option<&str>, violations: &mut Vec<Violation>) {
    match name {
        None => violations.push(Violation::new("name", "is required by upstream")),
        Some(name) => check_new_name(Some(name), violations),
    }
}

/// Checks a name that may be left out.
fn check_new_name(name: Option<&str>, violations: &mut Vec<Violation>) {
    // it stands in records, so it is bounded
    const LONGEST: usize = 1024;
    let fault = match name {
        Some(name) if name.trim().is_empty() => "must not be empty",
        Some(name) if name.len() > LONGEST => "is longer than 1024 bytes",
        _ => return,
    };
    violations.push(Violation::new("name", fault));
}

/// The plan, unless something is wrong.
///
/// # Errors
/// What is wrong.
pub fn unless(
    violations: Vec<Violation>,
    plan: gateway::Plan,
) -> Result<gateway::Plan, Vec<Violation>> {
    if violations.is_empty() {
        Ok(plan)
    } else {
        Err(violations)
    }
}

/// One operation of Datadog's: its method, its messages, and its plan. The rest
/// is the same for all.
macro_rules! operation {
    (
        $(#[$doc:meta])*
        $name:ident = $method:literal, $request:ty => $response:ty,
        |$it:ident, $violations:ident| $plan:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl $crate::gateway::Operation for $name {
            const METHOD: &'static str = $method;
            type Vendor = $crate::datadog::Datadog;
            type Request = $request;
            type Response = $response;

            fn place(
                request: &Self::Request,
            ) -> Result<(String, &str), $crate::status::Violation> {
                $crate::datadog::operation::place(request.site, &request.org)
            }

            fn unnamed() -> $crate::status::Violation {
                $crate::datadog::operation::unnamed()
            }

            fn plan(
                $it: Self::Request,
            ) -> Result<$crate::gateway::Plan, Vec<$crate::status::Violation>> {
                let mut violations = Vec::new();
                let $violations = &mut violations;
                let plan = $plan;
                $crate::datadog::operation::unless(violations, plan)
            }
        }
    };
}

pub(super) use operation;
