//! The servers: this program again, each in a process of its own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use keygate::{
    audit::{Trail, note},
    clock::Clock,
    config::Config,
    random::Random,
    sandbox::issuer::{Claims, Issuer, Options},
    server,
    tasks::Tasks,
    telemetry::Logs,
};
use secrecy::ExposeSecret as _;

const POLICY: &str = "\
[roles.admin]
permissions = [\"*\"]
keys = \"any\"
reveal = true
max_scopes = [\"*\"]
allow_unscoped = true

[[grants]]
role = \"admin\"
claim = \"admin\"
";

/// Serves until the one who started it goes away.
pub(crate) fn serve(kind: &str, config: &str) {
    let open = match kind {
        "kept" => Trail::open,
        "unkept" => Trail::unkept,
        other => panic!("{other}: no such server"),
    };
    let config = Config::load(Path::new(config)).unwrap();
    let logs = Logs::init(&config.log.level, true).unwrap();
    // as `keygate serve` has it
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (clock, random) = (Clock::system(), Random::system());
        let server = server::Server::start_on(open, config, logs, clock, random).await;
        let server = server.unwrap();
        println!("{}", server.grpc());
        server.ended().await;
        panic!("the trail has failed");
    });
}

/// Keeps this process to the last processor, and whatever it starts, unless that is
/// told otherwise. False if that can't be done.
pub(crate) fn pin_here() -> bool {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut taskset = Command::new("taskset");
    taskset.args(["-a", "-c", "-p", &(processors - 1).to_string()]);
    let done = taskset
        .arg(std::process::id().to_string())
        .stdout(Stdio::null())
        .status();
    processors > 1 && done.is_ok_and(|it| it.success())
}

/// Where the trail and everything else is.
pub(crate) struct Folder {
    // dropped last, which removes it
    path: PathBuf,
    _own: tempfile::TempDir,
    issuer: Issuer,
}

impl Folder {
    pub(crate) async fn new(within: Option<PathBuf>, upstream: SocketAddr, tasks: &Tasks) -> Self {
        let own = match within {
            Some(path) => tempfile::tempdir_in(path).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let (clock, random) = (Clock::system(), Random::system());
        let issuer = Issuer::start(Options::default(), clock, random, tasks).await;
        let issuer = issuer.unwrap();
        let path = own.path().to_owned();
        fs::write(path.join("policy.toml"), POLICY).unwrap();
        fs::write(path.join("master"), "a-master-key").unwrap();
        let key = note::generate().unwrap();
        fs::write(path.join("signing-key.pem"), key.expose_secret()).unwrap();
        let config = format!(
            "\
[server]
grpc = \"127.0.0.1:0\"
http = \"127.0.0.1:0\"

[[auth.issuers]]
issuer = \"{}\"
audiences = [\"{}\"]
jwks = \"{}\"

[policy]
file = \"policy.toml\"

[audit]
store = \"sqlite:trail.db\"
signing_key = {{ file = \"signing-key.pem\" }}
checkpoints = {{ stdout = false, file = \"checkpoints\" }}

[[datadog]]
site = \"us1\"
org = \"main\"
base_url = \"http://{upstream}\"
api_key = {{ file = \"master\" }}
app_key = {{ file = \"master\" }}
",
            issuer.issuer(),
            issuer.audience(),
            issuer.jwks_url(),
        );
        fs::write(path.join("keygate.toml"), config).unwrap();
        Self {
            path,
            _own: own,
            issuer,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn token(&self) -> String {
        let claims = Claims::new("system:serviceaccount:payments:api", &["admin"]);
        self.issuer
            .mint(&claims)
            .unwrap()
            .expose_secret()
            .to_owned()
    }
}

/// A server in a process of its own. It ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) grpc: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) async fn start(kind: &str, folder: &Folder) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(&program);
        if Command::new("taskset")
            .arg("-V")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            command = Command::new(&program);
        }
        let config = folder.path().join("keygate.toml");
        let mut child = command
            .args(["--server", kind])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.path().join(format!("{kind}.log"))).unwrap())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        // its issuer is here: it is waited for beside it
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).map(|_| line)
        });
        let line = line.await.unwrap().unwrap();
        let grpc = line.trim().parse();
        let grpc = grpc.unwrap_or_else(|_| panic!("the server did not start: see its log"));
        Self { child, grpc }
    }

    /// The processor time that it has taken so far.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let taken = threads.into_iter().flatten().filter_map(|thread| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(taken.sum())
    }
}
