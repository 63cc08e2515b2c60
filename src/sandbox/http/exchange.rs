//! What happens around every request of the API: it is received whole, logged,
//! delayed, hit by a fault if one is due, and its answer dated.

use std::{io, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Extension, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{Shared, connection::Abort};
use crate::sandbox::faults::{Answer, Fault};

/// The largest request body; the largest real one is some kilobytes.
const MAX_BODY: usize = 1 << 20;

/// How long half a body is given to reach the client before the connection is
/// closed.
const MID_BODY: Duration = Duration::from_millis(20);

pub(super) async fn exchange(
    State(shared): State<Arc<Shared>>,
    Extension(abort): Extension<Abort>,
    template: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let template = template.as_ref().map(MatchedPath::as_str);
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let credentials = shared.vendor.credentials(&parts.headers);
    let at = shared.clock.now();
    let number = shared
        .log
        .received(at, &parts, template, &credentials, &body);
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    let fault = shared
        .faults
        .take(parts.method.as_str(), parts.uri.path(), template);
    let operation = next.run(Request::from_parts(parts, Body::from(body)));
    let mut response = match fault {
        None => operation.await,
        Some((fault, apply)) => {
            shared.log.faulted(number, fault.name());
            go_wrong(fault, apply, operation, &abort).await
        }
    };
    shared.log.answered(number, response.status().as_u16());
    // a vendor's own clock dates what it makes and what it answers
    let date = httpdate::fmt_http_date(shared.clock.now());
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().entry(header::DATE).or_insert(date);
    }
    response
}

async fn go_wrong(
    fault: Fault,
    apply: bool,
    operation: impl Future<Output = Response>,
    abort: &Abort,
) -> Response {
    match fault {
        Fault::Delay(delay) if apply => {
            let response = operation.await;
            tokio::time::sleep(delay).await;
            response
        }
        Fault::Delay(delay) => {
            tokio::time::sleep(delay).await;
            operation.await
        }
        Fault::Truncate => truncated(operation.await).await,
        Fault::ResetMidBody => cut_off(operation.await, abort).await,
        Fault::Status(_) | Fault::Hang | Fault::ResetBeforeResponse => {
            if apply {
                operation.await;
            }
            match fault {
                Fault::Status(answer) => made_up(answer),
                Fault::ResetBeforeResponse => reset(abort).await,
                _ => std::future::pending().await,
            }
        }
    }
}

async fn reset(abort: &Abort) -> Response {
    abort.abort();
    // The connection is dropped, and this with it.
    std::future::pending().await
}

fn made_up(answer: Answer) -> Response {
    let mut response = answer.body.into_response();
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = answer
        .content_type
        .unwrap_or_else(|| "application/json".to_owned());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    let extra = answer.headers.into_iter();
    for (name, value) in extra.chain([("content-type".to_owned(), content_type)]) {
        // What is no header at all can't be sent; the rest of the answer can.
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            headers.append(name, value);
        }
    }
    response
}

async fn halved(response: Response) -> (http::response::Parts, Bytes, usize) {
    let (mut parts, body) = response.into_parts();
    // A simulator's answers are in memory: reading one doesn't fail.
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts, whole.slice(..whole.len() / 2), whole.len())
}

async fn truncated(response: Response) -> Response {
    let (parts, half, _) = halved(response).await;
    Response::from_parts(parts, Body::from(half))
}

async fn cut_off(response: Response, abort: &Abort) -> Response {
    let (mut parts, half, whole) = halved(response).await;
    if whole == 0 {
        return reset(abort).await;
    }
    parts.headers.insert(header::CONTENT_LENGTH, whole.into());
    let end = stream::once(async {
        tokio::time::sleep(MID_BODY).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    let body = stream::once(async { Ok(half) }).chain(end);
    Response::from_parts(parts, Body::from_stream(body))
}
