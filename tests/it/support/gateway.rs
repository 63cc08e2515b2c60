//! The program under test: `keygate sandbox` or `keygate serve`, started as a
//! user would, on ports that the system chooses.

mod client;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::OnceLock,
    time::Duration,
};

use prost_reflect::{DescriptorPool, MethodDescriptor};
use serde_json::Value as Json;
use tempfile::TempDir;

use keygate::contract::{Contract, DESCRIPTOR_SET};

use super::program::{keygate, run_with, signal, told};

pub(crate) use client::{Answer, Client};

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
        Self::start_in(arguments, Vec::new())
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_in(arguments: &[&str], environment: Vec<(&str, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let child = keygate(arguments)
            .envs(environment)
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

    /// Asks it to end as an operator would (SIGTERM).
    pub(crate) fn ask_to_end(&self) {
        signal(self.id(), "TERM");
    }

    /// The same, and waits. Its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.ask_to_end();
        self.wait()
    }

    /// Asks it to read everything anew (SIGHUP).
    pub(crate) fn hang_up(&self) {
        signal(self.id(), "HUP");
    }

    /// Waits until it has ended. Its exit code, if it was not killed.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Ends it as nothing can be prepared for (SIGKILL), and waits.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().unwrap().map(|it| it.code())
    }

    /// What it has logged.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// What it prints, to the first line that is the last one of interest.
    pub(crate) fn printed(&mut self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let out = self.child.stdout.take().unwrap();
        let mut out = BufReader::new(out);
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|it: &String| is_last(it)) {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            assert!(!line.is_empty(), "it did not start: {}", self.logged());
            lines.push(line.trim_end().to_owned());
        }
        // whatever comes later is read, so that it never waits for a reader
        std::thread::Builder::new()
            .spawn(move || out.read_to_end(&mut Vec::new()))
            .unwrap();
        lines
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
        let summary = serde_json::from_str(&process.printed(|_| true)[0]).unwrap();
        Self {
            _process: process,
            summary,
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.summary.pointer(pointer).unwrap().as_str().unwrap()
    }

    /// What it told of itself.
    pub(crate) fn summary(&self) -> &Json {
        &self.summary
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

    /// The service account of a simulated vendor that is there from the start.
    pub(crate) fn service_account(&self, upstream: &str) -> &str {
        self.summary["service_accounts"][upstream].as_str().unwrap()
    }

    /// What a simulated vendor tells with its master credentials: the id of
    /// Coveo's organization.
    pub(crate) fn master(&self, upstream: &str, member: &str) -> &str {
        self.summary["masters"][upstream][member].as_str().unwrap()
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
    listed(config, filter, "")
}

/// Those of them that hold a secret.
pub(crate) fn records_about(config: &Path, secret: &str) -> Vec<Json> {
    listed(config, &["--secret", "-"], secret)
}

fn listed(config: &Path, filter: &[&str], input: &str) -> Vec<Json> {
    let mut list = keygate(["audit", "list", "--json", "--oldest", "--limit", "1000000"]);
    list.arg("--config").arg(config).args(filter);
    let output = run_with(&mut list, input.as_bytes());
    let (records, errors) = told(&output);
    assert!(output.status.success(), "{errors}");
    let records = records.lines().map(|it| serde_json::from_str(it).unwrap());
    records.collect()
}

/// Whether a record ends its call: neither an intent does, nor what was found out
/// later.
pub(crate) fn is_terminal(record: &Json) -> bool {
    record["kind"] != "intent" && record["kind"] != "reconciled"
}

/// The table of operations.
pub(crate) fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::load().unwrap())
}

/// Every method of the contract, by its full name.
pub(crate) fn methods() -> Vec<String> {
    let operations = contract().operations().iter();
    operations.map(|it| it.method.clone()).collect()
}

/// The method of a full name: `keygate.datadog.v2.ApiKeyService/ListApiKeys`.
pub(crate) fn method(name: &str) -> MethodDescriptor {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| DescriptorPool::decode(DESCRIPTOR_SET).unwrap());
    let (service, rpc) = name.split_once('/').unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    service.methods().find(|it| it.name() == rpc).unwrap()
}
