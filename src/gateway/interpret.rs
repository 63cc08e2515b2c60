//! What an answer of upstream, or none, means for the caller and the record.

use http::StatusCode;

use super::{Failure, operation::Vendor};
use crate::{
    audit::Outcome,
    status::Error,
    telemetry::Metrics,
    upstream::{self, Answer, Client, Request},
};

/// What was asked.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) client: &'a Client,
    pub(super) request: &'a Request,
    /// The id of the call that it is asked for.
    pub(super) call: &'a str,
    /// Whether upstream may have changed anything.
    pub(super) is_mutation: bool,
    pub(super) metrics: &'a Metrics,
}

/// What the record tells of an answer: of this request alone, for another one of
/// the same call may have been answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) status: Option<u16>,
    pub(super) request_id: Option<String>,
}

impl Asked<'_> {
    /// Upstream's words, fit for a caller.
    fn clean(&self, words: &str) -> String {
        self.client.clean(self.request, words)
    }
}

fn rejected(error: Error) -> Failure {
    Failure {
        error,
        outcome: Some(Outcome::Rejected),
    }
}

/// The answer, if it is a success; what to tell and record otherwise.
pub(super) fn answer<V: Vendor>(
    asked: &Asked<'_>,
    result: Result<Answer, upstream::Error>,
) -> (Told, Result<Answer, Failure>) {
    let answered = result.as_ref().ok();
    let status = answered.map(|it| it.status.as_u16());
    let request_id = answered.and_then(Answer::request_id);
    let told = Told {
        status,
        request_id: request_id.map(|it| asked.clean(it)),
    };
    let name = asked.client.name();
    asked.metrics.upstream_answered(name, status);
    let answer = result.map_err(|error| {
        tracing::warn!(
            call = asked.call,
            upstream = name,
            error = &error as &dyn std::error::Error,
            "no answer"
        );
        lost(&error, asked)
    });
    (told, answer.and_then(|it| judged::<V>(asked, it)))
}

fn judged<V: Vendor>(asked: &Asked<'_>, answer: Answer) -> Result<Answer, Failure> {
    let clean = |words: &str| asked.clean(words);
    if answer.status.is_success() {
        return Ok(answer);
    }
    let words = || -> Vec<String> {
        let words = V::errors(&answer.body);
        words.iter().take(10).map(|it| clean(it)).collect()
    };
    if answer.status.is_client_error() {
        let words = words();
        if V::is_switched_off(answer.status, &words) {
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
        StatusCode::REQUEST_TIMEOUT => unknown(Error::UpstreamUnavailable, asked),
        status if status.is_client_error() => rejected(Error::UpstreamRejected(words())),
        status if status.is_server_error() => unknown(Error::UpstreamUnavailable, asked),
        _ => unknown(Error::UpstreamMalformed, asked),
    })
}

/// A change of which upstream may have made anything is never called
/// unavailable: clients repeat that.
fn unknown(error: Error, asked: &Asked<'_>) -> Failure {
    let error = if asked.is_mutation {
        Error::OutcomeUnknown(asked.call.to_owned())
    } else {
        error
    };
    Failure {
        error,
        outcome: Some(Outcome::Unknown),
    }
}

fn lost(error: &upstream::Error, asked: &Asked<'_>) -> Failure {
    let told = match error {
        upstream::Error::NotSent(..) | upstream::Error::Unreachable | upstream::Error::Lost(..) => {
            Error::UpstreamUnavailable
        }
        upstream::Error::Deadline { .. } => Error::DeadlineExceeded,
        upstream::Error::RateLimited { retry_after, limit } => Error::RateLimited {
            retry_after: Some(*retry_after),
            limit: limit.as_deref().map(|it| asked.clean(it)),
        },
        upstream::Error::TooLarge => {
            return Failure {
                error: Error::UpstreamMalformed,
                outcome: Some(Outcome::Unknown),
            };
        }
    };
    if error.may_have_been_sent() {
        unknown(told, asked)
    } else {
        Failure {
            error: told,
            outcome: Some(Outcome::NotSent),
        }
    }
}
