//! The only mapping from errors to gRPC statuses.
//!
//! Every status carries a `google.rpc.ErrorInfo` of the domain `keygate`, whose
//! metadata has the `request_id` and, where upstream was asked, `upstream` and
//! `upstream_status`. Messages say what to do and never hold internals.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// The domain of keygate's reasons.
pub const DOMAIN: &str = "keygate";

/// What is wrong with a field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, by its name in the contract.
    pub field: &'static str,
    /// What is wrong, and what to do.
    pub description: String,
}

impl Violation {
    /// A violation of a field.
    pub fn new(field: &'static str, description: impl Into<String>) -> Self {
        Self {
            field,
            description: description.into(),
        }
    }
}

/// Every way in which a call can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No token.
    TokenMissing,
    /// A token that does not hold; why, in words for the caller.
    TokenInvalid(String),
    /// A token that held.
    TokenExpired,
    /// The connection's client certificate is missing, over, or not trusted.
    CertificateInvalid,
    /// The keys of the token's issuer can't be had now.
    IssuerUnavailable,
    /// The policy says no.
    PolicyDenied {
        /// Permissions any of which would do.
        missing: Vec<String>,
        /// Why.
        rule: String,
    },
    /// Bad fields.
    InvalidRequest(Vec<Violation>),
    /// Upstream refused the request's content.
    UpstreamRejected(Vec<String>),
    /// Upstream has no such key.
    KeyNotFound(Vec<String>),
    /// Upstream has such a key already.
    KeyExists(Vec<String>),
    /// A quota is used up.
    RateLimited {
        /// When to come back.
        retry_after: Option<Duration>,
        /// The limit's name.
        limit: Option<String>,
    },
    /// Too many calls are under way in keygate itself.
    Overloaded,
    /// No such site, organization or instance is configured.
    UpstreamNotConfigured,
    /// The endpoint is switched off there; why.
    EndpointDisabled(String),
    /// The vendor has no such operation; why.
    NotOffered(String),
    /// Upstream does not take keygate's credentials.
    UpstreamCredentialsRejected,
    /// Upstream forbids this to keygate's credentials.
    UpstreamForbidden,
    /// Upstream can't be reached, or fails.
    UpstreamUnavailable,
    /// It is not known yet which of upstream's keys are keygate's own.
    OwnKeysUnknown,
    /// A change may or may not have been made. The record's id.
    OutcomeUnknown(String),
    /// The trail can't be written.
    AuditUnavailable,
    /// The trail has no such record.
    RecordNotFound,
    /// The gateway has no key to sign the trail with.
    TrailNotSigned,
    /// The gateway is being shut down.
    ShuttingDown,
    /// Time was up.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// Upstream's answer makes no sense.
    UpstreamMalformed,
    /// The request's message is larger than allowed.
    RequestTooLarge,
    /// The request's message can't be read.
    Undecodable,
    /// The request asks for something of the transport that is not there.
    Unsupported(String),
    /// keygate itself failed.
    Internal,
}

