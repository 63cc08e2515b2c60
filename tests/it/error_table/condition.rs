//! The conditions, and how each is brought about.

use std::time::Duration;

use prost_reflect::DynamicMessage;
use serde_json::{Value as Json, json};

use super::method::Method;
use crate::support::gateway::Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Allowed,
    /// The token is good, and its bearer has no role.
    Denied,
    TokenMissing,
    TokenInvalid,
    TokenExpired,
    InvalidRequest,
    /// The message is not one of the method's type.
    Undecodable,
    /// The message is larger than the gateway takes.
    TooLarge,
    /// The organization is none that the gateway knows.
    NotConfigured,
    /// Upstream answers this, with errors of its own form.
    Status(u16),
    /// Upstream refuses by its quota, and says how long to wait …
    RateLimited,
    /// … or when the quota is filled again.
    RateLimitedUntil,
    /// The same again: it is known that the quota is used up.
    QuotaKnown,
    /// A proxy's error page.
    HtmlError,
    /// A proxy's page that claims to be a success.
    HtmlAnswer,
    /// A success without a body.
    EmptyAnswer,
    /// Half of the real answer, as a complete message. (Of an answer that has no
    /// body, half is the whole.)
    TruncatedAnswer,
    /// Half of a JSON document. (An answer that should have no body has one.)
    TruncatedDocument,
    /// Nobody listens there.
    ConnectionRefused,
    /// The connection is reset when the request has been received.
    ConnectionReset,
    /// The connection ends in the middle of the answer.
    ConnectionCut,
    /// Upstream never answers; the caller's deadline passes.
    Timeout,
}

/// What upstream says in its errors.
pub(super) const WORDS: &str = "these are words of upstream";

/// How long upstream wants callers to wait.
const WAIT: Duration = Duration::from_secs(600);
/// When its quota is filled again.
const RESET: Duration = Duration::from_secs(450);

/// The name of its quota.
const QUOTA: &str = "quota_of_the_tests";

/// The id of the call of a cell.
pub(super) fn request_id(condition: Condition, method: &Method) -> String {
    format!("{condition:?}.{}", method.name)
}

impl Condition {
    /// All of them, in an order that works: what is known of a quota, is known
    /// from a refusal before.
    pub(super) fn all() -> Vec<Self> {
        let statuses = [400, 401, 403, 404, 409, 422, 500, 503].map(Self::Status);
        let mut all = vec![
            Self::Allowed,
            Self::Denied,
            Self::TokenMissing,
            Self::TokenInvalid,
            Self::TokenExpired,
            Self::InvalidRequest,
            Self::Undecodable,
            Self::TooLarge,
            Self::NotConfigured,
        ];
        all.extend(statuses);
        all.extend([
            Self::RateLimited,
            Self::RateLimitedUntil,
            Self::QuotaKnown,
            Self::HtmlError,
            Self::HtmlAnswer,
            Self::EmptyAnswer,
            Self::TruncatedAnswer,
            Self::TruncatedDocument,
            Self::ConnectionRefused,
            Self::ConnectionReset,
            Self::ConnectionCut,
            Self::Timeout,
        ]);
        all
    }

    /// What a method's simulator is told to do.
    pub(super) fn fault(self, method: &Method) -> Option<Json> {
        const PAGE: &str = "<html><body><h1>Sign in to the proxy</h1></body></html>";
        let error = |status: u16, headers: Json| {
            let vendor = method.vendor?;
            let mut fault = (vendor.error)(WORDS);
            fault["status"] = status.into();
            fault["headers"] = headers;
            Some(fault)
        };
        let fault = match self {
            Self::Status(status) => error(status, json!({}))?,
            Self::RateLimited => {
                let wait = WAIT.as_secs().to_string();
                error(
                    429,
                    json!({ "retry-after": wait, "x-ratelimit-name": QUOTA }),
                )?
            }
            Self::RateLimitedUntil => {
                let reset = RESET.as_secs().to_string();
                error(429, json!({ "x-ratelimit-reset": reset }))?
            }
            Self::HtmlError => json!({ "status": 502, "body": PAGE, "content_type": "text/html" }),
            Self::HtmlAnswer => json!({ "status": 200, "body": PAGE, "content_type": "text/html" }),
            Self::EmptyAnswer => json!({ "status": 200, "body": "" }),
            Self::TruncatedAnswer => json!({ "truncate": true }),
            Self::TruncatedDocument => json!({ "status": 200, "body": "{\"data\": {\"id\":" }),
            Self::ConnectionReset => {
                let fault = json!({ "reset": "before_response" });
                return Some(json!({ "apply": false, "fault": fault }));
            }
            Self::ConnectionCut => json!({ "reset": "mid_body" }),
            Self::Timeout => json!({ "hang": true }),
            _ => return None,
        };
        Some(json!({ "fault": fault }))
    }

    /// Whether the operation itself has to succeed, or what it reads first.
    pub(super) fn needs_a_key(self, method: &Method) -> bool {
        match self {
            Self::Allowed | Self::TruncatedAnswer | Self::ConnectionCut => true,
            Self::NotConfigured | Self::ConnectionRefused | Self::QuotaKnown => false,
            _ => method.reads_first(),
        }
    }

    /// What the status tells beyond its code, reason and metadata.
    pub(super) fn problems_of_details(
        self,
        method: &Method,
        answer: &Answer,
        records: &[Json],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let (Some(details), Err(status)) = (answer.details(), &answer.result) else {
            return problems;
        };
        let mut want = |right: bool, what: &str| {
            if !right {
                problems.push(format!("{what}: {details:?}"));
            }
        };
        let metadata = details.error_info().map(|it| it.metadata.clone());
        let metadata = metadata.unwrap_or_default();
        let violations = details.bad_request();
        want(
            violations.is_some() == (self == Self::InvalidRequest),
            "field violations",
        );
        if let Some(violations) = violations {
            let bad = method.spoil(&mut DynamicMessage::new(method.descriptor.input()));
            let mut named = violations.field_violations.iter();
            want(
                named.any(|it| it.field == bad),
                "no violation of the bad field",
            );
        }
        want(
            metadata.contains_key("permission") == (self == Self::Denied),
            "permission",
        );
        let quota = matches!(
            self,
            Self::RateLimited | Self::RateLimitedUntil | Self::QuotaKnown
        );
        let retry = details.retry_info().and_then(|it| it.retry_delay);
        let right = match self {
            Self::RateLimited => retry == Some(WAIT),
            Self::RateLimitedUntil => retry == Some(RESET),
            Self::QuotaKnown => retry.is_some_and(|it| !it.is_zero() && it <= WAIT),
            _ => retry.is_none(),
        };
        want(right, "retry info");
        let subjects = details.quota_failure().map(|it| {
            let subjects = it.violations.iter().map(|it| it.subject.as_str());
            subjects.collect::<Vec<_>>().join(" ")
        });
        want(subjects.is_some() == quota, "quota failure");
        if let Some(subjects) = subjects {
            want(subjects.contains(&metadata["upstream"]), "quota's upstream");
            let named = self != Self::RateLimitedUntil;
            want(subjects.contains(QUOTA) == named, "quota's name");
        }
        if matches!(self, Self::Status(400 | 409 | 422)) {
            want(status.message().contains(WORDS), "upstream's words");
        }
        if answer.reason() == "OUTCOME_UNKNOWN" {
            let call = records.first().and_then(|it| it["call"].as_str());
            want(
                metadata.get("record_id").map(String::as_str) == call && call.is_some(),
                "the record's id",
            );
        }
        problems
    }
}
