//! The program under test: `keygate serve` before simulators in the test, with
//! places for what a usual one is no good for.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use keygate::{clock::Clock, sandbox::issuer::Claims};
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use serde_json::Value as Json;
use tokio::net::TcpSocket;
use tonic::Request;

use super::{
    condition::{Condition, request_id},
    method::Method,
};
use crate::support::{
    gateway::{Client, records},
    served::{MAIN, SANDBOX_POLICY, Served, target},
    upstreams::{Place, inject},
    vendors,
};

/// A place at which nobody can be reached.
const NOWHERE: &str = "nowhere";
/// One whose requests are given up early.
pub(super) const BRIEF: &str = "brief";

/// A key that there is not.
pub(super) const NO_KEY: &str = "00000000-0000-4000-8000-000000000000";

/// A caller's deadline; some of it is kept for the record.
const DEADLINE: Duration = Duration::from_secs(3);

/// The largest message that is taken, as configured.
const MOST: usize = 1 << 16;

pub(super) struct Bench {
    pub(super) served: Served,
    pub(super) client: Client,
    admin: String,
    operator: String,
    nobody: String,
    expired: String,
    /// The keys of calls whose quota was used up, by their methods.
    known: HashMap<String, String>,
    /// Its port is taken, and nobody listens there.
    _nowhere: TcpSocket,
}

impl Bench {
    pub(super) async fn start(methods: &[Method]) -> Self {
        Self::with_policy(SANDBOX_POLICY, methods).await
    }

    pub(super) async fn with_policy(policy: &str, methods: &[Method]) -> Self {
        let nowhere = TcpSocket::new_v4().unwrap();
        nowhere.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = nowhere.local_addr().unwrap();
        let mut places = Vec::new();
        for vendor in vendors::ALL {
            let place = |name: &str| Place::new(vendor, name);
            places.push(place(MAIN));
            places.push(place(NOWHERE).elsewhere(&format!("http://{address}")));
            places.push(place(BRIEF).with("timeout = \"2s\""));
            // a quota that is used up is so for all that it was named for: each
            // method on a route gets a place of its own
            let most = methods.iter().map(|it| it.turn).max().unwrap();
            for condition in [Condition::RateLimited, Condition::RateLimitedUntil] {
                places.extend((0..=most).map(|turn| place(&quota(condition, turn))));
            }
        }
        let server = format!("conclude_reserve = \"1s\"\nmax_message_bytes = {MOST}");
        let log = "[log]\nlevel = \"info\"\n";
        let served = Served::configured(policy, places, &server, log).await;
        let mut late = Claims::new("too-late", &["admin"]);
        let past = Clock::system().unix_seconds() - 3600;
        late.extra.insert("exp".to_owned(), past.into());
        Self {
            client: served.client(),
            admin: served.token("admin", &["admin"]),
            operator: served.token("operator", &["operator"]),
            nobody: served.token("nobody", &[]),
            expired: served.setup.mint(&late),
            known: HashMap::new(),
            served,
            _nowhere: nowhere,
        }
    }