impl Error {
    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TokenMissing
            | Self::TokenInvalid(_)
            | Self::TokenExpired
            | Self::CertificateInvalid => Code::Unauthenticated,
            Self::PolicyDenied { .. } => Code::PermissionDenied,
            Self::InvalidRequest(_) | Self::UpstreamRejected(_) | Self::Undecodable => {
                Code::InvalidArgument
            }
            Self::KeyNotFound(_) | Self::RecordNotFound => Code::NotFound,
            Self::KeyExists(_) => Code::AlreadyExists,
            Self::RateLimited { .. } | Self::Overloaded | Self::RequestTooLarge => {
                Code::ResourceExhausted
            }
            Self::Unsupported(_) | Self::NotOffered(_) => Code::Unimplemented,
            Self::UpstreamNotConfigured
            | Self::EndpointDisabled(_)
            | Self::TrailNotSigned
            | Self::UpstreamCredentialsRejected
            | Self::UpstreamForbidden => Code::FailedPrecondition,
            Self::IssuerUnavailable
            | Self::UpstreamUnavailable
            | Self::OwnKeysUnknown
            | Self::AuditUnavailable
            | Self::ShuttingDown => Code::Unavailable,
            Self::OutcomeUnknown(_) => Code::Unknown,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Cancelled => Code::Cancelled,
            Self::UpstreamMalformed | Self::Internal => Code::Internal,
        }
    }

    /// The `ErrorInfo.reason`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TokenMissing => "TOKEN_MISSING",
            Self::TokenInvalid(_) => "TOKEN_INVALID",
            Self::TokenExpired => "TOKEN_EXPIRED",
            Self::CertificateInvalid => "CERTIFICATE_INVALID",
            Self::IssuerUnavailable => "ISSUER_UNAVAILABLE",
            Self::PolicyDenied { .. } => "POLICY_DENIED",
            Self::InvalidRequest(_) => "INVALID_REQUEST",
            Self::UpstreamRejected(_) => "UPSTREAM_REJECTED",
            Self::KeyNotFound(_) => "KEY_NOT_FOUND",
            Self::KeyExists(_) => "KEY_EXISTS",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::UpstreamNotConfigured => "UPSTREAM_NOT_CONFIGURED",
            Self::EndpointDisabled(_) => "ENDPOINT_DISABLED",
            Self::NotOffered(_) => "NOT_OFFERED_UPSTREAM",
            Self::UpstreamCredentialsRejected => "UPSTREAM_CREDENTIALS_REJECTED",
            Self::UpstreamForbidden => "UPSTREAM_FORBIDDEN",
            Self::UpstreamUnavailable | Self::OwnKeysUnknown => "UPSTREAM_UNAVAILABLE",
            Self::OutcomeUnknown(_) => "OUTCOME_UNKNOWN",
            Self::AuditUnavailable => "AUDIT_UNAVAILABLE",
            Self::RecordNotFound => "RECORD_NOT_FOUND",
            Self::TrailNotSigned => "TRAIL_NOT_SIGNED",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::UpstreamMalformed => "UPSTREAM_MALFORMED",
            Self::RequestTooLarge => "REQUEST_TOO_LARGE",
            Self::Undecodable => "INVALID_REQUEST",
            Self::Unsupported(_) => "UNSUPPORTED",
            Self::Internal => "INTERNAL",
        }
    }

    fn message(&self) -> String {
        let words = match self {
            Self::TokenMissing => {
                "no token: send `authorization: Bearer <token>` in the call's metadata"
            }
            Self::TokenInvalid(why) => return format!("the token does not hold: {why}"),
            Self::TokenExpired => "the token has expired: get a new one from its issuer",
            Self::CertificateInvalid => {
                "the connection's client certificate counts no more: connect again with one that does"
            }
            Self::IssuerUnavailable => {
                "the keys of the token's issuer can't be had right now: try again later"
            }
            Self::PolicyDenied { missing, rule } if missing.is_empty() => {
                return format!("the policy does not permit this: {rule}");
            }
            Self::PolicyDenied { missing, rule } => {
                let missing = missing.join(" or ");
                return format!("the policy does not permit this: it takes {missing} ({rule})");
            }
            Self::InvalidRequest(violations) => {
                let all: Vec<_> = violations
                    .iter()
                    .map(|it| format!("{}: {}", it.field, it.description))
                    .collect();
                return format!("the request is not valid: {}", all.join("; "));
            }
            Self::UpstreamRejected(words) => {
                return with("upstream refused the request", words);
            }
            Self::KeyExists(words) => return with("upstream has such a key already", words),
            Self::KeyNotFound(_) => "upstream has no key or token with this id",
            Self::RateLimited { limit: None, .. } => {
                "upstream's rate limit is used up: try again later"
            }
            Self::RateLimited {
                limit: Some(limit), ..
            } => return format!("upstream's rate limit {limit} is used up: try again later"),
            Self::Overloaded => "the gateway has too many calls under way: try again later",
            Self::UpstreamNotConfigured => {
                "the gateway has no such upstream: see AccessService.ListUpstreams"
            }
            Self::EndpointDisabled(why) => {
                return format!("upstream has switched this endpoint off there: {why}");
            }
            Self::NotOffered(why) => {
                return format!("the vendor has no such operation: {why}");
            }
            Self::UpstreamCredentialsRejected => {
                "upstream does not take the gateway's own credentials: tell whoever runs the gateway"
            }
            Self::UpstreamForbidden => {
                "upstream forbids this to the gateway's own credentials: tell whoever runs the gateway"
            }
            Self::UpstreamUnavailable => "upstream can't be reached or fails: try again later",
            Self::OwnKeysUnknown => {
                "nothing was sent: the gateway could not find out yet which keys there are its own, \
                 and changes none by its id until then; try again later, and see \
                 AccessService.ListUpstreams"
            }
            Self::OutcomeUnknown(_) => {
                "upstream's answer was lost: the change may have been made; look before trying again"
            }
            Self::AuditUnavailable => {
                "the audit trail can't be written, so nothing is done: tell whoever runs the gateway"
            }
            Self::RecordNotFound => "the audit trail has no such record, or no such tree",
            Self::TrailNotSigned => {
                "the gateway has no key to sign its audit trail with: tell whoever runs it to set `audit.signing_key`"
            }
            Self::ShuttingDown => "the gateway is being shut down: call again",
            Self::DeadlineExceeded => "the deadline passed before the answer came",
            Self::Cancelled => "the call was cancelled",
            Self::UpstreamMalformed => "upstream's answer makes no sense",
            Self::RequestTooLarge => "the request's message is larger than the gateway allows",
            Self::Undecodable => {
                "the request's message can't be read: is it of this method's type?"
            }
            Self::Unsupported(what) => return format!("not supported: {what}"),
            Self::Internal => "the gateway failed: tell whoever runs it, with the request id",
        };
        words.to_owned()
    }
}

