//! What Coveo's operations have in common: requests that name an organization,
//! and the routes of its API keys.

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

use super::{Coveo, region};
use crate::{
    contract::proto::keygate::coveo::v1::Region,
    gateway::{
        operation::{Inspect, Plan, Target},
        request::{body, check_id, check_place},
        trace::{Look, Made, Sought, Trace},
    },
    status::Violation,
    upstream::Request,
};

/// The address of an organization, for
/// [`Operation::address`](crate::gateway::Operation::address): without a region,
/// wherever it is.
///
/// # Errors
/// The violation, if it is a name that no organization can have, or no region that
/// this version knows.
pub(super) fn address(organization_id: &str, region: i32) -> Result<String, Violation> {
    if organization_id.is_empty() {
        return Err(Violation::new("organization_id", "is required"));
    }
    check_place("organization_id", organization_id)?;
    let region = Region::try_from(region)
        .map_err(|_| Violation::new("region", "must be a region of this version"))?;
    let region = region::name(region).unwrap_or("*");
    Ok(format!("coveo/{region}/{organization_id}"))
}

/// For [`Operation::ambiguous`](crate::gateway::Operation::ambiguous).
pub(super) fn ambiguous() -> Violation {
    Violation::new(
        "region",
        "is required: the organization is in several; see AccessService.ListUpstreams",
    )
}

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident = $rest:literal;)*) => {$(
        $(#[$doc])*
        pub(super) const $name: &str =
            concat!("/rest/organizations/{organization_id}/apikeys", $rest);
    )*};
}

routes! {
    KEYS = "";
    KEY = "/{api_key_id}";
    ACTIVATE = "/{api_key_id}/activate";
    DISABLE = "/{api_key_id}/disable";
    EXTEND = "/{api_key_id}/activation/extend";
    DUPLICATE = "/{api_key_id}/duplicate";
    BULK_DELETE = "/delete/bulk";
    BULK_ACTIVATE = "/activate/bulk";
    BULK_DISABLE = "/disable/bulk";
}

/// A request on a route, with its parameters filled in. They are plain: whatever is
/// not keeps the plan from being made.
pub(super) fn request(
    method: Method,
    route: &'static str,
    organization_id: &str,
    id: &str,
) -> Request {
    let path = route.replace("{organization_id}", organization_id);
    Request::new(method, path.replace("{api_key_id}", id), route)
}

/// A plan without a name, privileges or a read before it.
pub(super) fn plan(request: Request, target: Target) -> Plan {
    Plan::new(request, "api_key", target)
}

/// A change of one key. It has no body. What the key may do is not asked: a change
/// that brings it to life, or keeps it alive, has to say that it keeps its scopes.
pub(super) fn change(
    method: Method,
    route: &'static str,
    organization_id: &str,
    id: String,
    violations: &mut Vec<Violation>,
) -> Plan {
    check_id("api_key_id", &id, violations);
    let read = request(Method::GET, KEY, organization_id, &id);
    Plan {
        inspect: Some(Inspect::new(read)),
        ..plan(
            request(method, route, organization_id, &id),
            Target::Key(id),
        )
    }
}

/// A change of several keys.
pub(super) fn bulk(
    method: Method,
    route: &'static str,
    organization_id: &str,
    ids: Vec<String>,
    violations: &mut Vec<Violation>,
) -> Plan {
    check_ids(&ids, violations);
    let mut change = request(method, route, organization_id, "");
    change.body = Some(body(&ids));
    let read = request(Method::GET, KEYS, organization_id, "");
    Plan {
        inspect: Some(Inspect::new(read)),
        ..plan(change, Target::Keys(ids))
    }
}

/// Where a new key shows.
pub(super) fn made(sought: &Sought<'_>) -> Trace {
    let list = request(Method::GET, KEYS, organization(sought), "");
    Trace::Made(Made {
        list: Look::list::<Coveo>(list),
        show: None,
        in_place: false,
    })
}

/// Where it shows that a key was removed.
pub(super) fn removed(sought: &Sought<'_>) -> Trace {
    look(sought).map_or(Trace::UNNAMED, Trace::Removed)
}

/// Where it shows that a key was changed.
pub(super) fn changed(sought: &Sought<'_>) -> Trace {
    look(sought).map_or(Trace::UNNAMED, Trace::Changed)
}

fn look(sought: &Sought<'_>) -> Option<Look> {
    let mut violations = Vec::new();
    let id = sought.id?;
    check_id("api_key_id", id, &mut violations);
    let read = request(Method::GET, KEY, organization(sought), id);
    violations.is_empty().then(|| Look::one::<Coveo>(read))
}

/// The organization: the last part of an upstream's name.
fn organization<'a>(sought: &Sought<'a>) -> &'a str {
    sought.upstream.rsplit('/').next().unwrap_or_default()
}

/// What a key says of itself that is alive, or is not.
pub(super) fn enabled(enabled: bool) -> Vec<(String, Value)> {
    vec![("enabled".to_owned(), enabled.into())]
}

/// Checks the ids of a change of several keys.
fn check_ids(ids: &[String], violations: &mut Vec<Violation>) {
    const FIELD: &str = "api_key_ids";
    const MOST: usize = 1_000;
    let different: BTreeSet<_> = ids.iter().collect();
    let fault = if ids.is_empty() {
        "is required"
    } else if ids.len() > MOST {
        "has more than 1000 ids"
    } else if different.len() < ids.len() {
        "names a key twice"
    } else {
        // one that is wrong is told of, not all
        for id in ids {
            let before = violations.len();
            check_id(FIELD, id, violations);
            if violations.len() > before {
                break;
            }
        }
        return;
    };
    violations.push(Violation::new(FIELD, fault));
}

/// One operation of Coveo's: its method, its messages, and its plan.
macro_rules! operation {
    ($($description:tt)*) => {
        $crate::gateway::operation::operation! {
            vendor: $crate::coveo::Coveo,
            address: |it| $crate::coveo::operation::address(&it.organization_id, it.region),
            ambiguous: $crate::coveo::operation::ambiguous(),
            $($description)*
        }
    };
}

pub(super) use operation;
