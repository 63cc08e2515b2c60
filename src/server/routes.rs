//! What is served on the gRPC port.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, service::Routes};
use tonic_health::ServingStatus;

use super::ending::{Ending, Readiness};
use crate::{
    contract::{
        DESCRIPTOR_SET,
        proto::keygate::{
            access::v1::access_service_server::AccessServiceServer,
            audit::v1::audit_service_server::AuditServiceServer,
            braintrust::v1 as braintrust,
            coveo,
            datadog::v1,
            datadog::v2::{
                api_key_service_server::ApiKeyServiceServer,
                application_key_service_server::ApplicationKeyServiceServer,
                current_user_application_key_service_server::CurrentUserApplicationKeyServiceServer,
                personal_access_token_service_server::PersonalAccessTokenServiceServer,
                service_account_key_service_server::ServiceAccountKeyServiceServer,
            },
        },
    },
    gateway::Gateway,
};

/// All services: the contract's, health and reflection.
pub(super) async fn routes(
    gateway: &Arc<Gateway>,
    limit: usize,
    closing: CancellationToken,
) -> (Routes, Ending) {
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut services = vec![""];
    let mut routes = Routes::builder();
    macro_rules! serve {
        ($($($service:ident)::+),* $(,)?) => {$(
            services.push(<$($service)::+<Gateway> as NamedService>::NAME);
            routes.add_service(
                $($service)::+::from_arc(gateway.clone()).max_decoding_message_size(limit),
            );
        )*};
    }
    serve!(
        AccessServiceServer,
        AuditServiceServer,
        ApiKeyServiceServer,
        ApplicationKeyServiceServer,
        CurrentUserApplicationKeyServiceServer,
        PersonalAccessTokenServiceServer,
        ServiceAccountKeyServiceServer,
        v1::api_key_service_server::ApiKeyServiceServer,
        v1::application_key_service_server::ApplicationKeyServiceServer,
        braintrust::api_key_service_server::ApiKeyServiceServer,
        braintrust::service_token_service_server::ServiceTokenServiceServer,
        coveo::v1::api_key_service_server::ApiKeyServiceServer,
    );
    for service in &services {
        health
            .set_service_status(service, ServingStatus::Serving)
            .await;
    }
    routes.add_service(health_service);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // clients of either version; the descriptor set was read by `Contract::load`
    if let Ok(service) = reflection().build_v1() {
        routes.add_service(service);
    }
    if let Ok(service) = reflection().build_v1alpha() {
        routes.add_service(service);
    }
    let ending = Ending {
        readiness: Readiness::default(),
        health,
        services: services.into(),
        closing,
        closed: CancellationToken::new(),
    };
    (routes.routes(), ending)
}
