//! The program under test: `keygate serve` before the simulators of a sandbox,
//! with organizations for what a sandbox has none.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use keygate::{
    clock::Clock,
    random::Random,
    sandbox::issuer::{Claims, Issuer, Options},
    tasks::Tasks,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;
use tokio::net::TcpSocket;
use tonic::Request;

use super::{
    condition::{Condition, request_id},
    method::Method,
};
use crate::support::{
    gateway::{Client, Sandbox, records},
    http::Http,
    serve::Gateway,
};

/// An organization that nobody can be reached for.
const NOWHERE: &str = "nowhere";
/// One whose requests are given up early.
pub(super) const BRIEF: &str = "brief";

/// A key that there is not.
pub(super) const NO_KEY: &str = "00000000-0000-4000-8000-000000000000";

/// A caller's deadline; some of it is kept for the record.
const DEADLINE: Duration = Duration::from_secs(3);

/// The largest message that is taken, as configured.
const MOST: usize = 1 << 16;

/// The site that all of this is about.
const SITE: &str = "datadog/us1";

pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    pub(super) config: PathBuf,
    serve: Gateway,
    pub(super) client: Client,
    control: Http,
    expired: String,
    /// Its port is taken, and nobody listens there.
    _nowhere: TcpSocket,
    /// The issuer of expired tokens.
    _tasks: Tasks,
}

