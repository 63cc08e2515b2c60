//! What Braintrust's operations have in common: requests that name an instance,
//! lists with cursors, and the paths.

use http::Method;
use serde::Serialize;

use super::Braintrust;
use crate::{
    gateway::{
        operation::{Inspect, Plan, Target},
        request::{Query, body, check_id, check_name, check_place, check_text, parameter},
        stream::{Cursor, Paging},
        trace::{Look, Made, Sought, Trace},
    },
    status::Violation,
    upstream::Request,
};

/// The address of an instance, for
/// [`Operation::address`](crate::gateway::Operation::address).
///
/// # Errors
/// The violation, if no instance can have this name.
pub(super) fn address(instance: &str) -> Result<String, Violation> {
    check_place("instance", instance)?;
    Ok(if instance.is_empty() {
        "braintrust".to_owned()
    } else {
        format!("braintrust/{instance}")
    })
}

/// For [`Operation::ambiguous`](crate::gateway::Operation::ambiguous).
pub(super) fn ambiguous() -> Violation {
    Violation::new(
        "instance",
        "is required: no instance is the default; see AccessService.ListUpstreams",
    )
}

/// A kind of key at its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collection {
    /// What the trail calls it.
    pub(super) resource_type: &'static str,
    /// Its path.
    pub(super) path: &'static str,
    /// The route of one of them.
    pub(super) item: &'static str,
    /// The field of requests that holds an id.
    pub(super) id_field: &'static str,
    /// The parameter of lists that filters by name, which is the field too.
    pub(super) name_filter: &'static str,
}

/// What a list is filtered by.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    pub(super) ids: &'a [String],
    pub(super) name: Option<&'a str>,
    pub(super) org_name: Option<&'a str>,
}

/// How a list is walked: upstream tells no cursor, the last id of a page is it.
pub(super) const PAGING: Paging = Paging::Cursor(Cursor {
    size: 100,
    query: |after| {
        let after = after.map(|id| format!("&{}", parameter(CURSORS[0], id)));
        format!("limit=100{}", after.unwrap_or_default())
    },
});

/// The parameters that say where a page begins or ends.
const CURSORS: [&str; 2] = ["starting_after", "ending_before"];

/// Which part of a list is asked for; all of it by default.
#[derive(Debug, Default)]
pub(super) struct Page<'a> {
    pub(super) limit: Option<i32>,
    pub(super) starting_after: Option<&'a str>,
    pub(super) ending_before: Option<&'a str>,
}

/// The body of a creation or replacement.
#[derive(Debug, Serialize)]
pub(super) struct New {
    pub(super) name: String,
    pub(super) service_account_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) org_name: Option<String>,
}

impl Collection {
    fn plan(&self, request: Request, target: Target) -> Plan {
        Plan::new(request, self.resource_type, target)
    }

    pub(super) fn list(
        &self,
        page: &Page<'_>,
        filter: &Filter<'_>,
        violations: &mut Vec<Violation>,
    ) -> Plan {
        let cursors = [page.starting_after, page.ending_before];
        if cursors.iter().all(Option::is_some) {
            let fault = "can't be given together with `starting_after`";
            violations.push(Violation::new("ending_before", fault));
        }
        let path = Query::new(self.path, violations)
            .count("limit", "limit", page.limit)
            .id(CURSORS[0], CURSORS[0], cursors[0])
            .id(CURSORS[1], CURSORS[1], cursors[1])
            .ids("ids", "ids", filter.ids)
            .text(self.name_filter, self.name_filter, filter.name)
            .text("org_name", "org_name", filter.org_name)
            .finish();
        let request = Request::new(Method::GET, path, self.path);
        self.plan(request, Target::Collection)
    }

    fn one(&self, method: Method, id: &str) -> Request {
        Request::new(method, format!("{}/{id}", self.path), self.item)
    }

    pub(super) fn get(&self, id: String, violations: &mut Vec<Violation>) -> Plan {
        check_id(self.id_field, &id, violations);
        self.plan(self.one(Method::GET, &id), Target::Key(id))
    }

