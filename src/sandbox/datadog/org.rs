//! What one organization holds. Plain data: it knows no HTTP, no paging and no
//! document format but that of the state dump.

use std::time::SystemTime;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{secret, time};
use crate::random::Random;

/// No key or token has this id.
#[derive(Debug, thiserror::Error)]
#[error("no key or token has this id")]
pub struct NoSuchKey;

pub(super) struct Org {
    pub(super) id: String,
    pub(super) role: Role,
    pub(super) users: Vec<User>,
    pub(super) api_keys: Vec<ApiKey>,
    pub(super) application_keys: Vec<ApplicationKey>,
    pub(super) access_tokens: Vec<AccessToken>,
}

/// The one role; every user has it, and no service account.
pub(super) struct Role {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) created_at: SystemTime,
}

pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    /// Whether it is no person.
    pub(super) service_account: bool,
    pub(super) created_at: SystemTime,
}

impl User {
    /// The user's handle: here, the id.
    pub(super) fn handle(&self) -> &str {
        &self.id
    }
}

pub(super) struct Leak {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) date: SystemTime,
}

pub(super) struct ApiKey {
    pub(super) id: String,
    pub(super) value: SecretString,
    pub(super) name: String,
    pub(super) category: String,
    pub(super) remote_config_read_enabled: bool,
    pub(super) created_at: SystemTime,
    pub(super) created_by: String,
    pub(super) modified_at: SystemTime,
    pub(super) modified_by: String,
    pub(super) last_used: Option<SystemTime>,
    pub(super) leak: Option<Leak>,
}

pub(super) struct ApplicationKey {
    pub(super) id: String,
    pub(super) value: SecretString,
    pub(super) name: String,
    /// `None`: unscoped, with all its owner's rights.
    pub(super) scopes: Option<Vec<String>>,
    pub(super) created_at: SystemTime,
    pub(super) owned_by: String,
    pub(super) last_used: Option<SystemTime>,
    pub(super) leak: Option<Leak>,
}

/// Whom a token is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Personal,
    Service,
}

impl TokenKind {
    /// The type of the token as a resource.
    pub(super) fn resource_type(self) -> &'static str {
        match self {
            Self::Personal => "personal_access_tokens",
            Self::Service => "service_access_tokens",
        }
    }

    /// The type of its owner.
    pub(super) fn owner_type(self) -> &'static str {
        match self {
            Self::Personal => "users",
            Self::Service => "service_account",
        }
    }
}

pub(super) struct AccessToken {
    pub(super) kind: TokenKind,
    pub(super) id: String,
    pub(super) value: SecretString,
    pub(super) public_portion: String,
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
    pub(super) created_at: SystemTime,
    /// `None`: it does not end by itself.
    pub(super) expires_at: Option<SystemTime>,
    pub(super) modified_at: Option<SystemTime>,
    pub(super) owned_by: String,
    /// Revoked tokens are remembered: revoking one again succeeds.
    pub(super) revoked: bool,
    pub(super) leak: Option<Leak>,
}

impl Org {
    /// An organization with one user, who owns the two master keys.
    pub(super) fn found(
        random: &Random,
        now: SystemTime,
        api_key: SecretString,
        app_key: SecretString,
    ) -> Self {
        let now = time::truncated(now);
        let mut org = Self {
            id: random.uuid().to_string(),
            role: Role {
                id: random.uuid().to_string(),
                name: "Datadog Admin Role",
                created_at: now,
            },
            users: Vec::new(),
            api_keys: Vec::new(),
            application_keys: Vec::new(),
            access_tokens: Vec::new(),
        };
        let master = org.add_user(random, now, "keygate", app_key);
        org.api_keys.push(ApiKey {
            id: random.uuid().to_string(),
            value: api_key,
            name: "keygate master".to_owned(),
            category: "default".to_owned(),
            remote_config_read_enabled: true,
            created_at: now,
            created_by: master.clone(),
            modified_at: now,
            modified_by: master,
            last_used: None,
            leak: None,
        });
        org
    }