fn with(words: &str, details: &[String]) -> String {
    if details.is_empty() {
        words.to_owned()
    } else {
        format!("{words}: {}", details.join("; "))
    }
}

/// What a status tells besides the error itself.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The request's id.
    pub request_id: String,
    /// The upstream that was asked.
    pub upstream: Option<String>,
    /// The status it gave.
    pub upstream_status: Option<u16>,
}

/// The status of an error.
#[must_use]
pub fn status(error: &Error, context: &Context) -> Status {
    let mut metadata = HashMap::from([("request_id".to_owned(), context.request_id.clone())]);
    if let Some(upstream) = &context.upstream {
        metadata.insert("upstream".to_owned(), upstream.clone());
    }
    if let Some(status) = context.upstream_status {
        metadata.insert("upstream_status".to_owned(), status.to_string());
    }
    let mut details = ErrorDetails::new();
    match error {
        Error::PolicyDenied { missing, rule } => {
            if !missing.is_empty() {
                metadata.insert("permission".to_owned(), missing.join(","));
            }
            metadata.insert("rule".to_owned(), rule.clone());
        }
        Error::InvalidRequest(violations) => {
            let violations = violations
                .iter()
                .map(|it| FieldViolation::new(it.field, &it.description))
                .collect::<Vec<_>>();
            details.set_bad_request(violations);
        }
        Error::UpstreamRejected(words) | Error::KeyExists(words) | Error::KeyNotFound(words)
            if !words.is_empty() =>
        {
            metadata.insert("upstream_errors".to_owned(), words.join("; "));
        }
        Error::RateLimited { retry_after, limit } => {
            details.set_retry_info(*retry_after);
            let subject = match (&context.upstream, limit) {
                (Some(upstream), Some(limit)) => format!("{upstream}:{limit}"),
                (Some(upstream), None) => upstream.clone(),
                (None, limit) => limit.clone().unwrap_or_default(),
            };
            details.add_quota_failure_violation(subject, "upstream's rate limit is used up");
        }
        Error::Overloaded => {
            details.set_retry_info(Some(Duration::from_secs(1)));
            details.add_quota_failure_violation("keygate", "too many calls are under way");
        }
        Error::OutcomeUnknown(record) => {
            metadata.insert("record_id".to_owned(), record.clone());
        }
        _ => {}
    }
    details.set_error_info(error.reason(), DOMAIN, metadata);
    Status::with_error_details(error.code(), error.message(), details)
}

/// The code's name as gRPC spells it: `PERMISSION_DENIED`.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
