//! A token issuer: ES256 keys, a JWKS URL, and tokens for whoever holds the
//! [`Issuer`]. Nobody can ask for a token over HTTP.
//!
//! It knows nothing of keygate's policy: roles are names in a claim. Like every
//! simulator it answers `GET /__state` and makes faults on demand (see
//! [`super::http`]), so that a test can count and break key fetches.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    error::Unspecified,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::get};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    faults::Faults,
    http::{self, Server, Vendor, Verdict},
};
use crate::{clock::Clock, random::Random, tasks::Tasks};

const JWKS: &str = "/.well-known/jwks.json";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// What an issuer can't do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key can't be made.
    #[error("a signing key can't be generated")]
    Key(#[from] Unspecified),
    /// A key or a token can't be encoded.
    #[error("a token or its key can't be encoded")]
    Encode(#[from] jsonwebtoken::errors::Error),
    /// It can't be served.
    #[error("the issuer can't be served")]
    Serve(#[from] http::Error),
}

/// How an issuer is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub address: SocketAddr,
    /// The audience that its tokens are for unless their claims say otherwise.
    pub audience: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            audience: "keygate".to_owned(),
        }
    }
}

/// What a token says.
#[derive(Clone, Debug)]
pub struct Claims {
    /// `sub`.
    pub subject: String,
    /// `roles`.
    pub roles: Vec<String>,
    /// From now to `exp`.
    pub ttl: Duration,
    /// Further claims, or others in place of the usual ones; `null` leaves a
    /// claim out.
    pub extra: Map<String, Value>,
}

impl Claims {
    /// A subject with roles, for an hour.
    #[must_use]
    pub fn new(subject: &str, roles: &[&str]) -> Self {
        Self {
            subject: subject.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ttl: Duration::from_secs(60 * 60),
            extra: Map::new(),
        }
    }
}

/// A running issuer. Cheap to clone; it stops with the tasks it was started on.
#[derive(Clone)]
pub struct Issuer {
    server: Server,
    keys: Arc<Keys>,
    audience: String,
    clock: Clock,
}

impl Issuer {
    /// Makes a key and serves its public half.
    ///
    /// # Errors
    /// [`Error`] if no key can be made or the address can't be listened on.
    pub async fn start(
        options: Options,
        clock: Clock,
        random: Random,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let first = SigningKey::generate(&random)?;
        let keys = Arc::new(Keys {
            base_url: OnceLock::new(),
            random,
            ring: Mutex::new(Ring {
                published: vec![first.public.clone()],
                current: first,
            }),
        });
        let serve = http::Options {
            address: options.address,
            latency: Duration::ZERO,
        };
        let server = Server::start(Arc::clone(&keys), serve, clock.clone(), tasks).await?;
        // The port is known from here on; nobody else has it yet.
        let _ = keys.base_url.set(server.base_url());
        Ok(Self {
            server,
            keys,
            audience: options.audience,
            clock,
        })
    }

    /// `iss` of its tokens: its base URL.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.server.base_url()
    }

    /// `aud` of its tokens.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Where its public keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}{JWKS}", self.server.base_url())
    }

    /// The faults it makes.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// What `GET /__state` answers: the key ids and the requests. No secrets.
    #[must_use]
    pub fn state(&self) -> Value {
        self.server.state()
    }

    /// Signs a token with the current key.
    ///
    /// # Errors
    /// [`Error::Encode`] if it can't be signed.
    pub fn mint(&self, claims: &Claims) -> Result<SecretString, Error> {
        let now = self.clock.unix_seconds();
        let usual = [
            ("iss", json!(self.issuer())),
            ("aud", json!(self.audience)),
            ("sub", json!(claims.subject)),
            ("roles", json!(claims.roles)),
            ("iat", json!(now)),
            ("nbf", json!(now)),
            ("exp", json!(now.saturating_add(claims.ttl.as_secs()))),
            ("jti", json!(self.keys.random.uuid().to_string())),
        ];
        let mut payload: Map<String, Value> = usual
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        payload.extend(claims.extra.clone());
        payload.retain(|_, value| !value.is_null());

        let ring = self.keys.ring();
        let header = Header {
            kid: ring.current.public.common.key_id.clone(),
            ..Header::new(Algorithm::ES256)
        };
        Ok(encode(&header, &payload, &ring.current.private)?.into())
    }

    /// Signs with a new key from now on. The old public keys stay published.
    ///
    /// # Errors
    /// [`Error`] if no key can be made.
    pub fn rotate(&self) -> Result<(), Error> {
        let next = SigningKey::generate(&self.keys.random)?;
        let mut ring = self.keys.ring();
        ring.published.push(next.public.clone());
        ring.current = next;
        Ok(())
    }

    /// Publishes the current key alone from now on.
    pub fn retire_old_keys(&self) {
        let mut ring = self.keys.ring();
        ring.published = vec![ring.current.public.clone()];
    }
}

/// The keys, as the routes see them.
struct Keys {
    base_url: OnceLock<String>,
    random: Random,
    ring: Mutex<Ring>,
}

struct Ring {
    current: SigningKey,
    published: Vec<Jwk>,
}

struct SigningKey {
    private: EncodingKey,
    public: Jwk,
}

impl SigningKey {
    fn generate(random: &Random) -> Result<Self, Error> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let private = EncodingKey::from_ec_der(pair.to_pkcs8v1()?.as_ref());
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
        public.common.key_id = Some(random.uuid().to_string());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { private, public })
    }
}

impl Keys {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base_url(&self) -> &str {
        self.base_url.get().map_or("", String::as_str)
    }
}

impl Vendor for Keys {
    fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route(JWKS, get(jwks))
            .route(DISCOVERY, get(discovery))
            .with_state(self)
    }

    fn credentials(&self, _: &HeaderMap) -> Vec<(&'static str, Verdict)> {
        Vec::new()
    }

    fn state(&self) -> Map<String, Value> {
        let ring = self.ring();
        let published: Vec<_> = ring
            .published
            .iter()
            .map(|key| &key.common.key_id)
            .collect();
        Map::from_iter([
            ("issuer".to_owned(), json!(self.base_url())),
            (
                "current".to_owned(),
                json!(ring.current.public.common.key_id),
            ),
            ("published".to_owned(), json!(published)),
        ])
    }
}

async fn jwks(State(keys): State<Arc<Keys>>) -> Json<JwkSet> {
    let published = keys.ring().published.clone();
    Json(JwkSet { keys: published })
}

async fn discovery(State(keys): State<Arc<Keys>>) -> Json<Value> {
    let issuer = keys.base_url();
    Json(json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{JWKS}"),
        "id_token_signing_alg_values_supported": ["ES256"],
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
    }))
}
