//! The real server in the test's own process, so that the test can hold its
//! clock, called over its port.

use std::{fs, path::PathBuf};

use keygate::{config::Config, random::Random, server::Server, telemetry::Logs};
use tempfile::TempDir;

use super::*;
use crate::support::{
    gateway::{Answer, Client},
    served::SANDBOX_POLICY,
};

/// A method that every caller with a token may call.
const WHO_AM_I: &str = "keygate.access.v1.AccessService/WhoAmI";

/// A server that trusts some issuers. It ends with the test's runtime.
pub(super) struct Gate {
    server: Server,
    client: Client,
    folder: TempDir,
}

impl Gate {
    /// Starts it with these `[[auth.issuers]]`; the files that they name are written
    /// beforehand.
    pub(super) async fn start(issuers: &str, files: &[(&str, &str)], clock: &Hand) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[server]\n\
             grpc = \"127.0.0.1:0\"\n\
             http = \"127.0.0.1:0\"\n\
             [policy]\n\
             file = \"policy.toml\"\n\
             [audit]\n\
             store = \"sqlite:trail.db\"\n\
             {issuers}"
        );
        let own = [("policy.toml", SANDBOX_POLICY), ("keygate.toml", &text)];
        for (name, content) in own.iter().chain(files) {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let config = Config::load(&folder.path().join("keygate.toml")).unwrap();
        let server = Server::start(config, Logs::default(), clock.clock(), Random::system())
            .await
            .unwrap();
        Self {
            client: Client::new(server.grpc()),
            server,
            folder,
        }
    }

    /// A client with a connection of its own.
    pub(super) fn client(&self) -> Client {
        Client::new(self.server.grpc())
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join("keygate.toml")
    }

    pub(super) async fn ask(&self, token: &str) -> Answer {
        ask(&self.client, token).await
    }
}

/// Asks who a token's caller is.
pub(super) async fn ask(client: &Client, token: &str) -> Answer {
    client
        .call(WHO_AM_I, Some(token), &client.request(WHO_AM_I, ""))
        .await
}
