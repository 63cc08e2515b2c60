//! One-Time Read mode: a key's value is shown when it is created, and never
//! again, to nobody.

use prost_reflect::{DynamicMessage, ReflectMessage as _};

use crate::support::{
    gateway::Sandbox,
    served::{resource, text},
};

fn has_value(key: &DynamicMessage) -> bool {
    let field = key.descriptor().get_field_by_name("key").unwrap();
    key.has_field(&field)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_shown_on_creation_only() {
    let sandbox = Sandbox::with(&["--one-time-read"]);
    let client = sandbox.client();
    let token = Some(sandbox.token("admin"));
    for (service, resource_name) in [
        ("ApiKeyService", "ApiKey"),
        (
            "CurrentUserApplicationKeyService",
            "CurrentUserApplicationKey",
        ),
    ] {
        let method = |verb: &str| format!("keygate.datadog.v2.{service}/{verb}{resource_name}");
        let create = method("Create");
        let made = client
            .call(&create, token, &client.request(&create, ""))
            .await;
        let made = resource(made);
        assert!(has_value(&made), "{create}");
        for verb in ["Get", "Update"] {
            let again = method(verb);
            let request = client.request(&again, &text(&made, "id"));
            let read = resource(client.call(&again, token, &request).await);
            assert!(!has_value(&read), "{again}");
            assert_eq!(text(&read, "last4"), text(&made, "last4"));
        }
    }
}
