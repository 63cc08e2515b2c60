//! What one organization holds. Plain data: it knows no HTTP, no paging and no
//! answer but the state dump.

use std::time::SystemTime;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{secret, written};
use crate::random::Random;

pub(super) struct Org {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) user: User,
    /// The master's, and one without owner rights.
    pub(super) service_accounts: [ServiceAccount; 2],
    /// Oldest first.
    pub(super) api_keys: Vec<ApiKey>,
    /// Oldest first.
    pub(super) service_tokens: Vec<ServiceToken>,
}

/// A member of the organization, without owner rights.
pub(super) struct User {
    pub(super) id: String,
    pub(super) email: String,
}

pub(super) struct ServiceAccount {
    pub(super) id: String,
    pub(super) email: String,
    pub(super) name: &'static str,
    pub(super) is_owner: bool,
}

pub(super) struct ApiKey {
    pub(super) id: String,
    pub(super) value: SecretString,
    pub(super) name: String,
    pub(super) created: SystemTime,
}

pub(super) struct ServiceToken {
    pub(super) id: String,
    pub(super) value: SecretString,
    pub(super) name: String,
    pub(super) created: SystemTime,
    /// The service account's id.
    pub(super) account: String,
}

impl Org {
    /// An organization that has its master token and no key, and a service account
    /// of this id.
    pub(super) fn found(
        random: &Random,
        now: SystemTime,
        token: SecretString,
        service_account_id: String,
    ) -> Self {
        let account = |id: String, name: &'static str, is_owner| ServiceAccount {
            email: format!("{id}@service.sandbox.invalid"),
            id,
            name,
            is_owner,
        };
        let user = random.uuid().to_string();
        let accounts = [
            account(random.uuid().to_string(), "keygate", true),
            account(service_account_id, "service", false),
        ];
        Self {
            id: random.uuid().to_string(),
            name: "sandbox",
            user: User {
                email: format!("{user}@sandbox.invalid"),
                id: user,
            },
            api_keys: Vec::new(),
            service_tokens: vec![ServiceToken {
                id: random.uuid().to_string(),
                value: token,
                name: "keygate master".to_owned(),
                created: now,
                account: accounts[0].id.clone(),
            }],
            service_accounts: accounts,
        }
    }

    pub(super) fn service_account_id(&self) -> &str {
        &self.service_accounts[1].id
    }

    /// The service account of an id.
    pub(super) fn service_account(&self, id: &str) -> Option<&ServiceAccount> {
        self.service_accounts.iter().find(|it| it.id == id)
    }

    /// Makes an API key for the user. Returns its id.
    pub(super) fn add_api_key(&mut self, random: &Random, now: SystemTime, name: String) -> String {
        let id = random.uuid().to_string();
        self.api_keys.push(ApiKey {
            id: id.clone(),
            value: secret::api_key(random),
            name,
            created: now,
        });
        id
    }

    /// Everything, values included.
    pub(super) fn state(&self) -> Map<String, Value> {
        let user = json!({ "id": self.user.id, "email": self.user.email });
        let service_accounts = self.service_accounts.iter().map(|account| {
            json!({
                "id": account.id,
                "email": account.email,
                "name": account.name,
                "is_owner": account.is_owner,
            })
        });
        let api_keys = self.api_keys.iter().map(|key| {
            json!({
                "id": key.id,
                "key": key.value.expose_secret(),
                "name": key.name,
                "created": written(key.created),
                "user_id": self.user.id,
            })
        });
        let service_tokens = self.service_tokens.iter().map(|token| {
            json!({
                "id": token.id,
                "key": token.value.expose_secret(),
                "name": token.name,
                "created": written(token.created),
                "service_account_id": token.account,
            })
        });
        Map::from_iter([
            (
                "org".to_owned(),
                json!({ "id": self.id, "name": self.name }),
            ),
            ("users".to_owned(), json!([user])),
            ("service_accounts".to_owned(), service_accounts.collect()),
            ("api_keys".to_owned(), api_keys.collect()),
            ("service_tokens".to_owned(), service_tokens.collect()),
        ])
    }
}
