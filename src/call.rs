//! One call, from its first byte to its terminal record.
//!
//! Every call to a served method ends in exactly one terminal record: the first
//! conclusion wins, and a call that is dropped without one writes its own. The
//! same place counts the call and logs it, once.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tonic::Code;

use crate::{
    audit::{self, Entry, Kind, Outcome, Projection, Record, Trail},
    auth::Caller,
    clock::Clock,
    contract::Operation,
    policy::{Denial, Permit},
    random::Random,
    status::{self, Error, code_name},
    tasks::Tasks,
    telemetry::Metrics,
};

/// What calls are made with.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Where records go.
    pub trail: Trail,
    /// Time.
    pub clock: Clock,
    /// Randomness, for ids.
    pub random: Random,
    /// Where records are written from.
    pub tasks: Tasks,
    /// Where calls are counted.
    pub metrics: Metrics,
}

/// One call.
pub struct Call {
    ledger: Ledger,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    record: Record,
    intended: bool,
    concluded: bool,
}

/// How a call ends.
#[derive(Debug)]
pub struct Conclusion {
    kind: Kind,
    outcome: Option<Outcome>,
    code: Code,
    reason: Option<&'static str>,
    projection: Option<Projection>,
}

impl Conclusion {
    /// The call did what it was to do.
    #[must_use]
    pub fn succeeded(projection: Option<Projection>) -> Self {
        Self {
            kind: Kind::Outcome,
            outcome: Some(Outcome::Succeeded),
            code: Code::Ok,
            reason: None,
            projection,
        }
    }

    /// The call got as far as upstream, or was to.
    #[must_use]
    pub fn outcome(outcome: Outcome, error: &Error) -> Self {
        Self {
            kind: Kind::Outcome,
            outcome: Some(outcome),
            code: error.code(),
            reason: Some(error.reason()),
            projection: None,
        }
    }

    /// keygate refused the call, or the policy denied it.
    #[must_use]
    pub fn refused(error: &Error) -> Self {
        let kind = match error {
            Error::PolicyDenied { .. } => Kind::Denied,
            _ => Kind::Refused,
        };
        Self {
            kind,
            outcome: None,
            code: error.code(),
            reason: Some(error.reason()),
            projection: None,
        }
    }
}

