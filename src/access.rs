//! `keygate.access.v1.AccessService`: what a caller may do, and why. Answered
//! from the policy alone; no upstream is asked.

use std::time::SystemTime;

use tonic::{Request, Response, Status, async_trait};

use crate::{
    auth::Caller,
    contract::{
        Contract,
        proto::keygate::access::v1::{
            Decision, Deny, ExplainAccessRequest, ExplainAccessResponse, GrantedRole, KeyOwnership,
            ListUpstreamsRequest, ListUpstreamsResponse, Subject, Upstream, WhoAmIRequest,
            WhoAmIResponse, access_service_server::AccessService, deny,
        },
    },
    gateway::{Gateway, Setup},
    policy::{self, ACCESS_READ, Ownership, Policy, Question, certificate_name},
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
        deny: policy.denied_to_all(caller).into_iter().map(deny).collect(),
    }
}

fn deny(it: policy::Denied<'_>) -> Deny {
    let what = match it.what {
        policy::What::Upstreams(pattern) => deny::What::Upstreams(pattern.to_string()),
        policy::What::Rpcs(pattern) => deny::What::Rpcs(pattern.to_owned()),
    };
    Deny {
        rule: it.rule,
        what: Some(what),
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
            let denied = |denial: policy::Denial| Error::PolicyDenied {
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
    let upstream = Some(&request.upstream).filter(|it| !it.is_empty());
    let choice = upstream.map(|it| setup.upstreams.choose(it));
    let explained = policy.explain(&Question {
        caller: &subject,
        operation,
        upstreams: choice.as_ref().map_or(&[], Choice::names),
        touch: None,
    });
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
        permission: explained.permission.unwrap_or_default(),
    })
}

fn imagined(subject: &Subject) -> Caller {
    let names = subject.certificate_names.iter();
    Caller {
        issuer: subject.issuer.clone(),
        subject: subject.subject.clone(),
        claims: subject.claims.clone(),
        token_id: Some(subject.token_id.clone()).filter(|it| !it.is_empty()),
        expires_at: SystemTime::UNIX_EPOCH,
        certificate_names: names.map(|it| certificate_name(it)).collect(),
    }
}

fn upstreams(setup: &Setup, caller: &Caller) -> ListUpstreamsResponse {
    let own_keys_fault = |name: &str| {
        let client = setup.upstreams.client(name);
        let fault = client.and_then(|it| it.masters().fault());
        fault.unwrap_or_default()
    };
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
                own_keys_fault: own_keys_fault(name),
            }
        })
        .collect();
    ListUpstreamsResponse {
        upstreams,
        configuration_loaded_at: Some(setup.loaded_at.into()),
        configuration_refused_since: setup.refused_since.map(Into::into),
    }
}
