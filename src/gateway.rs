//! The one path that every key operation takes: authorize, intend, call,
//! conclude. An operation describes itself ([`Operation`]); it has no path of
//! its own.

pub mod interpret;
pub mod operation;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, metadata::MetadataMap};

pub use operation::{Operation, Plan};

use crate::{
    audit::{self, Outcome, Projection},
    auth::Caller,
    call::{Call, Conclusion},
    contract::{Contract, Effect},
    policy::{self, Key, Permit, Policy},
    status::{self, Error},
    upstream::{
        self, Answer, Client,
        client::{Choice, Registry},
    },
};
use operation::{Answer as _, Vendor as _};

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What bounds a call whose caller names no deadline, or a later one.
    pub request_timeout: Duration,
    /// What is kept of the caller's time to conclude the record.
    pub reserve: Duration,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    contract: Arc<Contract>,
    policy: policy::Live,
    upstreams: Registry,
    limits: Limits,
}

/// What became of a call: the answer, or the error and how it is recorded.
type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error, and how far the call had got.
struct Failure {
    error: Error,
    outcome: Option<Outcome>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            outcome: None,
        }
    }
}

impl Gateway {
    /// A gateway to these upstreams.
    #[must_use]
    pub fn new(
        contract: Arc<Contract>,
        policy: policy::Live,
        upstreams: Registry,
        limits: Limits,
    ) -> Self {
        Self {
            contract,
            policy,
            upstreams,
            limits,
        }
    }

    /// The contract that it serves.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The policy that decides now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.current()
    }

    /// The configured upstreams.
    #[must_use]
    pub fn upstreams(&self) -> &Registry {
        &self.upstreams
    }

    /// Takes a call of an operation all the way.
    ///
    /// # Errors
    /// The status of whatever stood in its way.
    pub async fn unary<O: Operation>(
        &self,
        request: Request<O::Request>,
    ) -> std::result::Result<Response<O::Response>, Status> {
        let (call, caller, metadata, request) = parts(request)?;
        let result = match caller {
            Some(caller) => self.path::<O>(&call, &caller, &metadata, request).await,
            None => Err(Error::TokenMissing.into()),
        };
        finish(&call, result).await
    }

    /// Takes a call that keygate answers by itself.
    ///
    /// # Errors
    /// The status of whatever stood in its way.
    pub async fn local<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
        answer: impl FnOnce(&Policy, &Caller, &Q) -> std::result::Result<A, Error>,
    ) -> std::result::Result<Response<A>, Status> {
        let (call, caller, _, request) = parts(request)?;
        let policy = self.policy();
        let result = match (caller, self.contract.operation(method)) {
            (Some(caller), Some(_)) => answer(&policy, &caller, &request).map_err(Failure::from),
            (None, _) => Err(Error::TokenMissing.into()),
            (_, None) => Err(Error::Internal.into()),
        };
        let result = match result {
            Ok(answer) => match call.conclude(Conclusion::succeeded(None)).await {
                Ok(()) => Ok(answer),
                Err(_) => Err(Error::AuditUnavailable.into()),
            },
            Err(failure) => Err(failure),
        };
        finish(&call, result).await
    }

    async fn path<O: Operation>(
        &self,
        call: &Arc<Call>,
        caller: &Arc<Caller>,
        metadata: &MetadataMap,
        request: O::Request,
    ) -> Result<O::Response> {
        let deadline = self.deadline(call, metadata);
        let operation = self.contract.operation(O::METHOD).ok_or(Error::Internal)?;
        let policy = self.policy();
        let denied = |denial| call.note_denial(denial, policy.version());

        // who may not do this anywhere learns nothing about the request
        let permit = policy.authorize(caller, operation, None).map_err(denied)?;
        call.note_permit(&permit);
        let (place, name) = O::place(&request).map_err(invalid)?;
        let upstream = match self.upstreams.choose(&place, name) {
            Choice::Named(upstream) => upstream,
            Choice::Open(candidates) => {
                call.note(|record| record.upstream = Some(place.clone()));
                // who reaches none of them does not learn that there are any
                let reaches = |it: &String| policy.authorize(caller, operation, Some(it)).is_ok();
                if candidates.iter().any(reaches) {
                    return Err(invalid(O::unnamed()).into());
                }
                place
            }
        };
        call.note(|record| record.upstream = Some(upstream.clone()));
        let permit = policy
            .authorize(caller, operation, Some(&upstream))
            .map_err(denied)?;
        call.note_permit(&permit);
        let client = self.upstreams.client(&upstream);
        let client = client.ok_or(Error::UpstreamNotConfigured)?;
        let plan = O::plan(request).map_err(Error::InvalidRequest)?;
        call.note(|record| record.resource = Some(plan.resource.clone()));

        let work = Work::<O> {
            call: call.clone(),
            caller: caller.clone(),
            client: client.clone(),
            policy_version: policy.version().to_owned(),
            effect: operation.effect,
            permit,
            plan,
            deadline,
            abandoned: CancellationToken::new(),
            operation: std::marker::PhantomData,
        };
        // from here on the caller may go: what was begun is brought to an end
        let _guard = work.abandoned.clone().drop_guard();
        let work = call.ledger().tasks.spawn(work.run());
        match work.await {
            Ok(result) => result,
            Err(panic) => {
                tracing::error!(call = call.id(), "a call's task ended early: {panic}");
                let (error, conclusion) = call.abandoned(Error::Internal);
                conclude(call, conclusion).await?;
                Err(error.into())
            }
        }
    }

    /// When the call has to be answered: the caller's deadline less a reserve for
    /// the record, or our own.
    fn deadline(&self, call: &Call, metadata: &MetadataMap) -> Instant {
        let given = metadata
            .get("grpc-timeout")
            .and_then(|it| it.to_str().ok())
            .and_then(grpc_timeout);
        let given = given.map(|it| it - self.limits.reserve.min(it / 5));
        let limit = self.limits.request_timeout;
        call.started() + given.map_or(limit, |given| given.min(limit))
    }
}

