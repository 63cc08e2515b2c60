//! A PostgreSQL server of a test's own: a real one, in a folder that goes with it.
//!
//! Its programs come from a package, as of `tests/postgres/package-lock.json`, or
//! from the folder that `KEYGATE_TEST_POSTGRES` names.

mod programs;

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use keygate::clock::Clock;
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls, config::SslMode};

use super::{gateway::PATIENCE, packages::run, tls::Pair};

/// The user that may do everything.
pub(crate) const SUPERUSER: &str = "postgres";

/// Its password, in which a URL has nothing to escape.
pub(crate) const PASSWORD: &str = "canary-Zx81-of-the-database";

/// Whom PostgreSQL runs as where a test runs as root: it refuses to be that.
const NOBODY: u32 = 65534;

/// A server. It ends when it is dropped.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    /// Where it listens besides its socket.
    pub(crate) port: Option<u16>,
    settings: Vec<String>,
    process: Option<Child>,
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end("QUIT");
    }
}

impl Postgres {
    /// One that listens on a socket in its folder.
    pub(crate) async fn start() -> Self {
        let mut it = Self::new();
        it.process = Some(it.spawn(&[]));
        it.ready().await.unwrap();
        it
    }

    /// One that listens on loopback too, and speaks TLS there and nothing else.
    pub(crate) async fn over_tls((certificate, key): &Pair) -> Self {
        let mut it = Self::new();
        let data = it.data();
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            give_away(&path);
        }
        let rules = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        it.settings.push("ssl=on".to_owned());
        // another may take the port before it does
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            it.port = Some(free.local_addr().unwrap().port());
            drop(free);
            it.process = Some(it.spawn(&[]));
            if it.ready().await.is_ok() {
                return it;
            }
        }
        panic!("no port: {}", it.logged());
    }

    /// A copy that follows it, without its commits waiting for that, by the server
    /// whose socket is in this folder. It is stopped for as long as it is copied.
    pub(crate) async fn standby(&mut self, leader: &Path) -> Self {
        self.stop();
        let mut it = Self::in_folder();
        run(Command::new("cp")
            .args(["-a", "--"])
            .args([self.data(), it.data()]));
        let signal = it.data().join("standby.signal");
        fs::write(&signal, "").unwrap();
        give_away(&signal);
        let leader = leader.display();
        it.settings.push(format!(
            "primary_conninfo=host={leader} user={SUPERUSER} password={PASSWORD}"
        ));
        // one that was cut off asks again soon
        it.settings
            .push("wal_retrieve_retry_interval=50ms".to_owned());
        self.start_again().await;
        it.process = Some(it.spawn(&[]));
        it.ready().await.unwrap();
        it
    }

    fn in_folder() -> Self {
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        give_away(folder.path());
        Self {
            programs: programs::within_reach(folder.path(), is_root()),
            folder,
            port: None,
            settings: Vec::new(),
            process: None,
        }
    }

    fn new() -> Self {
        let it = Self::in_folder();
        let password = it.folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        give_away(&password);
        run(it
            .program("initdb")
            .args(["--no-sync", "--no-instructions", "--locale=C"])
            .args(["--encoding=UTF8", "--wal-segsize=1"])
            .args(["--auth=scram-sha-256", "--username", SUPERUSER])
            .arg(format!("--pwfile={}", password.display()))
            .arg(format!("--pgdata={}", it.data().display())));
        it
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of its socket.
    pub(crate) fn socket(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn spawn(&self, more: &[&str]) -> Child {
        let log = self.folder.path().join("log");
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path());
        match self.port {
            Some(port) => command.args(["-h", "127.0.0.1", "-p", &port.to_string()]),
            None => command.args(["-h", ""]),
        };
        // synced, as where it counts: that is what is tested
        let settings = ["fsync=on", "shared_buffers=16MB", "max_connections=60"];
        let settings = settings.into_iter().chain(more.iter().copied());
        for setting in settings.chain(self.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Waits until it takes connections; an error if it ends instead.
    async fn ready(&mut self) -> Result<(), ()> {
        let clock = Clock::system();
        let begun = clock.instant();
        while self.connect(SUPERUSER).await.is_err() {
            let process = self.process.as_mut().unwrap();
            if process.try_wait().unwrap().is_some() {
                self.process = None;
                return Err(());
            }
            let waited = clock.instant().duration_since(begun);
            assert!(waited < PATIENCE, "it does not start: {}", self.logged());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// What it has logged.
    pub(crate) fn logged(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills it: nobody is told, and its sessions end when they notice.
    pub(crate) fn kill(&mut self) {
        self.end("KILL");
    }

    /// Ends it at once, as a crash would: it recovers when it starts again.
    pub(crate) fn stop(&mut self) {
        self.end("QUIT");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut process) = self.process.take() {
            let pid = process.id().to_string();
            let _ = Command::new("kill").args(["-s", signal, &pid]).status();
            let _ = process.wait();
        }
    }

    /// Starts it again, and waits until it takes connections.
    pub(crate) async fn start_again(&mut self) {
        self.start_again_with(&[]).await;
    }

    /// The same with these settings.
    pub(crate) async fn start_again_with(&mut self, settings: &[&str]) {
        let clock = Clock::system();
        let begun = clock.instant();
        loop {
            self.process = Some(self.spawn(settings));
            // it refuses for as long as sessions of the one before have not ended
            if self.ready().await.is_ok() {
                return;
            }
            let waited = clock.instant().duration_since(begun);
            assert!(waited < PATIENCE, "it does not start: {}", self.logged());
        }
    }

    /// Where a user finds a database, as the setting is written; the user of the
    /// same name as its own.
    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        let host = self.socket().to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{host}/{database}")
    }

    /// The same with the password in it.
    pub(crate) fn url_with_password(&self, user: &str, database: &str) -> String {
        let url = self.url(user, database);
        url.replacen('@', &format!(":{PASSWORD}@"), 1)
    }

    async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config
            .host_path(self.socket())
            .port(self.port.unwrap_or(5432))
            .user(SUPERUSER)
            .password(PASSWORD)
            .dbname(database)
            .ssl_mode(SslMode::Disable);
        let (client, connection) = config.connect(NoTls).await?;
        let tasks = keygate::tasks::Tasks::new();
        // it ends with its client
        tasks.spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// A client that may do everything.
    pub(crate) async fn client(&self, database: &str) -> Client {
        self.connect(database).await.unwrap()
    }

    /// Runs statements as the one who may do everything.
    pub(crate) async fn run(&self, database: &str, statements: &str) {
        let client = self.client(database).await;
        // those of one text are one transaction, which not everything may be in
        for statement in statements.split_inclusive(";\n") {
            client.batch_execute(statement).await.unwrap();
        }
    }

    /// A database with an owner, who has the same name and password.
    pub(crate) async fn database(&self, name: &str) -> String {
        let password = PASSWORD;
        self.run(
            SUPERUSER,
            &format!(
                "CREATE ROLE {name} LOGIN PASSWORD '{password}';\n\
                 CREATE DATABASE {name} OWNER {name};\n"
            ),
        )
        .await;
        self.url(name, name)
    }
}

fn is_root() -> bool {
    // whose the process is, is whose its own folder in /proc is
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// Makes a file that of whoever PostgreSQL runs as.
fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}
