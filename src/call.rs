//! One call, from its first byte to its terminal record.
//!
//! Every call to a served method ends in exactly one terminal record: the first
//! conclusion wins, and a call that is dropped without one writes its own. The
//! same place counts the call and logs it, once.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tonic::Code;

use crate::{
    audit::{self, Entry, Kind, Outcome, Projection, Receipt, Record, Trail},
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
    is_mutation: bool,
    state: Mutex<State>,
}

struct State {
    record: Record,
    /// Of the terminal records of a mutation.
    receipts: Vec<Receipt>,
    /// The ids of the keys that are recorded one by one.
    keys: Vec<String>,
    intended: bool,
    concluded: bool,
    kept: Option<Box<dyn Any + Send>>,
}

/// How a call ends.
#[derive(Debug)]
pub struct Conclusion {
    kind: Kind,
    outcome: Option<Outcome>,
    code: Code,
    reason: Option<&'static str>,
    projections: Vec<Projection>,
}

impl Conclusion {
    /// The call did what it was to do.
    #[must_use]
    pub fn succeeded(projections: Vec<Projection>) -> Self {
        Self {
            kind: Kind::Outcome,
            outcome: Some(Outcome::Succeeded),
            code: Code::Ok,
            reason: None,
            projections,
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
            projections: Vec::new(),
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
            projections: Vec::new(),
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
        peer: Option<audit::Peer>,
    ) -> Arc<Self> {
        let id = ledger.random.uuid_at(ledger.clock.now()).to_string();
        let mut record = ledger.trail.record(Kind::Refused, &id);
        record.request_id = Some(request_id.unwrap_or(id));
        record.rpc = Some(operation.method.clone());
        record.effect = Some(operation.effect.name().to_owned());
        record.peer = peer;
        let state = State {
            record,
            receipts: Vec::new(),
            keys: Vec::new(),
            intended: false,
            concluded: false,
            kept: None,
        };
        Arc::new(Self {
            started: ledger.clock.instant(),
            is_mutation: operation.effect.is_mutation(),
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

    /// Keeps something until the call is over.
    pub fn keep(&self, it: impl Any + Send) {
        self.state().kept = Some(Box::new(it));
    }

    /// Notes something for the records still to be written.
    pub fn note(&self, note: impl FnOnce(&mut Record)) {
        note(&mut self.state().record);
    }

    /// Notes that the call is about these keys: from now on each has records of its
    /// own.
    pub fn note_keys(&self, ids: &[String]) {
        self.state().keys = ids.to_vec();
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
            record.rule = Some(permit.rule());
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

    /// Writes the intent, for each key if there are several, and returns when it is
    /// durable.
    ///
    /// # Errors
    /// [`audit::Error`] if it could not be written: then nothing may be sent.
    pub async fn intend(&self) -> Result<(), audit::Error> {
        let intents = {
            let mut state = self.state();
            let intents = self.next(&state, Kind::Intent);
            // only now: whatever fails before this has left no intent
            state.intended = true;
            intents
        };
        let entries = intents.into_iter().map(Entry::from).collect();
        self.ledger.trail.append_all(entries).await.map(drop)
    }

    /// The next records: one, or one for each key.
    fn next(&self, state: &State, kind: Kind) -> Vec<Record> {
        let next = || self.ledger.trail.next(&state.record, kind);
        if state.keys.is_empty() {
            return vec![next()];
        }
        let records = state.keys.iter().map(|id| {
            let mut record = next();
            record.resource.get_or_insert_default().id = Some(id.clone());
            record
        });
        records.collect()
    }

    /// Ends the call, unless it has ended, and returns when that is durable.
    ///
    /// # Errors
    /// [`audit::Error`] if it could not be written: then nothing may be told.
    pub async fn conclude(&self, conclusion: Conclusion) -> Result<(), audit::Error> {
        let Some(entries) = self.end(conclusion) else {
            return Ok(());
        };
        // they are on their way by the first await, also if nobody waits any longer
        if self.is_mutation {
            let appended = self.ledger.trail.append_for_receipts(entries).await?;
            self.state().receipts = appended.receipts;
            return Ok(());
        }
        self.ledger.trail.append_all(entries).await.map(drop)
    }

    /// What proves the terminal records of a mutation that has ended, one after the
    /// other. None if there is no key to sign them with.
    pub fn take_receipts(&self) -> Vec<Receipt> {
        std::mem::take(&mut self.state().receipts)
    }

    fn end(&self, conclusion: Conclusion) -> Option<Vec<Entry>> {
        let mut state = self.state();
        if state.concluded {
            return None;
        }
        let now = self.ledger.clock.instant();
        let took = now.saturating_duration_since(self.started);
        let mut records = self.next(&state, conclusion.kind);
        for record in &mut records {
            let before = &state.record;
            record.items = before.items;
            record.upstream_status = before.upstream_status;
            record
                .upstream_request_id
                .clone_from(&before.upstream_request_id);
            record.outcome = conclusion.outcome;
            record.code = Some(code_name(conclusion.code).to_owned());
            record.reason = conclusion.reason.map(str::to_owned);
            record.duration_us = u64::try_from(took.as_micros()).ok();
        }
        let keys = state.keys.len();
        // last: a failure up to here leaves the call to be concluded by the next
        state.concluded = true;
        drop(state);
        // they differ in the key alone
        let record = records.first()?;
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
            keys = (keys > 0).then_some(keys),
            duration_us = record.duration_us,
            "call"
        );
        let mut projections = conclusion.projections;
        let entries = records.into_iter().map(|record| {
            let own = |it: &mut Projection| keys == 0 || it.is_about(&record);
            let projections = projections.extract_if(.., own).collect();
            Entry {
                record,
                projections,
            }
        });
        Some(entries.collect())
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
        if let Some(entries) = self.end(conclusion) {
            self.ledger.trail.append_detached(entries);
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
