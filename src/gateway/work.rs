//! The part of a call that outlives its caller: from the intent to the outcome.

mod keys;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    Failure, Operation, Plan, Result, conclude, interpret,
    operation::{Answer as _, Target},
    revocation::{Decision, Revocation, Source},
    unrecorded,
};
use crate::{
    audit::{Outcome, Projection},
    auth::Caller,
    call::{Call, Conclusion},
    contract::{Contract, Effect},
    status::Error,
    upstream::{self, Answer, Client, Registry, Request},
};

/// The part of a call that outlives its caller.
pub(super) struct Work<O: Operation> {
    pub(super) call: Arc<Call>,
    pub(super) caller: Arc<Caller>,
    pub(super) contract: Arc<Contract>,
    pub(super) source: Arc<dyn Source>,
    pub(super) client: Arc<Client>,
    /// All that there are.
    pub(super) upstreams: Arc<Registry>,
    pub(super) effect: Effect,
    /// What has been decided about it last.
    pub(super) decision: Decision,
    pub(super) plan: Plan,
    pub(super) deadline: Deadline,
    pub(super) abandoned: CancellationToken,
    pub(super) operation: std::marker::PhantomData<fn() -> O>,
}

/// How much time there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// When the caller gives up, less what it takes to conclude the record.
    pub(super) given: Option<Instant>,
    /// How long one answer may take.
    pub(super) limit: Duration,
}

impl Deadline {
    /// The end of what begins then.
    pub(super) fn from(&self, begin: Instant) -> Instant {
        let end = begin + self.limit;
        self.given.map_or(end, |given| given.min(end))
    }
}

impl<O: Operation> Work<O> {
    pub(super) fn is_mutation(&self) -> bool {
        self.effect.is_mutation()
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.plan.target, Target::Collection) && !self.is_mutation()
    }

    /// What decides about it while it is under way.
    pub(super) fn revocation(&self) -> Revocation {
        Revocation {
            call: self.call.clone(),
            caller: self.caller.clone(),
            contract: self.contract.clone(),
            method: O::METHOD,
            upstream: self.client.name().to_owned(),
            policy: self.decision.policy.clone(),
            setups: self.source.setups(),
        }
    }

    /// Takes the call to its end, and concludes it. `[deny]` ends it for as long as
    /// nothing has been sent that changes anything.
    pub(super) async fn run(mut self) -> Result<O::Response> {
        let mut revocation = self.revocation();
        let own = tokio::select! {
            biased;
            error = revocation.denied() => return Err(error.into()),
            own = self.authorize_key() => own?,
        };
        let exchanged = if self.is_mutation() {
            match self.call.intend().await {
                Ok(()) => self.exchange(own).await,
                // it may be written yet, and is ended then
                Err(error) => Err(Failure {
                    outcome: Some(Outcome::NotSent),
                    ..unrecorded(error)
                }),
            }
        } else {
            tokio::select! {
                biased;
                error = revocation.denied() => Err(error.into()),
                exchanged = self.exchange(own) => exchanged,
            }
        };
        match exchanged {
            Ok((response, projections)) => {
                let conclusion = Conclusion::succeeded(projections);
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

    async fn exchange(&self, own: bool) -> Result<(O::Response, Vec<Projection>)> {
        let deadline = self.deadline.from(self.call.started());
        let answer = self.ask(&self.plan.request, deadline).await?;
        let mut response = self.read(&answer)?;
        let projections = self.project(&response);
        if self.is_list() {
            self.narrow_list(&mut response).await?;
        } else {
            self.narrow_one(&mut response, own)?;
        }
        Ok((response, projections))
    }

    /// Asks upstream. A read ends when its caller goes.
    pub(super) async fn ask(&self, request: &Request, deadline: Instant) -> Result<Answer> {
        let client = &self.client;
        let result = if matches!(self.plan.target, Target::Replacement) {
            client
                .call_once(&self.decision.permit, request, deadline)
                .await
        } else if self.is_mutation() {
            client.call(&self.decision.permit, request, deadline).await
        } else {
            tokio::select! {
                result = client.call(&self.decision.permit, request, deadline) => result,
                () = self.abandoned.cancelled() => {
                    return Err(Failure {
                        error: Error::Cancelled,
                        outcome: Some(Outcome::Unknown),
                    });
                }
            }
        };
        self.interpret(request, result, self.is_mutation())
    }

    /// What an answer means. The record tells of it.
    fn interpret(
        &self,
        request: &Request,
        result: std::result::Result<Answer, upstream::Error>,
        is_mutation: bool,
    ) -> Result<Answer> {
        let asked = interpret::Asked {
            client: &self.client,
            request,
            call: &self.call.id(),
            is_mutation,
            metrics: &self.call.ledger().metrics,
        };
        let (told, answer) = interpret::answer::<O::Vendor>(&asked, result);
        self.call.note(|record| {
            record.upstream_status = told.status;
            record.upstream_request_id = told.request_id;
        });
        answer
    }

    pub(super) fn read(&self, answer: &Answer) -> Result<O::Response> {
        O::Response::read(&answer.body).map_err(|malformed| {
            tracing::warn!(call = self.call.id(), "{malformed}");
            Failure {
                error: Error::UpstreamMalformed,
                outcome: Some(Outcome::Unknown),
            }
        })
    }
}
