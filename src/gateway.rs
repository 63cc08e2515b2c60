//! The one path that every key operation takes: authorize, intend, call,
//! conclude. An operation describes itself ([`Operation`]); it has no path of
//! its own. What it decides and calls with ([`Setup`]) comes with each call.

pub mod answers;
mod changes;
pub mod interpret;
mod local;
mod masters;
mod narrow;
pub mod operation;
pub mod reconcile;
pub mod request;
pub mod revocation;
pub mod service;
pub mod stream;
pub mod trace;
mod work;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, metadata::MetadataMap};

pub use local::Outlet;
pub use operation::{Operation, Plan};
pub use reconcile::Reconciler;
pub(crate) use service::service;
pub use stream::{Items, Pages};

use crate::{
    audit::{self, Outcome},
    auth::Caller,
    call::{Call, Conclusion},
    contract::Contract,
    policy::Policy,
    status::{self, Error},
    upstream::{Registry, registry::Choice},
};
use revocation::Decision;
use work::{Deadline, Work};

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What bounds a call whose caller names no deadline, or a later one.
    pub request_timeout: Duration,
    /// What is kept of the caller's time to conclude the record.
    pub reserve: Duration,
}

/// What calls are decided and made with. It is replaced as a whole, and a call
/// keeps the one that it began with, but for what [`revocation`] tells.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What callers may do.
    pub policy: Arc<Policy>,
    /// The configured upstreams.
    pub upstreams: Arc<Registry>,
    /// How long calls may take.
    pub limits: Limits,
    /// Since when all this holds.
    pub loaded_at: SystemTime,
    /// Since when the configuration says something else that can't be used.
    pub refused_since: Option<SystemTime>,
}

/// A call that was let in: the layer around the methods hands it on with the
/// request.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// What the call is decided and made with.
    pub setup: Arc<Setup>,
}

/// The gateway.
#[derive(Debug)]
pub struct Gateway {
    contract: Arc<Contract>,
    /// Where the setup comes from that holds while a call is under way.
    source: Arc<dyn revocation::Source>,
    /// No more calls are taken: streams that have no end of their own end.
    closing: CancellationToken,
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
    /// A gateway that serves this contract. Calls that are under way hear from the
    /// source of what holds meanwhile, and by `closing` that no more are taken.
    #[must_use]
    pub fn new(
        contract: Arc<Contract>,
        source: Arc<dyn revocation::Source>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            contract,
            source,
            closing,
        }
    }

    /// The contract that it serves.
    #[must_use]
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Takes a call of an operation all the way.
    ///
    /// # Errors
    /// The status of whatever stood in its way.
    pub async fn unary<O: Operation>(
        &self,
        request: Request<O::Request>,
    ) -> std::result::Result<Response<O::Response>, Status> {
        let (call, admitted, metadata, request) = parts(request)?;
        let result = match admitted {
            Some(it) => self.path::<O>(&call, &it, &metadata, request).await,
            None => Err(Error::TokenMissing.into()),
        };
        finish(&call, result).await
    }

    /// Takes a call that lists page by page, and streams what it finds.
    ///
    /// # Errors
    /// The status of whatever stood in its way before the first page.
    pub async fn stream<O: Pages>(
        &self,
        request: Request<O::Request>,
    ) -> std::result::Result<Response<Items<O::Item>>, Status> {
        let (call, admitted, metadata, request) = parts(request)?;
        let work = match admitted {
            Some(it) => self.authorize::<O>(&call, &it, &metadata, request),
            None => Err(Error::TokenMissing.into()),
        };
        finish(&call, work.map(stream::start)).await
    }

    /// Takes a call of an operation that the vendor does not have.
    ///
    /// # Errors
    /// Always: the status that says so, or of whatever stood in its way.
    pub async fn not_offered<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
    ) -> std::result::Result<Response<A>, Status> {
        let operation = self.contract.operation(method);
        let reason = operation.and_then(|it| it.not_offered.clone());
        let error = reason.map_or(Error::Internal, Error::NotOffered);
        self.local(method, request, |_, _, _| Err(error)).await
    }

    async fn path<O: Operation>(
        &self,
        call: &Arc<Call>,
        admitted: &Admitted,
        metadata: &MetadataMap,
        request: O::Request,
    ) -> Result<O::Response> {
        let work = self.authorize::<O>(call, admitted, metadata, request)?;
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

    /// Decides about a call as far as the request alone can tell, and translates
    /// it.
    fn authorize<O: Operation>(
        &self,
        call: &Arc<Call>,
        Admitted { caller, setup }: &Admitted,
        metadata: &MetadataMap,
        request: O::Request,
    ) -> Result<Work<O>> {
        let operation = self.contract.operation(O::METHOD).ok_or(Error::Internal)?;
        let policy = &setup.policy;
        let denied = |denial| call.note_denial(denial, policy.version());

        // who may not do this anywhere learns nothing about the request
        let standing = policy.standing(caller);
        let permit = standing.authorize(operation, None).map_err(denied)?;
        call.note_permit(&permit);
        let address = O::address(&request).map_err(invalid)?;
        let upstream = match setup.upstreams.choose(&address) {
            Choice::Named(upstream) => upstream,
            Choice::Open(candidates) => {
                call.note(|record| record.upstream = Some(address.clone()));
                // who reaches none of them does not learn that there are any
                let reached = policy.authorize_any(caller, operation, &candidates);
                let _permit = reached.map_err(denied)?;
                return Err(invalid(O::ambiguous()).into());
            }
        };
        call.note(|record| record.upstream = Some(upstream.clone()));
        let permit = standing
            .authorize(operation, Some(&upstream))
            .map_err(denied)?;
        call.note_permit(&permit);
        let client = setup.upstreams.client(&upstream);
        let client = client.ok_or(Error::UpstreamNotConfigured)?;
        let plan = O::plan(request)?;
        plan.note(call);

        Ok(Work {
            call: call.clone(),
            caller: caller.clone(),
            contract: self.contract.clone(),
            source: self.source.clone(),
            client: client.clone(),
            upstreams: setup.upstreams.clone(),
            effect: operation.effect,
            decision: Decision {
                policy: policy.clone(),
                permit,
            },
            plan,
            deadline: Deadline {
                given: given(metadata, &setup.limits).map(|it| call.started() + it),
                limit: setup.limits.request_timeout,
            },
            abandoned: CancellationToken::new(),
            operation: std::marker::PhantomData,
        })
    }
}

/// How much time the caller gives, less a reserve for the record.
fn given(metadata: &MetadataMap, limits: &Limits) -> Option<Duration> {
    let given = metadata.get("grpc-timeout")?.to_str().ok();
    let given = given.and_then(grpc_timeout)?;
    Some(given - limits.reserve.min(given / 5))
}

type Parts<Q> = (Arc<Call>, Option<Admitted>, MetadataMap, Q);

fn parts<Q>(request: Request<Q>) -> std::result::Result<Parts<Q>, Status> {
    let (metadata, mut extensions, message) = request.into_parts();
    // the layers put both there; without them nothing is served
    let Some(call) = extensions.remove::<Arc<Call>>() else {
        return Err(status::status(
            &Error::Internal,
            &status::Context::default(),
        ));
    };
    let admitted = extensions.remove::<Admitted>();
    Ok((call, admitted, metadata, message))
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