impl Bench {
    pub(super) async fn start() -> Self {
        let sandbox = Sandbox::start();
        let nowhere = TcpSocket::new_v4().unwrap();
        nowhere.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = nowhere.local_addr().unwrap();

        let tasks = Tasks::new();
        let (clock, random) = (Clock::system(), Random::system());
        let issuer = Issuer::start(Options::default(), clock.clone(), random, &tasks);
        let issuer = issuer.await.unwrap();
        let mut claims = Claims::new("too-late", &["admin"]);
        let past = clock.unix_seconds() - 3600;
        claims.extra.insert("exp".to_owned(), past.into());
        let expired = issuer.mint(&claims).unwrap().expose_secret().to_owned();

        let mut more = format!(
            "
[[auth.issuers]]
issuer = \"{}\"
audiences = [\"{}\"]
jwks = \"{}\"
",
            issuer.issuer(),
            issuer.audience(),
            issuer.jwks_url()
        );
        more += &org(NOWHERE, &format!("http://{address}"), "10s");
        more += &org(BRIEF, sandbox.upstream(SITE), "2s");
        // a quota is shared by all of an organization: each route gets one of its own
        for condition in [Condition::RateLimited, Condition::RateLimitedUntil] {
            for effect in ["read", "reveal", "create", "update", "delete"] {
                more += &org(&quota(condition, effect), sandbox.upstream(SITE), "10s");
            }
        }
        let config = configuration(&sandbox, "table", &more);
        let serve = Gateway::start(&config).await;
        Self {
            client: serve.client(),
            control: Http::new(sandbox.upstream(SITE), vec![]),
            expired,
            serve,
            config,
            sandbox,
            _nowhere: nowhere,
            _tasks: tasks,
        }
    }

    /// Makes the simulator do this to every request, and nothing else.
    pub(super) async fn fault(&self, rule: Option<Json>) {
        assert_eq!(self.control.delete("/__faults").await.status, 204);
        if let Some(rule) = rule {
            let answer = self.control.post("/__faults", &rule).await;
            assert_eq!(answer.status, 201, "{rule}");
        }
    }

    /// The methods of the requests that the simulator received and that such a
    /// fault hit: `POST`.
    pub(super) async fn hit_by(&self, fault: &str) -> Vec<String> {
        let state = self.control.get("/__state").await.json();
        let requests = state["requests"].as_array().unwrap().iter();
        let hit = requests.filter(|it| it["fault"] == fault);
        hit.map(|it| it["method"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The call of a cell.
    pub(super) async fn prepare<'a>(
        &self,
        method: &'a Method,
        condition: Condition,
    ) -> (&'a str, Request<Bytes>) {
        let id = if condition.needs_a_key() {
            self.key(method).await
        } else {
            NO_KEY.to_owned()
        };
        let org = match condition {
            Condition::NotConfigured => "unheard-of".to_owned(),
            Condition::ConnectionRefused => NOWHERE.to_owned(),
            Condition::RateLimited | Condition::QuotaKnown => {
                quota(Condition::RateLimited, method.effect)
            }
            Condition::RateLimitedUntil => quota(condition, method.effect),
            _ => "main".to_owned(),
        };
        let mut message = self.message(method, &id, &org);
        match condition {
            Condition::InvalidRequest => {
                message.clear_field_by_name("site");
                message.clear_field_by_name("method");
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
            Condition::Denied => Some(self.sandbox.token("nobody")),
            _ => Some(self.sandbox.token("admin")),
        };
        let mut request = call(bytes, token, &request_id(condition, method));
        if condition == Condition::Timeout {
            request.set_timeout(DEADLINE);
        }
        (&method.name, request)
    }

    /// Ends it, and returns all that it has recorded.
    pub(super) async fn end(self) -> Vec<Json> {
        let Self { serve, config, .. } = self;
        end(serve, config).await
    }

    /// A request that nothing is wrong with.
    pub(super) fn message(&self, method: &Method, id: &str, org: &str) -> DynamicMessage {
        let mut message = self.client.request(&method.name, id);
        if let Some(field) = message.descriptor().get_field_by_name("org") {
            message.set_field(&field, Value::String(org.to_owned()));
        }
        message
    }

    /// The id of a key that the method can be called with; empty if it takes none.
    pub(super) async fn key(&self, method: &Method) -> String {
        const V2: &str = "keygate.datadog.v2.";
        let input = self.client.method(&method.name).input();
        let takes = |field| input.get_field_by_name(field).is_some();
        let maker = if takes("api_key_id") {
            "ApiKeyService/CreateApiKey"
        } else if takes("app_key_id") {
            "CurrentUserApplicationKeyService/CreateCurrentUserApplicationKey"
        } else if takes("token_id") {
            "PersonalAccessTokenService/CreatePersonalAccessToken"
        } else {
            let ids = input.fields().find(|it| it.name().ends_with("_id"));
            assert!(ids.is_none(), "{}: say how to make one", method.name);
            return String::new();
        };
        assert!(
            method.name.starts_with(V2),
            "{}: say how to make one",
            method.name
        );
        let maker = Method {
            name: format!("{V2}{maker}"),
            ..method.clone()
        };
        let message = self.message(&maker, "", "main");
        let token = Some(self.sandbox.token("admin"));
        let response = self.client.call(&maker.name, token, &message).await.ok();
        let made = response.fields().find_map(|(_, value)| {
            let id = value.as_message()?.get_field_by_name("id")?;
            id.as_str().map(str::to_owned)
        });
        made.unwrap()
    }
}

/// Ends a gateway, which writes whatever is still to be written, and returns all
/// that it has recorded.
pub(super) async fn end(mut gateway: Gateway, config: PathBuf) -> Vec<Json> {
    // clients' connections, which are here, are to be closed meanwhile
    let ended = tokio::task::spawn_blocking(move || {
        assert_eq!(gateway.process.terminate(), Some(0));
        records(&config, &[])
    });
    ended.await.unwrap()
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

/// The organization whose quota such calls use up.
fn quota(condition: Condition, effect: &str) -> String {
    format!("{condition:?}-{effect}")
}

/// A sandbox's configuration with a trail of its own, and more.
pub(super) fn configuration(sandbox: &Sandbox, name: &str, more: &str) -> PathBuf {
    let mut text = fs::read_to_string(sandbox.config()).unwrap();
    let server = format!("[server]\nconclude_reserve = \"1s\"\nmax_message_bytes = {MOST}");
    for (old, new) in [
        ("[server]", server),
        ("sqlite:trail.db", format!("sqlite:{name}.db")),
        ("level = \"warn\"", "level = \"info\"".to_owned()),
    ] {
        assert!(text.contains(old), "{text}");
        text = text.replace(old, &new);
    }
    let path = sandbox.data_dir().join(format!("{name}.toml"));
    fs::write(&path, text + more).unwrap();
    path
}

fn org(name: &str, base_url: &str, timeout: &str) -> String {
    format!(
        "
[[datadog]]
site = \"us1\"
org = \"{name}\"
base_url = \"{base_url}\"
timeout = \"{timeout}\"
api_key = {{ file = \"secrets/us1-api-key\" }}
app_key = {{ file = \"secrets/us1-app-key\" }}
"
    )
}
