//! The trail as evidence: what callers and auditors hold in their hands, checked
//! without the gateway.

mod published;
mod receipts;
mod tampered;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::support::{
    gateway::Answer,
    program::{all_told, run},
    python,
    serve::until,
    served::{SANDBOX_POLICY, Served, target},
    upstreams::Place,
};

const CREATE: &str = "keygate.datadog.v2.ApiKeyService/CreateApiKey";
const DELETE: &str = "keygate.datadog.v2.ApiKeyService/DeleteApiKey";
const LIST: &str = "keygate.datadog.v2.ApiKeyService/ListApiKeys";

/// A gateway, and what was kept of its answers.
struct Stage {
    served: Served,
    kept: TempDir,
    receipts: Vec<PathBuf>,
}

impl Stage {
    async fn new() -> Self {
        Self {
            served: Served::start(SANDBOX_POLICY, Place::everywhere("main"), "info").await,
            kept: tempfile::tempdir().unwrap(),
            receipts: Vec::new(),
        }
    }

    fn folder(&self) -> &Path {
        self.served.setup.folder.path()
    }

    fn trail(&self) -> PathBuf {
        self.folder().join("trail.db")
    }

    /// The public key, as an operator hands it out.
    fn key(&self) -> PathBuf {
        let path = self.kept.path().join("trail.pub");
        let signing_key = self.folder().join("signing.pem");
        let printed = audit(&["key", "--signing-key", signing_key.to_str().unwrap()]);
        fs::write(&path, printed.stdout).unwrap();
        path
    }

    /// Calls a method on something that it can be called on, and keeps its receipts.
    async fn call(&mut self, method: &str) -> Answer {
        let (client, token) = (self.served.client(), self.served.token("kim", &["admin"]));
        let target = target(&client, method, &token, "main").await;
        let request = client.request(method, &target);
        let answer = client.call(method, Some(&token), &request).await;
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        for receipt in &answer.receipts {
            let name = format!("receipt-{}", self.receipts.len());
            let path = self.kept.path().join(name);
            fs::write(&path, receipt).unwrap();
            self.receipts.push(path);
        }
    }

    /// Ends the gateway in good order: the trail is one file, and its last
    /// checkpoint covers all of it.
    fn end(&mut self) {
        let code = self.served.gateway.process.terminate();
        assert_eq!(code, Some(0), "{}", self.served.gateway.process.logged());
    }

    fn verify(&self, more: &[&str]) -> Output {
        let (store, key) = (format!("sqlite:{}", self.trail().display()), self.key());
        let mut arguments = vec!["verify", "--store", &store, "--key", key.to_str().unwrap()];
        arguments.extend(more);
        audit(&arguments)
    }

    /// The same by a program that shares nothing with this one.
    fn verify_independently(&self, checkpoints: &Path) -> Output {
        python::script("verify_trail.py")
            .args([&self.trail(), &self.key(), checkpoints])
            .args(&self.receipts)
            .output()
            .unwrap()
    }
}

fn audit(arguments: &[&str]) -> Output {
    run([&["audit"], arguments].concat())
}

/// The size of the newest checkpoint in a file of notes.
fn covered(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let notes = keygate::audit::checkpoint::notes(&text);
    let newest = notes.last().map(|it| it.lines().nth(1).unwrap().to_owned());
    newest.map_or(0, |it| it.parse().unwrap())
}