/// The part of a call that outlives its caller.
struct Work<O: Operation> {
    call: Arc<Call>,
    caller: Arc<Caller>,
    client: Arc<Client>,
    policy_version: String,
    effect: Effect,
    permit: Permit,
    plan: Plan,
    deadline: Instant,
    abandoned: CancellationToken,
    operation: std::marker::PhantomData<fn() -> O>,
}

impl<O: Operation> Work<O> {
    fn is_mutation(&self) -> bool {
        matches!(
            self.effect,
            Effect::Create | Effect::Update | Effect::Delete
        )
    }

    async fn run(self) -> Result<O::Response> {
        self.authorize_key().await?;
        if self.is_mutation() {
            self.call.intend().await.map_err(unrecorded)?;
        }
        match self.exchange().await {
            Ok((response, projection)) => {
                let conclusion = Conclusion::succeeded(projection);
                self.conclude(conclusion, true).await?;
                Ok(response)
            }
            Err(failure) => {
                let changed = failure.outcome == Some(Outcome::Unknown);
                let conclusion = match failure.outcome {
                    Some(outcome) => Conclusion::outcome(outcome, &failure.error),
                    None => Conclusion::refused(&failure.error),
                };
                self.conclude(conclusion, changed).await?;
                Err(failure)
            }
        }
    }

    /// Ends the call. Where that can't be written, nothing of the answer is told,
    /// but a caller whose change upstream may have made has to know that much.
    async fn conclude(&self, conclusion: Conclusion, changed: bool) -> Result<()> {
        let concluded = conclude(&self.call, conclusion).await;
        if self.is_mutation() && changed {
            concluded.map_err(|_| Error::OutcomeUnknown(self.call.id()).into())
        } else {
            concluded
        }
    }

    /// Whether this key may be made or touched, as far as that can be told
    /// before upstream does anything.
    async fn authorize_key(&self) -> Result<()> {
        let plan = &self.plan;
        let denied = |denial| self.call.note_denial(denial, &self.policy_version);
        let new_name = plan.resource.name.as_deref();
        let Some(id) = plan.resource.id.as_deref() else {
            if self.effect == Effect::Create {
                let checked = self.permit.check_create(new_name, plan.scopes.request());
                checked.map_err(denied)?;
            }
            return Ok(());
        };
        let own = self.permit.needs_owner() && self.owns(id).await?;
        let name = match &plan.inspect {
            Some(inspect) if self.permit.needs_name() => self.name_of(inspect).await?,
            _ => None,
        };
        if plan.inspect.is_none() && self.permit.needs_name() {
            return Ok(()); // a read: decided when its answer tells the name
        }
        let key = Key {
            name: name.as_deref(),
            own,
        };
        match self.effect {
            Effect::Update => {
                let scopes = plan.scopes.request();
                self.permit.check_change(&key, new_name, scopes)
            }
            _ => self.permit.check_key(&key),
        }
        .map_err(denied)?;
        Ok(())
    }

