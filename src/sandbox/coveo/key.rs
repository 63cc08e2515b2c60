//! One API key: what it holds, and what time makes of it. It knows no HTTP.

use std::time::{Duration, SystemTime};

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{secret, templates::Template};
use crate::random::Random;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a key works without being used.
const UNUSED: Duration = DAY.saturating_mul(90);

/// How long before its end a key says that it comes.
const WARNING: Duration = DAY.saturating_mul(14);

pub(super) struct ApiKey {
    pub(super) id: String,
    pub(super) value: SecretString,
    /// What callers write: named members and any others.
    pub(super) written: Map<String, Value>,
    pub(super) template: Option<&'static Template>,
    pub(super) created: SystemTime,
    pub(super) activated: SystemTime,
    pub(super) last_used: Option<SystemTime>,
    pub(super) expires: Option<SystemTime>,
    /// When somebody disabled it.
    pub(super) disabled: Option<SystemTime>,
    pub(super) exposure: Option<Exposure>,
}

impl ApiKey {
    /// The key that the master's token is the value of.
    pub(super) fn master(value: &SecretString, random: &Random, now: SystemTime) -> Self {
        let name = ("displayName".to_owned(), json!("keygate master"));
        Self {
            id: secret::api_key_id(random),
            value: value.clone(),
            written: Map::from_iter([name]),
            template: None,
            created: now,
            activated: now,
            last_used: None,
            expires: None,
            disabled: None,
            exposure: None,
        }
    }
}

/// A key was found in public.
pub(super) struct Exposure {
    pub(super) id: String,
    pub(super) severity: Severity,
    pub(super) url: String,
    pub(super) created: SystemTime,
}

/// How bad an exposure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The key is disabled a day later.
    Critical,
    /// The key is disabled a week later.
    High,
    /// The key is disabled a month later.
    Medium,
    /// The key stays as it is.
    Low,
    /// The key stays as it is.
    Warn,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
            Self::Warn => "WARN",
        }
    }

    fn grace(self) -> Option<Duration> {
        match self {
            Self::Critical => Some(DAY),
            Self::High => Some(DAY * 7),
            Self::Medium => Some(DAY * 30),
            Self::Low | Self::Warn => None,
        }
    }
}

impl Exposure {
    fn deactivation(&self) -> Option<SystemTime> {
        Some(self.created + self.severity.grace()?)
    }
}

/// Whether a key works, and what threatens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Enabled,
    SoonToBeExpired,
    SoonToBeDisabled,
    Disabled,
    DisabledForInactivity,
    DisabledExposed,
    Expired,
}

impl Status {
    /// Whether the key works.
    pub(super) fn is_active(self) -> bool {
        matches!(
            self,
            Self::Enabled | Self::SoonToBeExpired | Self::SoonToBeDisabled
        )
    }

    fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::SoonToBeExpired => "SOON_TO_BE_EXPIRED",
            Self::SoonToBeDisabled => "SOON_TO_BE_DISABLED",
            Self::Disabled => "DISABLED",
            Self::DisabledForInactivity => "DISABLED_FOR_INACTIVITY",
            Self::DisabledExposed => "DISABLED_EXPOSED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// Which keys a list with this filter has, by their status and by whether they
/// are exposed. `None` if there is no such filter.
pub(super) fn filter(name: &str) -> Option<fn(Status, bool) -> bool> {
    Some(match name {
        "ACTIVE" => |status, _| status.is_active(),
        "SOON_TO_BE_DISABLED" => |status, _| status == Status::SoonToBeDisabled,
        "SOON_TO_BE_EXPIRED" => |status, _| status == Status::SoonToBeExpired,
        "ACTIVE_AND_EXPOSED" => |status, is_exposed| status.is_active() && is_exposed,
        "WITH_WARNING" => {
            |status, is_exposed| status.is_active() && (status != Status::Enabled || is_exposed)
        }
        "ALL_EXPOSED" => |_, is_exposed| is_exposed,
        "DEACTIVATED" => |status, _| !status.is_active(),
        _ => return None,
    })
}

impl ApiKey {
    /// When it is disabled for want of use.
    fn idle(&self) -> SystemTime {
        self.last_used
            .map_or(self.activated, |used| used.max(self.activated))
            + UNUSED
    }

