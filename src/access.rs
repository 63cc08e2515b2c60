//! `keygate.access.v1.AccessService`: what a caller may do, and why. Answered
//! from the policy alone; no upstream is asked.

use std::time::SystemTime;

use tonic::{Request, Response, Status, async_trait};

use crate::{
    auth::Caller,
    contract::{
        Contract,
        proto::keygate::access::v1::{
            Decision, ExplainAccessRequest, ExplainAccessResponse, GrantedRole, KeyOwnership,
            ListUpstreamsRequest, ListUpstreamsResponse, Subject, Upstream, WhoAmIRequest,
            WhoAmIResponse, access_service_server::AccessService,
        },
    },
    gateway::{Gateway, Setup},
    policy::{ACCESS_READ, Ownership, Policy, certificate_name},
    status::{Error, Violation},
    upstream::registry::Choice,
};

#[async_trait]
impl AccessService for Gateway {
    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        self.local(
            "keygate.access.v1.AccessService/WhoAmI",
            request,
            |setup, caller, _| Ok(who_am_i(&setup.policy, caller)),
        )
        .await
    }

    async fn explain_access(
        &self,
        request: Request<ExplainAccessRequest>,
    ) -> Result<Response<ExplainAccessResponse>, Status> {
        self.local(
            "keygate.access.v1.AccessService/ExplainAccess",
            request,
            |setup, caller, request| explain(self.contract(), setup, caller, request),
        )
        .await
    }

    async fn list_upstreams(
        &self,
        request: Request<ListUpstreamsRequest>,
    ) -> Result<Response<ListUpstreamsResponse>, Status> {
        self.local(
            "keygate.access.v1.AccessService/ListUpstreams",
            request,
            |setup, caller, _| Ok(upstreams(setup, caller)),
        )
        .await
    }
}

fn who_am_i(policy: &Policy, caller: &Caller) -> WhoAmIResponse {
    let roles = policy.roles_of(caller).map(|held| {
        let role = held.role;
        let keys = match role.keys() {
            Ownership::Own => KeyOwnership::Own,
            Ownership::Any => KeyOwnership::Any,
        };
        GrantedRole {
            role: role.name().to_owned(),
            grants: held
                .grants
                .iter()
                .map(|it| format!("grants[{it}]"))
                .collect(),
            permissions: role.permissions().to_vec(),
            upstreams: role.upstreams().iter().map(ToString::to_string).collect(),
            names: role.names().to_vec(),
            keys: keys.into(),
            reveal: role.reveal(),
            max_scopes: role.max_scopes().to_vec(),
            allow_unscoped: role.allow_unscoped(),
        }
    });
    WhoAmIResponse {
        issuer: caller.issuer.clone(),
        subject: caller.subject.clone(),
        token_id: caller.token_id.clone().unwrap_or_default(),
        expires_at: Some(caller.expires_at.into()),
        claims: caller.claims.clone(),
        roles: roles.collect(),
        policy_version: policy.version().to_owned(),
        certificate_names: caller.certificate_names.to_vec(),
    }
}

fn explain(
    contract: &Contract,
    setup: &Setup,
    caller: &Caller,
    request: &ExplainAccessRequest,
) -> Result<ExplainAccessResponse, Error> {
    let policy = &setup.policy;
    let subject = match &request.subject {
        None => caller.clone(),
        Some(subject) => {
            let denied = |denial: crate::policy::Denial| Error::PolicyDenied {
                missing: denial.missing,
                rule: denial.rule,
            };
            let _permit = policy.holds(caller, ACCESS_READ).map_err(denied)?;
            imagined(subject)
        }
    };
    let operation = contract
        .operation(request.method.trim_start_matches('/'))
        .ok_or_else(|| {
            Error::InvalidRequest(vec![Violation::new(
                "method",
                "is required, as `keygate.datadog.v2.ApiKeyService/ListApiKeys`",
            )])
        })?;
    let upstream = Some(request.upstream.as_str())
        .filter(|it| !it.is_empty())
        .map(|it| match setup.upstreams.choose(it) {
            Choice::Named(name) => name,
            Choice::Open(_) => it.to_owned(),
        });
    let explained = policy.explain(&subject, operation, upstream.as_deref());
    let decision = if explained.permitted {
        Decision::Permitted
    } else {
        Decision::Denied
    };
    Ok(ExplainAccessResponse {
        decision: decision.into(),
        rule: explained.rule,
        missing_permissions: explained.missing,
        policy_version: explained.policy_version,
    })
}

fn imagined(subject: &Subject) -> Caller {
    let names = subject.certificate_names.iter();
    Caller {
        issuer: subject.issuer.clone(),
        subject: subject.subject.clone(),
        claims: subject.claims.clone(),
        token_id: None,
        expires_at: SystemTime::UNIX_EPOCH,
        certificate_names: names.map(|it| certificate_name(it)).collect(),
    }
}

fn upstreams(setup: &Setup, caller: &Caller) -> ListUpstreamsResponse {
    let upstreams = setup
        .upstreams
        .names()
        .filter(|(name, _)| setup.policy.reaches(caller, name))
        .map(|(name, is_default)| {
            let mut parts = name.split('/').map(str::to_owned);
            Upstream {
                name: name.to_owned(),
                provider: parts.next().unwrap_or_default(),
                site: parts.next().unwrap_or_default(),
                org: parts.next().unwrap_or_default(),
                is_default,
            }
        })
        .collect();
    ListUpstreamsResponse {
        upstreams,
        configuration_loaded_at: Some(setup.loaded_at.into()),
        configuration_refused_since: setup.refused_since.map(Into::into),
    }
}
