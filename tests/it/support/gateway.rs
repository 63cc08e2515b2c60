//! The program under test: `keygate sandbox` or `keygate serve`, started as a
//! user would, on ports that the system chooses.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr as _,
    time::Duration,
};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage as _, Value};
use serde_json::Value as Json;
use tempfile::TempDir;
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tonic_types::{ErrorDetails, StatusExt};

use keygate::contract::{Contract, DESCRIPTOR_SET};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running sandbox. It ends when it is dropped.
pub(crate) struct Sandbox {
    _process: Process,
    summary: Json,
}

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it writes its logs.
    pub(crate) log: PathBuf,
    _folder: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts keygate; its standard error goes into a file.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_keygate"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            _folder: folder,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end as an operator would (SIGTERM), and waits. Its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.id().to_string();
        let sent = Command::new("kill").arg(&pid).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|it| it.code())
    }

    /// What it has logged.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn first_line(&mut self) -> String {
        let mut line = String::new();
        let out = self.child.stdout.take().unwrap();
        let mut out = BufReader::new(out);
        out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it did not start: {}", self.logged());
        // whatever comes later is read, so that it never waits for a reader
        std::thread::Builder::new()
            .spawn(move || out.read_to_end(&mut Vec::new()))
            .unwrap();
        line
    }
}

impl Sandbox {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts one with further arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap().keep();
        let mut all = vec!["sandbox", "--json", "--grpc", "127.0.0.1:0"];
        all.extend([
            "--http",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ]);
        all.extend(arguments);
        let mut process = Process::start(&all);
        let summary = serde_json::from_str(&process.first_line()).unwrap();
        Self {
            _process: process,
            summary,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.summary.pointer(pointer).unwrap().as_str().unwrap()
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        self.text("/grpc").parse().unwrap()
    }

    pub(crate) fn data_dir(&self) -> &Path {
        Path::new(self.text("/data_dir"))
    }

    pub(crate) fn config(&self) -> &Path {
        Path::new(self.text("/config"))
    }

    pub(crate) fn token(&self, role: &str) -> &str {
        self.text(&format!("/tokens/{role}"))
    }

    /// The base URL of a simulated vendor, by its name: `datadog/us1`.
    pub(crate) fn upstream(&self, name: &str) -> &str {
        self.summary["upstreams"][name].as_str().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.grpc())
    }

    /// The records of its trail, oldest first, as `keygate audit list` tells.
    pub(crate) fn records(&self, filter: &[&str]) -> Vec<Json> {
        records(self.config(), filter)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // the folder was made for this sandbox alone
        let _ = fs::remove_dir_all(self.data_dir());
    }
}

/// The records of a trail, oldest first, as `keygate audit list` tells.
pub(crate) fn records(config: &Path, filter: &[&str]) -> Vec<Json> {
    let output = Command::new(env!("CARGO_BIN_EXE_keygate"))
        .args(["audit", "list", "--json", "--oldest", "--limit", "1000000"])
        .args(["--config", config.to_str().unwrap()])
        .args(filter)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect()
}

/// A client that calls any method of the contract by its name, with messages
/// built from the descriptor alone.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    pool: DescriptorPool,
}

/// What came of a call.
pub(crate) struct Answer {
    /// The response, or the status.
    pub(crate) result: Result<DynamicMessage, Status>,
    /// The request id that came back, if the call got that far.
    pub(crate) request_id: Option<String>,
}

impl Answer {
    /// The `ErrorInfo.reason`; empty if the call succeeded or tells none.
    pub(crate) fn reason(&self) -> String {
        self.details()
            .and_then(|it| it.error_info().map(|it| it.reason.clone()))
            .unwrap_or_default()
    }

    pub(crate) fn details(&self) -> Option<ErrorDetails> {
        self.result.as_ref().err().map(StatusExt::get_error_details)
    }

    /// The code's name as the trail has it: `OK`, `PERMISSION_DENIED`.
    pub(crate) fn code(&self) -> &'static str {
        let code = self
            .result
            .as_ref()
            .err()
            .map_or(tonic::Code::Ok, Status::code);
        keygate::status::code_name(code)
    }

    #[track_caller]
    pub(crate) fn ok(self) -> DynamicMessage {
        self.result.unwrap()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_str(&format!("http://{address}")).unwrap();
        Self {
            channel: endpoint.connect_lazy(),
            pool: DescriptorPool::decode(DESCRIPTOR_SET).unwrap(),
        }
    }

    /// The method of a full name: `keygate.datadog.v2.ApiKeyService/ListApiKeys`.
    pub(crate) fn method(&self, name: &str) -> MethodDescriptor {
        let (service, rpc) = name.split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|it| it.name() == rpc).unwrap()
    }

    /// A request that the gateway finds no fault with: US1, and where the method
    /// takes one, this id.
    pub(crate) fn request(&self, name: &str, id: &str) -> DynamicMessage {
        const YEAR: u64 = 365 * 24 * 60 * 60;
        let mut request = DynamicMessage::new(self.method(name).input());
        let fields: Vec<_> = request.descriptor().fields().collect();
        for field in fields {
            let value = match field.name() {
                "site" => Value::EnumNumber(1),
                "api_key_id" | "app_key_id" | "token_id" => Value::String(id.to_owned()),
                "name" => Value::String("a key of the tests".to_owned()),
                "method" => Value::String("keygate.access.v1.AccessService/WhoAmI".to_owned()),
                "expires_at" => {
                    let kind = field.kind();
                    let mut time = DynamicMessage::new(kind.as_message().unwrap().clone());
                    let now = keygate::clock::Clock::system().unix_seconds();
                    let end = i64::try_from(now + YEAR).unwrap();
                    time.set_field_by_name("seconds", Value::I64(end));
                    Value::Message(time)
                }
                "scopes" if field.is_list() => {
                    Value::List(vec![Value::String("dashboards_read".to_owned())])
                }
                _ => continue,
            };
            request.set_field(&field, value);
        }
        request
    }

    /// Calls a method.
    pub(crate) async fn call(
        &self,
        name: &str,
        token: Option<&str>,
        request: &DynamicMessage,
    ) -> Answer {
        let mut call = Request::new(Bytes::from(request.encode_to_vec()));
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            call.metadata_mut().insert("authorization", value);
        }
        self.send(name, call).await
    }

    /// Calls a method with a request that is bytes, and metadata, of one's own.
    pub(crate) async fn send(&self, name: &str, call: Request<Bytes>) -> Answer {
        let output = self.method(name).output();
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = format!("/{name}").parse().unwrap();
        let result = tokio::time::timeout(PATIENCE, grpc.unary(call, path, Raw))
            .await
            .expect("a call hangs");
        let metadata = match &result {
            Ok(response) => response.metadata(),
            Err(status) => status.metadata(),
        };
        let request_id = metadata
            .get("x-request-id")
            .map(|it| it.to_str().unwrap().to_owned());
        let result = result.map(|it| DynamicMessage::decode(output, it.into_inner()).unwrap());
        Answer { result, request_id }
    }
}

/// Every method of the contract, by its full name.
pub(crate) fn methods() -> Vec<String> {
    let contract = Contract::load().unwrap();
    let operations = contract.operations().iter();
    operations.map(|it| it.method.clone()).collect()
}

/// A message as its bytes.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
