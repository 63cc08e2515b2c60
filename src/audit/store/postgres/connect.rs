//! Connections to a server, set up so that what they commit is on disk.

use std::{future::Future, io, thread, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{Client, Config, NoTls, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Location,
    error::{Error, Kind, OLDEST},
};
use crate::{http, tasks::Tasks};

/// How long it may take to make a connection and set it up.
const CONNECT: Duration = Duration::from_secs(10);

/// What holds for a session, whatever the server or the user's defaults are.
///
/// A commit is on disk, and where there is a synchronous standby on its disk too,
/// before it is acknowledged. Sessions that were cut off end soon, so that they
/// hold no lock for long.
const SESSION: &str = "
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') <> 'remote_apply';
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET search_path = pg_catalog;
    SET statement_timeout = '30s';
    SET lock_timeout = 0;
    SET idle_session_timeout = 0;
    SET idle_in_transaction_session_timeout = '5s';
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 3;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = '10s';
";

/// Runs what is asynchronous for those who are not.
#[derive(Debug)]
pub(super) struct Driver {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // this may be where nothing may be waited for
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Driver {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let runtime = Some(runtime);
        Ok(Self { runtime })
    }

    /// Runs it to its end, from wherever.
    pub(super) fn run<F>(&self, work: F) -> F::Output
    where
        F: Future<Output: Send> + Send,
    {
        #[expect(clippy::expect_used, reason = "it is there until it is dropped")]
        let runtime = self.runtime.as_ref().expect("a runtime");
        if Handle::try_current().is_err() {
            return runtime.block_on(work);
        }
        // a runtime can't wait for another on one thread: only at the start of a
        // process, or where reading may block
        thread::scope(|scope| {
            let run = || runtime.block_on(work);
            match scope.spawn(run).join() {
                Ok(output) => output,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// A connection. It is alive for as long as the client is, while the driver runs.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Ends with it.
    pub(super) connection: JoinHandle<()>,
}

/// Makes a connection and sets it up.
pub(super) async fn connect(location: &Location) -> Result<Connected, Error> {
    timeout(CONNECT, connect_patiently(location))
        .await
        .unwrap_or_else(|_| Err(Error::new(location, Kind::Silent)))
}

async fn connect_patiently(location: &Location) -> Result<Connected, Error> {
    let mut config = location.config.clone();
    if let Some(source) = &location.password {
        let password = source.load().await.map_err(Error::credential(location))?;
        config.password(password.expose_secret());
    }
    if location.has_tls() {
        let tls = http::tls(location.ca.as_deref()).map_err(Error::tls(location))?;
        // its keys are thrown away with it
        drive(&config, MakeRustlsConnect::new(tls), location).await
    } else {
        drive(&config, NoTls, location).await
    }
}

async fn drive<T>(config: &Config, tls: T, location: &Location) -> Result<Connected, Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let failed = Error::of(location);
    let (client, connection) = config.connect(tls).await.map_err(&failed)?;
    let version = connection.parameter("server_version").unwrap_or_default();
    if !is_supported(version) {
        let found = version.to_owned();
        return Err(Error::new(location, Kind::Old { found }));
    }
    let tasks = Tasks::new();
    // how it ends, whoever uses the client is told
    let connection = tasks.spawn(async move { drop(connection.await) });
    client.batch_execute(SESSION).await.map_err(&failed)?;
    Ok(Connected { client, connection })
}

/// Whether it is a version that is supported, as in `17.9` or `18beta1`.
fn is_supported(version: &str) -> bool {
    let digits = version.find(|it: char| !it.is_ascii_digit());
    let major = &version[..digits.unwrap_or(version.len())];
    major.parse().is_ok_and(|it: u32| it >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for new in ["14.0", "17.9 (Debian 17.9-1)", "18beta1", "20"] {
            assert!(is_supported(new), "{new}");
        }
        for old in ["13.22", "9.6.24", "", "x"] {
            assert!(!is_supported(old), "{old}");
        }
    }
}
