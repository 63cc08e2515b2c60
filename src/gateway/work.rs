//! The part of a call that outlives its caller: from the intent to the outcome.

use std::{sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

use super::{
    Failure, Operation, Plan, Result, conclude, interpret,
    operation::{Answer as _, Vendor as _},
    unrecorded,
};
use crate::{
    audit::{self, Outcome, Projection},
    auth::Caller,
    call::{Call, Conclusion},
    contract::Effect,
    policy::{Key, Permit},
    status::Error,
    upstream::{self, Answer, Client},
};

/// The part of a call that outlives its caller.
pub(super) struct Work<O: Operation> {
    pub(super) call: Arc<Call>,
    pub(super) caller: Arc<Caller>,
    pub(super) client: Arc<Client>,
    pub(super) policy_version: String,
    pub(super) effect: Effect,
    pub(super) permit: Permit,
    pub(super) plan: Plan,
    pub(super) deadline: Instant,
    pub(super) abandoned: CancellationToken,
    pub(super) operation: std::marker::PhantomData<fn() -> O>,
}

impl<O: Operation> Work<O> {
    pub(super) fn is_mutation(&self) -> bool {
        self.effect.is_mutation()
    }

    pub(super) fn is_list(&self) -> bool {
        self.plan.resource.id.is_none() && !self.is_mutation()
    }

    /// Takes the call to its end, and concludes it.
    pub(super) async fn run(self) -> Result<O::Response> {
        let own = self.authorize_key().await?;
        if self.is_mutation() {
            self.call.intend().await.map_err(unrecorded)?;
        }
        match self.exchange(own).await {
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
    /// before upstream does anything. Tells whether it is the caller's own, where
    /// that matters.
    async fn authorize_key(&self) -> Result<bool> {
        let plan = &self.plan;
        let denied = |denial| self.call.note_denial(denial, &self.policy_version);
        let new_name = plan.resource.name.as_deref();
        let Some(id) = plan.resource.id.as_deref() else {
            if self.effect == Effect::Create {
                let checked = self.permit.check_create(new_name, plan.scopes.request());
                checked.map_err(denied)?;
            }
            return Ok(false);
        };
        let own = self.permit.needs_owner() && self.owns(id).await?;
        let name = match &plan.inspect {
            Some(inspect) if self.permit.needs_name() => self.name_of(inspect).await?,
            _ => None,
        };
        if plan.inspect.is_none() && self.permit.needs_name() {
            return Ok(own); // a read: decided when its answer tells the name
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
        Ok(own)
    }

    async fn owns(&self, id: &str) -> Result<bool> {
        let trail = &self.call.ledger().trail;
        let owner = trail
            .owner(self.client.name(), self.resource_type(), id)
            .await
            .map_err(unrecorded)?;
        Ok(owner.is_some_and(|it| self.is_owner(&it)))
    }

    pub(super) fn resource_type(&self) -> &str {
        let kind = self.plan.resource.resource_type.as_deref();
        kind.unwrap_or_default()
    }

    pub(super) fn is_owner(&self, owner: &audit::Owner) -> bool {
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

    async fn exchange(&self, own: bool) -> Result<(O::Response, Option<Projection>)> {
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
        self.read(&answer, own).await
    }

    /// Reads the answer, and leaves out of it what this caller may not see.
    async fn read(&self, answer: &Answer, own: bool) -> Result<(O::Response, Option<Projection>)> {
        let mut response = O::Response::read(&answer.body).map_err(|malformed| {
            tracing::warn!(call = self.call.id(), "{malformed}");
            Failure {
                error: Error::UpstreamMalformed,
                outcome: Some(Outcome::Unknown),
            }
        })?;
        let projection = self.project(&response);
        if self.is_list() {
            self.narrow_list(&mut response).await?;
        } else {
            self.narrow_one(&mut response, own)?;
        }
        Ok((response, projection))
    }
}
