//! What the tests of streams have to know of each of them.

use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use secrecy::ExposeSecret as _;
use serde_json::Value as Json;
use tokio::task::JoinSet;

use crate::support::{
    gateway::{Client, contract, method},
    served::{MAIN, Served, id, text},
    upstreams::requests,
    vendors::{self, SERVICE_ACCOUNT, Simulator, Source, Vendor},
};

/// A method that streams a list.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Its full name.
    pub(super) method: String,
}

impl Stream {
    pub(super) fn new(method: String) -> Self {
        Self { method }
    }

    /// The key or token in a message.
    fn key(&self, message: &DynamicMessage) -> DynamicMessage {
        let field = message.descriptor().get_field(1).unwrap();
        let value = message.get_field(&field);
        value.as_message().unwrap().clone()
    }

    pub(super) fn id(&self, message: &DynamicMessage) -> String {
        let key = self.key(message);
        let id = key.get_field_by_name("id").unwrap();
        id.as_str().unwrap().to_owned()
    }

    /// When it was made: seconds and nanoseconds.
    pub(super) fn time(&self, message: &DynamicMessage) -> (i64, i32) {
        let key = self.key(message);
        let names = ["created_at", "created"];
        let name = names.into_iter().find(|it| key.has_field_by_name(it));
        let time = key.get_field_by_name(name.unwrap()).unwrap().into_owned();
        let time = time.as_message().unwrap();
        let number = |name| time.get_field_by_name(name).unwrap();
        let nanos = number("nanos").as_i32().unwrap();
        (number("seconds").as_i64().unwrap(), nanos)
    }

    /// Its route upstream: `GET /api/v2/api_keys`.
    fn route(&self) -> (&'static str, &'static str) {
        let route = contract().operation(&self.method).unwrap().route.as_deref();
        route.unwrap().split_once(' ').unwrap()
    }

    pub(super) fn simulator<'a>(&self, served: &'a Served) -> &'a dyn Simulator {
        let vendor = Vendor::of(&self.method).unwrap();
        served.upstreams.at(&vendor.upstream(vendor.region, MAIN))
    }

    /// How many pages upstream was asked for.
    pub(super) fn pages(&self, served: &Served) -> usize {
        let (verb, route) = self.route();
        let requests = requests(self.simulator(served)).into_iter();
        let pages = requests.filter(|it| it["method"] == verb && it["route"] == route);
        pages.count()
    }

    /// The method of the same service that begins with this verb and is about what
    /// is streamed.
    fn sibling(&self, verbs: &[&str]) -> Option<String> {
        let (service, rpc) = self.method.split_once('/').unwrap();
        let singular = rpc
            .strip_prefix("Stream")
            .unwrap()
            .strip_suffix('s')
            .unwrap();
        let names = verbs
            .iter()
            .map(|verb| format!("{service}/{verb}{singular}"));
        let mut names = names.filter(|it| {
            contract()
                .operation(it)
                .is_some_and(|it| it.route.is_some())
        });
        names.next()
    }

    /// The method that makes what is streamed, or else the one that lists what is
    /// there already.
    fn source(&self) -> Source {
        match self.sibling(&["Create"]) {
            Some(maker) => Source::Made(maker.leak()),
            None => vendors::key(&method(&self.remover())).unwrap().source,
        }
    }

    fn remover(&self) -> String {
        self.sibling(&["Delete", "Revoke"]).unwrap()
    }

    /// Removes these.
    pub(super) async fn remove(&self, client: &Client, token: &str, ids: &[String]) {
        let remover = self.remover();
        for id in ids {
            let request = client.request(&remover, id);
            let answer = client.call(&remover, Some(token), &request).await;
            answer.result.unwrap();
        }
    }
}

/// Makes that many, at once, or finds those that are there. Their ids.
pub(super) async fn make(
    client: &Client,
    stream: &Stream,
    token: &str,
    count: usize,
) -> Vec<String> {
    let maker = match stream.source() {
        Source::Made(maker) => maker,
        Source::Listed(list) => return listed(client, list, token).await,
    };
    let mut calls = JoinSet::new();
    for number in 0..count {
        let (client, token) = (client.clone(), token.to_owned());
        calls.spawn(async move {
            let request = named(&client, maker, number);
            id(client.call(maker, Some(&token), &request).await)
        });
    }
    calls.join_all().await
}

async fn listed(client: &Client, list: &str, token: &str) -> Vec<String> {
    let mut request = client.request(list, "");
    request.set_field_by_name("limit", Value::I32(1000));
    let page = client.call(list, Some(token), &request).await.ok();
    let keys = page.get_field_by_name("api_keys").unwrap();
    let keys = keys.as_list().unwrap().iter();
    keys.map(|it| text(it.as_message().unwrap(), "id"))
        .collect()
}

/// Makes that many, one after the other; none where nobody can.
pub(super) async fn make_in_order(
    client: &Client,
    stream: &Stream,
    token: &str,
    count: usize,
) -> Vec<String> {
    let mut made = Vec::new();
    if let Source::Made(maker) = stream.source() {
        for number in 0..count {
            let request = named(client, maker, number);
            made.push(id(client.call(maker, Some(token), &request).await));
        }
    }
    made
}

/// A request for something with a long name, within every role's ceiling.
fn named(client: &Client, maker: &str, number: usize) -> DynamicMessage {
    let mut request = client.request(maker, "");
    let name = format!("{number} {}", "long ".repeat(180));
    request.set_field_by_name("name", Value::String(name));
    if let Some(field) = request.descriptor().get_field_by_name("scopes")
        && let Some(scopes) = field.kind().as_message()
    {
        let mut scopes = DynamicMessage::new(scopes.clone());
        let values = vec![Value::String("dashboards_read".to_owned())];
        scopes.set_field_by_name("values", Value::List(values));
        request.set_field(&field, Value::Message(scopes));
    }
    request
}

/// How many upstream lists now.
pub(super) fn total(served: &Served, stream: &Stream) -> usize {
    let state = stream.simulator(served).state();
    let masters = stream.simulator(served).masters();
    let (_, route) = stream.route();
    let member = route.rsplit('/').next().unwrap();
    let member = match member {
        "personal_access_tokens" => "access_tokens",
        "api_key" => "api_keys",
        "service_token" => "service_tokens",
        member => member,
    };
    let of_account = route.contains("service_account_id");
    let all = state[member].as_array().unwrap().iter();
    let all = all.filter(|it| !of_account || it["owned_by"] == SERVICE_ACCOUNT);
    // the gateway's own are nobody's
    let is_own = |it: &Json| masters.iter().any(|own| it["key"] == own.expose_secret());
    all.filter(|it| it["revoked"] != true && !is_own(it))
        .count()
}