impl Call {
    /// A call begins.
    #[must_use]
    pub fn begin(
        ledger: Ledger,
        operation: &Operation,
        request_id: Option<String>,
        peer: Option<String>,
    ) -> Arc<Self> {
        let id = ledger.random.uuid_at(ledger.clock.now()).to_string();
        let mut record = ledger.trail.record(Kind::Refused, &id);
        record.request_id = Some(request_id.unwrap_or(id));
        record.rpc = Some(operation.method.clone());
        record.effect = Some(operation.effect.name().to_owned());
        record.peer = peer.map(|address| audit::Peer {
            address,
            certificate: None,
        });
        let state = State {
            record,
            intended: false,
            concluded: false,
        };
        Arc::new(Self {
            started: ledger.clock.instant(),
            ledger,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What the call is made with.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The request's id, for the caller.
    #[must_use]
    pub fn request_id(&self) -> String {
        self.state().record.request_id.clone().unwrap_or_default()
    }

    /// The call's own id: of its intent and its terminal record.
    #[must_use]
    pub fn id(&self) -> String {
        self.state().record.call.clone()
    }

    /// Notes something for the records still to be written.
    pub fn note(&self, note: impl FnOnce(&mut Record)) {
        note(&mut self.state().record);
    }

    /// Notes who calls.
    pub fn note_caller(&self, caller: &Caller) {
        self.note(|record| {
            record.caller = Some(audit::Caller {
                issuer: caller.issuer.clone(),
                subject: caller.subject.clone(),
                claims: caller.claims.clone(),
                token_id: caller.token_id.clone(),
            });
        });
    }

    /// Notes the policy's decision.
    pub fn note_permit(&self, permit: &Permit) {
        self.note(|record| {
            record.permission = permit.permission().map(str::to_owned);
            record.rule = Some(permit.rule().to_owned());
            record.policy_version = Some(permit.policy_version().to_owned());
        });
    }

    /// Notes the policy's denial, and makes the error of it.
    pub fn note_denial(&self, denial: Denial, policy_version: &str) -> Error {
        self.note(|record| {
            record.permission = Some(denial.missing.join(" or ")).filter(|it| !it.is_empty());
            record.rule = Some(denial.rule.clone());
            record.policy_version = Some(policy_version.to_owned());
        });
        Error::PolicyDenied {
            missing: denial.missing,
            rule: denial.rule,
        }
    }

    /// Writes the intent, and returns when it is durable.
    ///
    /// # Errors
    /// [`audit::Error`] if it could not be written: then nothing may be sent.
    pub async fn intend(&self) -> Result<(), audit::Error> {
        let record = {
            let mut state = self.state();
            let record = self.ledger.trail.next(&state.record, Kind::Intent);
            // only now: whatever fails before this has left no intent
            state.intended = true;
            record
        };
        self.ledger.trail.append(record).await.map(drop)
    }

    /// Ends the call, unless it has ended, and returns when that is durable.
    ///
    /// # Errors
    /// [`audit::Error`] if it could not be written: then nothing may be told.
    pub async fn conclude(&self, conclusion: Conclusion) -> Result<(), audit::Error> {
        let Some(entry) = self.end(conclusion) else {
            return Ok(());
        };
        // in a task of its own: whoever waits for it may be dropped
        let trail = self.ledger.trail.clone();
        let written = self
            .ledger
            .tasks
            .spawn(async move { trail.append(entry).await.map(drop) });
        written.await.unwrap_or(Err(audit::Error::ThreadEnded))
    }

    fn end(&self, conclusion: Conclusion) -> Option<Entry> {
        let mut state = self.state();
        if state.concluded {
            return None;
        }
        let now = self.ledger.clock.instant();
        let took = now.saturating_duration_since(self.started);
        let (kind, before) = (conclusion.kind, &state.record);
        let mut record = self.ledger.trail.next(before, kind);
        record.items = before.items;
        record.upstream_status = before.upstream_status;
        record
            .upstream_request_id
            .clone_from(&before.upstream_request_id);
        // last: a failure up to here leaves the call to be concluded by the next
        state.concluded = true;
        drop(state);
        record.outcome = conclusion.outcome;
        record.code = Some(code_name(conclusion.code).to_owned());
        record.reason = conclusion.reason.map(str::to_owned);
        record.duration_us = u64::try_from(took.as_micros()).ok();
        let rpc = record.rpc.as_deref().unwrap_or_default();
        self.ledger.metrics.call_ended(rpc, conclusion.code, took);
        tracing::info!(
            request_id = record.request_id,
            call = record.call,
            rpc = record.rpc,
            subject = record.caller.as_ref().map(|it| it.subject.as_str()),
            upstream = record.upstream,
            result = conclusion.kind.name(),
            outcome = conclusion.outcome.map(Outcome::name),
            code = code_name(conclusion.code),
            reason = conclusion.reason,
            upstream_status = record.upstream_status,
            duration_us = record.duration_us,
            "call"
        );
        Some(Entry {
            record,
            projection: conclusion.projection,
        })
    }

    /// What an error's status tells besides.
    #[must_use]
    pub fn context(&self) -> status::Context {
        let state = self.state();
        status::Context {
            request_id: state.record.request_id.clone().unwrap_or_default(),
            upstream: state.record.upstream.clone(),
            upstream_status: state.record.upstream_status,
        }
    }

    /// How a call ends that nobody concluded: its task panicked, or its caller
    /// went away before there was one.
    pub fn abandoned(&self, error: Error) -> (Error, Conclusion) {
        if self.state().intended {
            let error = Error::OutcomeUnknown(self.id());
            let conclusion = Conclusion::outcome(Outcome::Unknown, &error);
            (error, conclusion)
        } else {
            let conclusion = Conclusion::refused(&error);
            (error, conclusion)
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.state().concluded {
            return;
        }
        let (_, conclusion) = self.abandoned(Error::Cancelled);
        if let Some(entry) = self.end(conclusion) {
            self.ledger.trail.append_detached(entry);
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// A request id that a caller may bring: short and printable.
#[must_use]
pub fn acceptable_request_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic())
}