    /// A user with one unscoped application key. Returns the user's id.
    pub(super) fn add_user(
        &mut self,
        random: &Random,
        now: SystemTime,
        name: &str,
        app_key: SecretString,
    ) -> String {
        let now = time::truncated(now);
        let id = random.uuid().to_string();
        self.add(&id, name, now, false);
        self.application_keys.push(ApplicationKey {
            id: random.uuid().to_string(),
            value: app_key,
            name: format!("{name} master"),
            scopes: None,
            created_at: now,
            owned_by: id.clone(),
            last_used: None,
            leak: None,
        });
        id
    }

    /// A service account without any key.
    pub(super) fn add_service_account(&mut self, id: &str, name: &str, now: SystemTime) {
        self.add(id, name, time::truncated(now), true);
    }

    fn add(&mut self, id: &str, name: &str, created_at: SystemTime, service_account: bool) {
        self.users.push(User {
            id: id.to_owned(),
            name: name.to_owned(),
            service_account,
            created_at,
        });
    }

    /// Whether this is a service account's id.
    pub(super) fn is_service_account(&self, id: &str) -> bool {
        let mut users = self.users.iter();
        users.any(|user| user.service_account && user.id == id)
    }

    /// What API v1 calls a user by.
    pub(super) fn handle(&self, user: &str) -> Option<&str> {
        let user = self.users.iter().find(|it| it.id == user);
        user.map(User::handle)
    }

    pub(super) fn report_leak(
        &mut self,
        key: &str,
        leak: String,
        source: &str,
        date: SystemTime,
    ) -> Result<(), NoSuchKey> {
        let api_keys = self.api_keys.iter_mut().map(|k| (&k.id, &mut k.leak));
        let application_keys = self
            .application_keys
            .iter_mut()
            .map(|k| (&k.id, &mut k.leak));
        let access_tokens = self.access_tokens.iter_mut().map(|t| (&t.id, &mut t.leak));
        let (_, place) = api_keys
            .chain(application_keys)
            .chain(access_tokens)
            .find(|(id, _)| *id == key)
            .ok_or(NoSuchKey)?;
        *place = Some(Leak {
            id: leak,
            source: source.to_owned(),
            date,
        });
        Ok(())
    }

    /// Everything, values included.
    pub(super) fn state(&self) -> Map<String, Value> {
        let users = self.users.iter().map(|user| {
            json!({
                "id": user.id,
                "name": user.name,
                "service_account": user.service_account,
                "created_at": time::offset(user.created_at),
            })
        });
        let api_keys = self.api_keys.iter().map(|key| {
            json!({
                "id": key.id,
                "key": key.value.expose_secret(),
                "last4": secret::last4(&key.value),
                "name": key.name,
                "category": key.category,
                "remote_config_read_enabled": key.remote_config_read_enabled,
                "created_at": time::offset(key.created_at),
                "created_by": key.created_by,
                "modified_at": time::offset(key.modified_at),
                "modified_by": key.modified_by,
                "last_used": key.last_used.map(time::offset),
                "leaked": key.leak.is_some(),
            })
        });
        let application_keys = self.application_keys.iter().map(|key| {
            json!({
                "id": key.id,
                "key": key.value.expose_secret(),
                "last4": secret::last4(&key.value),
                "name": key.name,
                "scopes": key.scopes,
                "created_at": time::offset(key.created_at),
                "owned_by": key.owned_by,
                "last_used": key.last_used.map(time::offset),
                "leaked": key.leak.is_some(),
            })
        });
        let access_tokens = self.access_tokens.iter().map(|token| {
            json!({
                "type": token.kind.resource_type(),
                "id": token.id,
                "key": token.value.expose_secret(),
                "public_portion": token.public_portion,
                "name": token.name,
                "scopes": token.scopes,
                "created_at": time::zulu(token.created_at),
                "expires_at": token.expires_at.map(time::zulu),
                "modified_at": token.modified_at.map(time::zulu),
                "owned_by": token.owned_by,
                "revoked": token.revoked,
                "leaked": token.leak.is_some(),
            })
        });
        Map::from_iter([
            ("org".to_owned(), json!({ "id": self.id })),
            ("users".to_owned(), users.collect()),
            ("api_keys".to_owned(), api_keys.collect()),
            ("application_keys".to_owned(), application_keys.collect()),
            ("access_tokens".to_owned(), access_tokens.collect()),
        ])
    }
}