    async fn owns(&self, id: &str) -> Result<bool> {
        let trail = &self.call.ledger().trail;
        let owner = trail
            .owner(self.client.name(), self.resource_type(), id)
            .await
            .map_err(unrecorded)?;
        Ok(owner.is_some_and(|it| self.is_owner(&it)))
    }

    fn resource_type(&self) -> &str {
        let kind = self.plan.resource.resource_type.as_deref();
        kind.unwrap_or_default()
    }

    fn is_owner(&self, owner: &audit::Owner) -> bool {
        owner.issuer == self.caller.issuer && owner.subject == self.caller.subject
    }

    /// The name of the key as upstream has it now.
    async fn name_of(&self, inspect: &upstream::Request) -> Result<Option<String>> {
        let call = self.client.call(&self.permit, inspect, self.deadline);
        let answer = interpret::answer::<O>(&self.client, call.await, false, &self.call);
        // the change itself was not sent, whatever became of this
        let answer = answer.map_err(|it| Failure::from(it.error))?;
        Ok(O::Vendor::name(&answer.body))
    }

    async fn exchange(&self) -> Result<(O::Response, Option<Projection>)> {
        let call = self
            .client
            .call(&self.permit, &self.plan.request, self.deadline);
        let result = if self.is_mutation() {
            call.await
        } else {
            tokio::select! {
                result = call => result,
                () = self.abandoned.cancelled() => {
                    return Err(Failure {
                        error: Error::Cancelled,
                        outcome: Some(Outcome::Unknown),
                    });
                }
            }
        };
        let answer = interpret::answer::<O>(&self.client, result, self.is_mutation(), &self.call)?;
        self.read(&answer).await
    }

    /// Reads the answer, and leaves out of it what this caller may not see.
    async fn read(&self, answer: &Answer) -> Result<(O::Response, Option<Projection>)> {
        let mut response = O::Response::read(&answer.body).map_err(|malformed| {
            tracing::warn!(call = self.call.id(), "{malformed}");
            Failure {
                error: Error::UpstreamMalformed,
                outcome: Some(Outcome::Unknown),
            }
        })?;
        let projection = self.project(&response);
        if self.plan.resource.id.is_none() && !self.is_mutation() {
            self.narrow(&mut response).await?;
        } else {
            self.narrow_one(&mut response).await?;
        }
        Ok((response, projection))
    }

    fn project(&self, response: &O::Response) -> Option<Projection> {
        let trail = &self.call.ledger().trail;
        let resources = response.keys();
        let fingerprints: Vec<_> = resources
            .iter()
            .filter_map(|it| it.secret)
            .map(|secret| trail.fingerprint(secret))
            .collect();
        let made = resources
            .first()
            .map(|it| (it.id.to_owned(), it.name.map(str::to_owned)));
        let count = u64::try_from(resources.len()).ok();
        let is_list = self.plan.resource.id.is_none() && !self.is_mutation();
        self.call.note(|record| {
            record.fingerprints = fingerprints;
            if is_list {
                record.items = count;
            } else if let (Some(resource), Some((id, name))) = (&mut record.resource, &made) {
                resource.id = Some(id.clone());
                if name.is_some() {
                    resource.name.clone_from(name);
                }
            }
        });
        let upstream = self.client.name().to_owned();
        match (self.effect, made, &self.plan.resource.id) {
            (Effect::Create, Some((id, _)), _) => Some(Projection::Created {
                upstream,
                resource_type: self.resource_type().to_owned(),
                id,
                owner: audit::Owner {
                    issuer: self.caller.issuer.clone(),
                    subject: self.caller.subject.clone(),
                },
            }),
            (Effect::Delete, _, Some(id)) => Some(Projection::Removed {
                upstream,
                resource_type: self.resource_type().to_owned(),
                id: id.clone(),
            }),
            _ => None,
        }
    }