    pub(super) fn delete(&self, id: String, violations: &mut Vec<Violation>) -> Plan {
        check_id(self.id_field, &id, violations);
        let inspect = self.one(Method::GET, &id);
        Plan {
            inspect: Some(Inspect::new(inspect)),
            ..self.plan(self.one(Method::DELETE, &id), Target::Key(id))
        }
    }

    pub(super) fn create(&self, new: New, violations: &mut Vec<Violation>) -> Plan {
        Plan {
            parent: Some(new.service_account_id.clone()),
            name: Some(new.name.clone()),
            ..self.plan(
                self.with_body(Method::POST, &new, violations),
                Target::Collection,
            )
        }
    }

    /// Where a new key shows. One that replaced another may have kept the other's id
    /// and time.
    pub(super) fn made(&self, sought: &Sought<'_>, in_place: bool) -> Trace {
        let mut violations = Vec::new();
        let mut list = self.sought(&mut violations);
        if let Some(name) = sought.name {
            list.push(self.name_filter, name);
        }
        Trace::Made(Made {
            list: self.look(list),
            show: None,
            in_place,
        })
    }

    /// Where it shows that a key was removed. How upstream refuses an id that it does
    /// not know is not documented, so the list is asked for it.
    pub(super) fn removed(&self, sought: &Sought<'_>) -> Trace {
        let Some(id) = sought.id else {
            return Trace::UNNAMED;
        };
        let mut violations = Vec::new();
        let mut list = self.sought(&mut violations);
        list.push("ids", id);
        Trace::Removed(self.look(list))
    }

    fn look(&self, list: Query<'_>) -> Look {
        Look::list::<Braintrust>(Request::new(Method::GET, list.finish(), self.path))
    }

    /// What is there under the name is looked for in all organizations: to take
    /// one key too many for the one that is replaced is safe.
    pub(super) fn replace(&self, new: New, violations: &mut Vec<Violation>) -> Plan {
        let request = self.with_body(Method::PUT, &new, violations);
        let mut same_name = self.sought(violations);
        same_name.push(self.name_filter, &new.name);
        let inspect = Request::new(Method::GET, same_name.finish(), self.path);
        Plan {
            parent: Some(new.service_account_id),
            name: Some(new.name),
            inspect: Some(Inspect::new(inspect)),
            ..self.plan(request, Target::Replacement)
        }
    }

    /// A list of as many as are looked for.
    fn sought<'v>(&self, violations: &'v mut Vec<Violation>) -> Query<'v> {
        let mut list = Query::new(self.path, violations);
        list.push("limit", &super::SOUGHT.to_string());
        list
    }

    fn with_body(&self, method: Method, new: &New, violations: &mut Vec<Violation>) -> Request {
        check_name(Some(&new.name), violations);
        check_id("service_account_id", &new.service_account_id, violations);
        check_text("org_name", new.org_name.as_deref(), violations);
        Request {
            body: Some(body(new)),
            ..Request::new(method, self.path, self.path)
        }
    }
}

/// One operation of Braintrust's: its method, its messages, and its plan.
macro_rules! operation {
    ($($description:tt)*) => {
        $crate::gateway::operation::operation! {
            vendor: $crate::braintrust::Braintrust,
            address: |it| $crate::braintrust::operation::address(&it.instance),
            ambiguous: $crate::braintrust::operation::ambiguous(),
            $($description)*
        }
    };
}

/// An operation that streams a list: its message with the one key, and the list's
/// field with all of them.
macro_rules! pages {
    ($operation:ident => $message:ident . $key:ident of $keys:ident) => {
        impl $crate::gateway::Pages for $operation {
            type Item = $message;
            const PAGING: $crate::gateway::stream::Paging = $crate::braintrust::operation::PAGING;

            fn total(_: &Self::Response) -> Option<u64> {
                None
            }

            fn items(page: Self::Response) -> Vec<Self::Item> {
                let keys = page.$keys.into_iter();
                keys.map(|it| $message { $key: Some(it) }).collect()
            }
        }
    };
}

pub(super) use {operation, pages};