    /// When it was disabled, by whom or by what.
    fn disabled(&self, now: SystemTime) -> Option<(SystemTime, Status)> {
        let exposed = self.exposure.as_ref().and_then(Exposure::deactivation);
        // who activates it again takes the blame
        let exposed = exposed.filter(|at| *at > self.activated);
        [
            (self.disabled, Status::Disabled),
            (exposed, Status::DisabledExposed),
            (Some(self.idle()), Status::DisabledForInactivity),
        ]
        .into_iter()
        .filter_map(|(time, status)| Some((time?, status)))
        .filter(|(time, _)| *time <= now)
        .min_by_key(|(time, _)| *time)
    }

    /// Whether it works, and what threatens it.
    pub(super) fn status(&self, now: SystemTime) -> Status {
        if self.has_expired(now) {
            return Status::Expired;
        }
        if let Some((_, status)) = self.disabled(now) {
            return status;
        }
        if self.expires.is_some_and(|end| end <= now + WARNING) {
            Status::SoonToBeExpired
        } else if self.idle() <= now + WARNING {
            Status::SoonToBeDisabled
        } else {
            Status::Enabled
        }
    }

    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Makes it work again.
    pub(super) fn activate(&mut self, now: SystemTime) {
        self.activated = now;
        self.disabled = None;
    }

    /// What an answer shows of it, with this for its value.
    pub(super) fn members(
        &self,
        value: &str,
        organization: &str,
        now: SystemTime,
        time: impl Fn(SystemTime) -> Value,
    ) -> Value {
        let status = self.status(now);
        let disabled = self.disabled(now).map(|(at, _)| at);
        let mut members = self.written.clone();
        for name in ["privileges", "allowedIps", "deniedIps"] {
            // a set that nobody filled is empty
            members.entry(name).or_insert_with(|| json!([]));
        }
        let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
        put("id", json!(self.id));
        put("tokenId", json!(self.id));
        put("resourceId", json!(self.id));
        put("organizationId", json!(organization));
        put("value", json!(value));
        put("enabled", json!(disabled.is_none()));
        put("status", json!(status.name()));
        put("createdBy", creator());
        put("createdDate", time(self.created));
        put("activationDate", time(self.activated));
        let optional = [
            ("lastUsedDate", self.last_used),
            ("expirationDate", self.expires),
            ("disabledDate", disabled),
        ];
        for (name, at) in optional {
            if let Some(at) = at {
                put(name, time(at));
            }
        }
        let is_public = self.template.is_some_and(|template| template.public);
        let level = if is_public { "PUBLIC" } else { "PRIVATE" };
        put("privacyLevel", json!(level));
        if let Some(template) = self.template {
            put("apiKeyTemplateId", json!(template.id));
            put("privileges", template.privileges());
        }
        if let Some(exposure) = &self.exposure {
            put("exposureReport", self.report(exposure, time));
        }
        Value::Object(members)
    }

    fn report(&self, exposure: &Exposure, time: impl Fn(SystemTime) -> Value) -> Value {
        let mut report = json!({
            "apiKeyLoggerId": self.id,
            "severity": exposure.severity.name(),
            "creationType": "AUTOMATED",
            "createdDate": time(exposure.created),
            "reasons": [{
                "id": exposure.id,
                "reason": "The API key was found in a public repository",
                "source": "GITHUB",
                "url": exposure.url,
                "createdDate": time(exposure.created),
            }],
        });
        if let Some(at) = exposure.deactivation() {
            report["deactivationDate"] = time(at);
        }
        report
    }
}

/// The user behind the master token.
fn creator() -> Value {
    json!({
        "username": "master@sandbox.invalid-email",
        "email": "master@sandbox.invalid",
        "name": "Sandbox Master",
        "displayName": "Sandbox Master",
        "provider": "EMAIL",
        "providerUsername": "master@sandbox.invalid",
        "enabled": true,
        "socialUser": false,
    })
}