    /// One key: its creator gets all of it; others its secret only by `reveal`.
    async fn narrow_one(&self, response: &mut O::Response) -> Result<()> {
        if self.effect == Effect::Create {
            return Ok(());
        }
        let (id, name) = match response.keys().first() {
            Some(it) => (it.id.to_owned(), it.name.map(str::to_owned)),
            None => return Ok(()),
        };
        let own = self.permit.needs_owner() && self.owns(&id).await?;
        let key = Key {
            name: name.as_deref(),
            own,
        };
        if !self.is_mutation() {
            let denied = |denial| self.call.note_denial(denial, &self.policy_version);
            self.permit.check_key(&key).map_err(denied)?;
        }
        if !self.permit.reveals(&key) {
            response.conceal();
        }
        Ok(())
    }

    /// A list: only the keys that the caller may touch.
    async fn narrow(&self, response: &mut O::Response) -> Result<()> {
        let narrowed = self.permit.needs_owner() || self.permit.needs_name();
        let mut revealed = true;
        if narrowed {
            let keys: Vec<_> = response
                .keys()
                .iter()
                .map(|it| (it.id.to_owned(), it.name.map(str::to_owned)))
                .collect();
            let ids: Vec<_> = keys.iter().map(|(id, _)| id.clone()).collect();
            let kind = self.resource_type();
            let trail = &self.call.ledger().trail;
            let owners = trail
                .owners(self.client.name(), kind, &ids)
                .await
                .map_err(unrecorded)?;
            let mut keep = Vec::with_capacity(keys.len());
            for (id, name) in &keys {
                let key = Key {
                    name: name.as_deref(),
                    own: owners.get(id).is_some_and(|it| self.is_owner(it)),
                };
                let kept = self.permit.check_key(&key).is_ok();
                revealed &= !kept || self.permit.reveals(&key);
                keep.push(kept);
            }
            let kept = u64::try_from(keep.iter().filter(|it| **it).count()).ok();
            response.retain(&keep);
            self.call.note(|record| record.items = kept);
        } else {
            revealed = self.permit.reveals(&Key {
                name: None,
                own: false,
            });
        }
        if !revealed {
            response.conceal();
        }
        Ok(())
    }
}

type Parts<Q> = (Arc<Call>, Option<Arc<Caller>>, MetadataMap, Q);

fn parts<Q>(request: Request<Q>) -> std::result::Result<Parts<Q>, Status> {
    let (metadata, mut extensions, message) = request.into_parts();
    // the layers put both there; without them nothing is served
    let Some(call) = extensions.remove::<Arc<Call>>() else {
        return Err(status::status(
            &Error::Internal,
            &status::Context::default(),
        ));
    };
    let caller = extensions.remove::<Arc<Caller>>();
    Ok((call, caller, metadata, message))
}

fn invalid(violation: status::Violation) -> Error {
    Error::InvalidRequest(vec![violation])
}

fn unrecorded(error: audit::Error) -> Failure {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "the trail can't be used"
    );
    Error::AuditUnavailable.into()
}

async fn conclude(call: &Call, conclusion: Conclusion) -> Result<()> {
    call.conclude(conclusion).await.map_err(unrecorded)
}

/// Concludes what nobody has concluded yet, and answers.
async fn finish<T>(call: &Call, result: Result<T>) -> std::result::Result<Response<T>, Status> {
    let error = match result {
        Ok(answer) => return Ok(Response::new(answer)),
        Err(failure) => failure.error,
    };
    let error = match conclude(call, Conclusion::refused(&error)).await {
        Ok(()) => error,
        Err(failure) => failure.error,
    };
    Err(status::status(&error, &call.context()))
}

/// A `grpc-timeout`: digits and a unit (gRPC over HTTP/2, "Requests").
fn grpc_timeout(text: &str) -> Option<Duration> {
    let at = text
        .len()
        .checked_sub(1)
        .filter(|it| (1..=8).contains(it))?;
    let (digits, unit) = text.split_at_checked(at)?;
    let number: u64 = digits
        .bytes()
        .all(|it| it.is_ascii_digit())
        .then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