    /// Makes the simulators do this to every request on these methods' routes,
    /// and nothing else.
    pub(super) fn fault<'a>(
        &self,
        methods: impl IntoIterator<Item = &'a Method>,
        rule: impl Fn(&Method) -> Option<Json>,
    ) {
        self.served.upstreams.clear();
        for method in methods {
            let (Some(vendor), Some(route)) = (method.vendor, &method.route) else {
                continue;
            };
            let Some(mut rule) = rule(method) else {
                continue;
            };
            if rule.get("route").is_none() {
                rule["route"] = route.as_str().into();
            }
            for (place, simulator) in self.served.upstreams.all() {
                if place.vendor.name == vendor.name {
                    inject(simulator, rule.clone());
                }
            }
        }
    }

    /// The methods of the requests that the simulators received and that such a
    /// fault hit: `POST`.
    pub(super) fn hit_by(&self, fault: &str) -> Vec<String> {
        let requests = self.served.upstreams.requests().into_iter();
        let hit = requests.filter(|it| it["fault"] == fault);
        hit.map(|it| it["method"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The call of a cell.
    pub(super) async fn prepare(
        &mut self,
        method: &Method,
        condition: Condition,
    ) -> Request<Bytes> {
        let place = match condition {
            Condition::NotConfigured => "unheard-of".to_owned(),
            Condition::ConnectionRefused => NOWHERE.to_owned(),
            Condition::RateLimited | Condition::QuotaKnown => {
                quota(Condition::RateLimited, method.turn)
            }
            Condition::RateLimitedUntil => quota(condition, method.turn),
            _ => MAIN.to_owned(),
        };
        let id = match condition {
            // nobody can make another one there now
            Condition::QuotaKnown if method.reads_first() => self.known[&method.name].clone(),
            _ if condition.needs_a_key(method) => self.key(method, &place).await,
            _ => NO_KEY.to_owned(),
        };
        if condition == Condition::RateLimited {
            self.known.insert(method.name.clone(), id.clone());
        }
        let mut message = self.message(method, &id, &place);
        match condition {
            Condition::InvalidRequest => {
                method.spoil(&mut message);
            }
            // as somebody else
            Condition::Denied => {
                if let Some(field) = message.descriptor().get_field_by_name("subject") {
                    message.set_field(&field, Value::default_value_for_field(&field));
                }
            }
            _ => {}
        }
        let bytes = match condition {
            Condition::Undecodable => Bytes::from_static(&[0xff; 12]),
            Condition::TooLarge => vec![0; MOST + 1].into(),
            _ => message.encode_to_vec().into(),
        };
        let token = match condition {
            Condition::TokenMissing => None,
            Condition::TokenInvalid => Some("not.a.token"),
            Condition::TokenExpired => Some(self.expired.as_str()),
            Condition::Denied => Some(self.nobody.as_str()),
            _ => Some(self.admin.as_str()),
        };
        let mut request = call(bytes, token, &request_id(condition, method));
        if condition == Condition::Timeout {
            request.set_timeout(DEADLINE);
        }
        request
    }

    /// A call that nothing is wrong with.
    pub(super) fn call(
        &self,
        method: &Method,
        id: &str,
        place: &str,
        request_id: &str,
    ) -> Request<Bytes> {
        let message = self.message(method, id, place).encode_to_vec();
        call(message.into(), Some(&self.admin), request_id)
    }

    /// The same by another, whose role is `operator`.
    pub(super) fn call_of_operator(
        &self,
        method: &Method,
        id: &str,
        request_id: &str,
    ) -> Request<Bytes> {
        let message = self.message(method, id, MAIN).encode_to_vec();
        call(message.into(), Some(&self.operator), request_id)
    }

    fn message(&self, method: &Method, id: &str, place: &str) -> DynamicMessage {
        self.client.request_at(&method.name, id, place)
    }

    /// What the method can be called on; empty if it takes nothing.
    pub(super) async fn key(&self, method: &Method, place: &str) -> String {
        target(&self.client, &method.name, &self.admin, place).await
    }

    /// Ends the gateway, which writes whatever is still to be written, and
    /// returns all that it has recorded.
    pub(super) async fn end(self) -> Vec<Json> {
        let Self {
            mut served, client, ..
        } = self;
        // clients' connections, which are here, are to be closed meanwhile
        drop(client);
        let ended = tokio::task::spawn_blocking(move || {
            assert_eq!(served.gateway.process.terminate(), Some(0));
            records(&served.setup.config(), &[])
        });
        ended.await.unwrap()
    }
}

/// A call with a request id of its own.
pub(super) fn call(message: Bytes, token: Option<&str>, request_id: &str) -> Request<Bytes> {
    let mut call = Request::new(message);
    let metadata = call.metadata_mut();
    metadata.insert("x-request-id", request_id.parse().unwrap());
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        metadata.insert("authorization", value);
    }
    call
}

/// The place whose quota such calls use up.
fn quota(condition: Condition, turn: usize) -> String {
    format!("{condition:?}-{turn}")
}
