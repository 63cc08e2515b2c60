//! What an answer of upstream, or none, means for the caller and the record.

use http::StatusCode;

use super::{
    Failure,
    operation::{Operation, Vendor as _},
};
use crate::{
    audit::Outcome,
    call::Call,
    status::Error,
    upstream::{self, Answer, Client, Request},
};

fn rejected(error: Error) -> Failure {
    Failure {
        error,
        outcome: Some(Outcome::Rejected),
    }
}

/// The answer, if it is a success; what to tell and record otherwise.
pub(super) fn answer<O: Operation>(
    client: &Client,
    request: &Request,
    result: Result<Answer, upstream::Error>,
    is_mutation: bool,
    call: &Call,
) -> Result<Answer, Failure> {
    let status = result.as_ref().ok().map(|it| it.status.as_u16());
    let metrics = &call.ledger().metrics;
    metrics.upstream_answered(client.name(), status);
    // of this request alone: another one of the same call may have been answered
    call.note(|record| {
        record.upstream_status = status;
        record.upstream_request_id = None;
    });
    let clean = |words: &str| client.clean(request, words);
    let answer = result.map_err(|error| {
        let failure = lost(&error, clean, is_mutation, call);
        tracing::warn!(
            call = call.id(),
            upstream = client.name(),
            error = &error as &dyn std::error::Error,
            "no answer"
        );
        failure
    })?;
    call.note(|record| {
        record.upstream_request_id = answer.request_id().map(clean);
    });
    if answer.status.is_success() {
        return Ok(answer);
    }
    let words = || -> Vec<String> {
        let words = O::Vendor::errors(&answer.body);
        words.iter().take(10).map(|it| clean(it)).collect()
    };
    if answer.status.is_client_error() {
        let words = words();
        if O::Vendor::is_switched_off(answer.status, &words) {
            return Err(rejected(Error::EndpointDisabled(words.join("; "))));
        }
    }
    Err(match answer.status {
        StatusCode::UNAUTHORIZED => rejected(Error::UpstreamCredentialsRejected),
        StatusCode::FORBIDDEN => rejected(Error::UpstreamForbidden),
        StatusCode::NOT_FOUND | StatusCode::GONE => rejected(Error::KeyNotFound(words())),
        StatusCode::CONFLICT => rejected(Error::KeyExists(words())),
        StatusCode::TOO_MANY_REQUESTS => rejected(Error::RateLimited {
            retry_after: answer.retry_after,
            limit: answer.limit.as_deref().map(clean),
        }),
        // upstream gave up waiting, or may have: what it did is not known
        StatusCode::REQUEST_TIMEOUT => unknown(Error::UpstreamUnavailable, is_mutation, call),
        status if status.is_client_error() => rejected(Error::UpstreamRejected(words())),
        status if status.is_server_error() => {
            unknown(Error::UpstreamUnavailable, is_mutation, call)
        }
        _ => unknown(Error::UpstreamMalformed, is_mutation, call),
    })
}

/// A change of which upstream may have made anything is never called
/// unavailable: clients repeat that.
fn unknown(error: Error, is_mutation: bool, call: &Call) -> Failure {
    let error = if is_mutation {
        Error::OutcomeUnknown(call.id())
    } else {
        error
    };
    Failure {
        error,
        outcome: Some(Outcome::Unknown),
    }
}

fn lost(
    error: &upstream::Error,
    clean: impl Fn(&str) -> String,
    is_mutation: bool,
    call: &Call,
) -> Failure {
    let told = match error {
        upstream::Error::NotSent(..) | upstream::Error::Unreachable | upstream::Error::Lost(..) => {
            Error::UpstreamUnavailable
        }
        upstream::Error::Deadline { .. } => Error::DeadlineExceeded,
        upstream::Error::RateLimited { retry_after, limit } => Error::RateLimited {
            retry_after: Some(*retry_after),
            limit: limit.as_deref().map(clean),
        },
        upstream::Error::TooLarge => {
            return Failure {
                error: Error::UpstreamMalformed,
                outcome: Some(Outcome::Unknown),
            };
        }
    };
    if error.may_have_been_sent() {
        unknown(told, is_mutation, call)
    } else {
        Failure {
            error: told,
            outcome: Some(Outcome::NotSent),
        }
    }
}
