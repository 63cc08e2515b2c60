//! The templates that a key can be bound to: bundles of privileges (Coveo docs,
//! "Manage API keys", "API key templates").

use serde_json::{Value, json};

/// A template.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) id: &'static str,
    pub(super) display_name: &'static str,
    /// Whether its keys may stand in a web page.
    pub(super) public: bool,
    /// Owner, target domain and type.
    privileges: &'static [(&'static str, &'static str, Option<&'static str>)],
}

const ALL: [Template; 3] = [
    Template {
        id: "anonymous-search",
        display_name: "Anonymous search",
        public: true,
        privileges: &[
            ("SEARCH_API", "EXECUTE_QUERY", None),
            ("USAGE_ANALYTICS", "ANALYTICS_DATA", Some("EDIT")),
        ],
    },
    Template {
        id: "authenticated-search",
        display_name: "Authenticated search",
        public: false,
        privileges: &[
            ("SEARCH_API", "IMPERSONATE", None),
            ("USAGE_ANALYTICS", "ANALYTICS_DATA", Some("EDIT")),
        ],
    },
    Template {
        id: "usage-analytics",
        display_name: "Usage analytics",
        public: true,
        privileges: &[("USAGE_ANALYTICS", "ANALYTICS_DATA", Some("EDIT"))],
    },
];

impl Template {
    /// The template of an id.
    pub(super) fn find(id: &str) -> Option<&'static Self> {
        ALL.iter().find(|template| template.id == id)
    }

    /// What its keys may do.
    pub(super) fn privileges(&self) -> Value {
        self.privileges
            .iter()
            .map(|(owner, domain, kind)| {
                let mut privilege =
                    json!({ "owner": owner, "targetDomain": domain, "targetId": "*" });
                if let Some(kind) = kind {
                    privilege["type"] = json!(kind);
                }
                privilege
            })
            .collect()
    }
}

/// All of them, for the state dump.
pub(super) fn all() -> Value {
    ALL.iter()
        .map(|template| {
            json!({
                "id": template.id,
                "displayName": template.display_name,
                "privileges": template.privileges(),
            })
        })
        .collect()
}
