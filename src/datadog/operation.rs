//! What Datadog's operations have in common: requests that name a site, and
//! bodies in JSON:API.

use std::borrow::Cow;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde_json::Value;

use super::{Datadog, query::Query, site};
use crate::{
    contract::proto::keygate::datadog::v2::{Scopes, Site},
    gateway::{
        Pages,
        operation::{self as gateway, Inspect, Target},
        request::{body, check_id, check_new_name, check_place},
        trace::{Look, Made, Sought, Trace},
    },
    status::Violation,
    upstream::Request,
};

/// The address of an organization on a site, for
/// [`gateway::Operation::address`].
///
/// # Errors
/// The violation, if it is no site that this version knows, or a name that no
/// organization can have.
pub fn address(site: i32, org: &str) -> Result<String, Violation> {
    let name = Site::try_from(site).ok().and_then(site::name);
    let name = name
        .ok_or_else(|| Violation::new("site", "is required, and must be a site of this version"))?;
    check_place("org", org)?;
    Ok(if org.is_empty() {
        format!("datadog/{name}")
    } else {
        format!("datadog/{name}/{org}")
    })
}

/// For [`gateway::Operation::ambiguous`].
#[must_use]
pub fn ambiguous() -> Violation {
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
    /// Whether lists can be filtered by the time of creation.
    pub is_dated: bool,
}

/// API keys.
pub const API_KEY: Kind = Kind {
    name: "api_key",
    jsonapi: "api_keys",
    is_dated: true,
};
/// Application keys.
pub const APPLICATION_KEY: Kind = Kind {
    name: "application_key",
    jsonapi: "application_keys",
    is_dated: true,
};
/// Personal access tokens.
pub const PERSONAL_ACCESS_TOKEN: Kind = Kind {
    name: "access_token",
    jsonapi: "personal_access_tokens",
    is_dated: false,
};
/// Access tokens of service accounts.
pub const SERVICE_ACCESS_TOKEN: Kind = Kind {
    name: "access_token",
    jsonapi: "service_access_tokens",
    is_dated: false,
};

/// A kind of resource at a collection's path.
#[derive(Clone, Debug)]
pub struct Collection {
    /// What it holds.
    pub kind: Kind,
    /// Its path.
    pub path: Cow<'static, str>,
    /// The route of the collection.
    pub route: &'static str,
    /// The route of one of its resources.
    pub item: &'static str,
    /// The field of requests that holds an id.
    pub id_field: &'static str,
    /// What all of it belongs to: a service account's id.
    pub parent: Option<String>,
}

impl Collection {
    /// A collection that belongs to nothing within its organization.
    #[must_use]
    pub const fn new(
        kind: Kind,
        route: &'static str,
        item: &'static str,
        id_field: &'static str,
    ) -> Self {
        Self {
            kind,
            path: Cow::Borrowed(route),
            route,
            item,
            id_field,
            parent: None,
        }
    }

    /// The same below what it belongs to: the first parameter of its routes. What
    /// is wrong with that id goes into `violations`.
    #[must_use]
    pub fn of(&self, field: &'static str, parent: String, violations: &mut Vec<Violation>) -> Self {
        check_id(field, &parent, violations);
        Self {
            path: self
                .route
                .replacen(&format!("{{{field}}}"), &parent, 1)
                .into(),
            parent: Some(parent),
            ..self.clone()
        }
    }

    fn plan(&self, request: Request, target: Target) -> gateway::Plan {
        gateway::Plan {
            parent: self.parent.clone(),
            ..gateway::Plan::new(request, self.kind.name, target)
        }
    }

    /// A list.
    #[must_use]
    pub fn list(&self, path: String) -> gateway::Plan {
        let request = Request::new(Method::GET, path, self.route);
        self.plan(request, Target::Collection)
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
        let request = Request::new(Method::GET, path, self.item);
        self.plan(request, Target::Key(id))
    }

    /// A creation.
    #[must_use]
    pub fn create<A: Serialize>(
        &self,
        name: String,
        scopes: gateway::Scopes,
        attributes: A,
    ) -> gateway::Plan {
        let mut request = Request::new(Method::POST, self.path.as_ref(), self.route);
        request.body = Some(self.body(None, attributes));
        gateway::Plan {
            name: Some(name),
            scopes,
            ..self.plan(request, Target::Collection)
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
        let inspect = Request::new(Method::GET, path.clone(), self.item);
        let mut request = Request::new(Method::PATCH, path, self.item);
        let sets = match serde_json::to_value(&attributes) {
            Ok(Value::Object(members)) => members.into_iter().collect(),
            _ => Vec::new(),
        };
        request.body = Some(self.body(Some(&id), attributes));
        gateway::Plan {
            name,
            scopes,
            sets,
            inspect: Some(Inspect::new(inspect)),
            ..self.plan(request, Target::Key(id))
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
        let inspect = Request::new(Method::GET, path.clone(), self.item);
        let request = Request::new(Method::DELETE, path, self.item);
        gateway::Plan {
            inspect: Some(Inspect::new(inspect)),
            ..self.plan(request, Target::Key(id))
        }
    }

    /// Where a new resource shows: in the list that this stream walks. Whether a
    /// read of it by its id `shows` its value.
    #[must_use]
    pub fn made<P: Pages>(&self, sought: &Sought<'_>, shows: bool) -> Trace {
        let mut violations = Vec::new();
        let (since, until) = (sought.since(), sought.until());
        let period = self.kind.is_dated.then_some((&since, &until));
        let (since, until) = period.unzip();
        let list = Query::new(&*self.path, &mut violations).created_at(since, until);
        let list = Request::new(Method::GET, list.finish(), self.route);
        let (path, item) = (self.path.clone(), self.item);
        let show = move |id: &str| Request::new(Method::GET, format!("{path}/{id}"), item);
        Trace::Made(Made {
            list: Look::pages::<P>(list),
            show: shows.then(|| Box::new(show) as _),
            in_place: false,
        })
    }

    /// Where it shows that a resource was removed.
    #[must_use]
    pub fn removed(&self, sought: &Sought<'_>) -> Trace {
        self.look_at(sought).map_or(Trace::UNNAMED, Trace::Removed)
    }

    /// Where it shows that a resource was changed.
    #[must_use]
    pub fn changed(&self, sought: &Sought<'_>) -> Trace {
        self.look_at(sought).map_or(Trace::UNNAMED, Trace::Changed)
    }

    fn look_at(&self, sought: &Sought<'_>) -> Option<Look> {
        let mut violations = Vec::new();
        let path = self.path_of(sought.id?, &mut violations);
        let request = Request::new(Method::GET, path, self.item);
        violations.is_empty().then(|| Look::one::<Datadog>(request))
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
        body(&Body { data })
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

/// One operation of Datadog's v2: its method, its messages, and its plan.
macro_rules! operation {
    ($($description:tt)*) => {
        $crate::gateway::operation::operation! {
            vendor: $crate::datadog::Datadog,
            address: |it| $crate::datadog::operation::address(it.site, &it.org),
            ambiguous: $crate::datadog::operation::ambiguous(),
            $($description)*
        }
    };
}

pub(super) use operation;
