//! The layer around every served method: begins the call, says who calls, and
//! sees to it that whatever happens inside, the call ends in a status with
//! details and in one terminal record.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{listen::Peer, state::State};
use crate::{
    audit::{self, Receipt},
    auth::{self, Caller},
    call::{Call, Conclusion, Ledger, acceptable_request_id},
    contract::Contract,
    gateway::Admitted,
    live::Live,
    status::{self, Error},
};

/// The name of the header that a request id comes and goes in.
pub const REQUEST_ID: &str = "x-request-id";

/// The name of the trailing metadata that proves the records of a mutation. Its
/// value is the text of a [`Receipt`].
pub const RECEIPT: &str = "keygate-receipt-bin";

/// The most receipts that are sent along with an answer, as clients bound its size.
/// Records of one call follow each other, so that one leads to the others.
const MOST_RECEIPTS: usize = 3;

/// What the layer needs.
#[derive(Debug)]
pub struct Settings {
    /// The methods that it is for. Others (health, reflection) pass.
    pub contract: Arc<Contract>,
    /// What says who calls, and what they may.
    pub live: Live<State>,
    /// What calls are made with.
    pub ledger: Ledger,
}

/// The layer.
#[derive(Clone, Debug)]
pub struct Calls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    in_flight: AtomicUsize,
}

impl Calls {
    /// A layer with these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            in_flight: AtomicUsize::new(0),
        }))
    }
}

impl<S> Layer<S> for Calls {
    type Service = Around<S>;

    fn layer(&self, inner: S) -> Around<S> {
        Around {
            inner,
            shared: self.0.clone(),
        }
    }
}

/// The layer around a service.
#[derive(Clone, Debug)]
pub struct Around<S> {
    inner: S,
    shared: Arc<Shared>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Around<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let method = request.uri().path().trim_start_matches('/');
        let Some(operation) = self.shared.settings.contract.operation(method) else {
            return Box::pin(self.inner.call(request));
        };
        let given = request.headers().get(REQUEST_ID);
        let given = given.and_then(|it| it.to_str().ok());
        let peer = request.extensions().get::<Peer>();
        let call = Call::begin(
            self.shared.settings.ledger.clone(),
            operation,
            given
                .filter(|it| acceptable_request_id(it))
                .map(str::to_owned),
            peer.map(recorded),
        );
        let (inner, shared) = (self.inner.clone(), self.shared.clone());
        Box::pin(async move {
            let request_id = HeaderValue::try_from(call.request_id());
            let answer = AssertUnwindSafe(around(&shared, &call, inner, request));
            let answer = answer.catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(call = call.id(), "a call panicked");
                Err(Error::Internal)
            });
            let mut response = match answer {
                Ok(response) => response,
                Err(error) => refuse(&call, error).await,
            };
            if let Ok(request_id) = request_id {
                response.headers_mut().insert(REQUEST_ID, request_id);
            }
            Ok(with_receipts(response, call.take_receipts()))
        })
    }
}

/// One of the places for calls under way. A call keeps it to its end, which for a
/// stream comes after its answer has begun.
struct Slot(Arc<Shared>);

impl Slot {
    fn take(shared: &Arc<Shared>, most: usize) -> Option<Self> {
        let before = shared.in_flight.fetch_add(1, Relaxed);
        shared.settings.ledger.metrics.in_flight(before + 1);
        let slot = Self(shared.clone());
        (before < most).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let before = self.0.in_flight.fetch_sub(1, Relaxed);
        self.0.settings.ledger.metrics.in_flight(before - 1);
    }
}

async fn around<S>(
    shared: &Arc<Shared>,
    call: &Arc<Call>,
    mut inner: S,
    mut request: Request<Body>,
) -> Result<Response<Body>, Error>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    // this one to the end, whatever holds meanwhile
    let state = shared.settings.live.current();
    let slot = Slot::take(shared, state.max_in_flight);
    call.keep(slot.ok_or(Error::Overloaded)?);
    if shared.settings.ledger.trail.away().is_some() {
        // nothing is begun that can't be brought to a recorded end
        return Err(Error::AuditUnavailable);
    }
    let now = shared.settings.ledger.clock.now();
    let names = state.admit(request.extensions().get(), now)?;
    let token = auth::bearer(request.headers());
    let caller = match token {
        Ok(token) => state.authenticator.authenticate(token).await,
        Err(error) => Err(error),
    };
    let mut caller = caller.map_err(|error| match error {
        auth::Error::Missing => Error::TokenMissing,
        auth::Error::Invalid(reason) => Error::TokenInvalid(reason.to_string()),
        auth::Error::Expired => Error::TokenExpired,
        auth::Error::KeysUnavailable => Error::IssuerUnavailable,
    })?;
    if let Some(certificate_names) = names {
        caller = Arc::new(Caller {
            certificate_names,
            ..(*caller).clone()
        });
    }
    call.note_caller(&caller);
    // from here on nobody needs the token
    request.headers_mut().remove(http::header::AUTHORIZATION);
    request.extensions_mut().insert(call.clone());
    let setup = state.gateway.clone();
    request.extensions_mut().insert(Admitted { caller, setup });
    let Ok(response) = inner.call(request).await;
    match of_transport(response.headers()) {
        None => Ok(response),
        Some(error) => Err(error),
    }
}

/// Sends receipts along, behind the answer.
fn with_receipts(mut response: Response<Body>, receipts: Vec<Receipt>) -> Response<Body> {
    let values = receipts.iter().take(MOST_RECEIPTS).filter_map(|it| {
        // as metadata that is bytes travels
        let mut value = HeaderValue::try_from(STANDARD_NO_PAD.encode(it.text())).ok()?;
        // no two are alike: they would push what comes again out of HPACK's table
        value.set_sensitive(true);
        Some(value)
    });
    let values: Vec<_> = values.collect();
    if values.is_empty() {
        return response;
    }
    let append = move |trailers: &mut HeaderMap| {
        for value in &values {
            trailers.append(RECEIPT, value.clone());
        }
    };
    // an error's trailers are its headers
    if Status::from_header_map(response.headers()).is_some() {
        append(response.headers_mut());
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| match frame.into_trailers() {
            Ok(mut trailers) => {
                append(&mut trailers);
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }))
    })
}

/// The other end of a connection, for the record.
fn recorded(peer: &Peer) -> audit::Peer {
    let names = peer.certificate.as_ref().map(|it| it.names().join(", "));
    audit::Peer {
        address: peer.address.to_string(),
        certificate: names.filter(|it| !it.is_empty()),
    }
}

/// The transport's own errors have no details: they become ours.
fn of_transport(headers: &HeaderMap) -> Option<Error> {
    let status = Status::from_header_map(headers)?;
    if status.code() == Code::Ok || !status.details().is_empty() {
        return None;
    }
    Some(match status.code() {
        Code::OutOfRange => Error::RequestTooLarge,
        Code::Unimplemented => Error::Unsupported(status.message().to_owned()),
        Code::Cancelled => Error::Cancelled,
        _ => Error::Undecodable,
    })
}

async fn refuse(call: &Arc<Call>, error: Error) -> Response<Body> {
    let (error, conclusion) = match error {
        Error::Internal => call.abandoned(error),
        error => {
            let conclusion = Conclusion::refused(&error);
            (error, conclusion)
        }
    };
    let error = match call.conclude(conclusion).await {
        Ok(()) => error,
        Err(_) => Error::AuditUnavailable,
    };
    status::status(&error, &call.context()).into_http()
}
