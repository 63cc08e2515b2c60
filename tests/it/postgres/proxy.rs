//! Between a gateway and PostgreSQL: connections that can be cut at will.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
};

use keygate::tasks::Tasks;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

/// The name of the socket in a server's folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// Where the next commit is cut.
const NOWHERE: u8 = 0;
/// Before the server has it.
const BEFORE: u8 = 1;
/// After the server has answered, and before anybody hears of that.
const AFTER: u8 = 2;

/// A socket whose connections lead to PostgreSQL's.
pub(super) struct Proxy {
    folder: TempDir,
    state: Arc<State>,
    tasks: Tasks,
}

struct State {
    server: Mutex<PathBuf>,
    cut_commit: AtomicU8,
    /// How many commits were cut.
    cut: AtomicUsize,
    /// Ends all connections; there is none while connections are refused.
    open: Mutex<Option<CancellationToken>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Proxy {
    /// Before the server whose socket is in this folder.
    pub(super) fn start(server: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join(SOCKET);
        let listener = UnixListener::bind(&socket).unwrap();
        // a server that follows another comes here as somebody else
        for (path, mode) in [(folder.path(), 0o755), (&*socket, 0o777)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let state = Arc::new(State {
            server: Mutex::new(server.join(SOCKET)),
            cut_commit: AtomicU8::new(NOWHERE),
            cut: AtomicUsize::new(0),
            open: Mutex::new(Some(CancellationToken::new())),
        });
        let tasks = Tasks::new();
        let (accepting, spawn) = (state.clone(), tasks.clone());
        tasks.spawn_background(async move {
            while let Ok((client, _)) = listener.accept().await {
                let open = accepting.open.lock().unwrap().clone();
                if let Some(open) = open {
                    let state = accepting.clone();
                    spawn.spawn_background(async move {
                        open.run_until_cancelled(connection(client, &state)).await;
                    });
                }
            }
        });
        Self {
            folder,
            state,
            tasks,
        }
    }

    /// The URL of the server's with this socket instead.
    pub(super) fn url(&self, url: &str, server: &Path) -> String {
        let encode = |path: &Path| path.to_str().unwrap().replace('/', "%2F");
        url.replace(&encode(server), &encode(self.socket()))
    }

    /// The folder of its socket.
    pub(super) fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// Cuts all connections, and has others lead to another server.
    pub(super) fn lead_to(&self, server: &Path) {
        self.close();
        *self.state.server.lock().unwrap() = server.join(SOCKET);
        self.open();
    }

    /// Cuts the connection of the next commit, before the server has it.
    pub(super) fn cut_before_commit(&self) {
        self.state.cut_commit.store(BEFORE, SeqCst);
    }

    /// Cuts the connection of the next commit, when the server has answered.
    pub(super) fn cut_after_commit(&self) {
        self.state.cut_commit.store(AFTER, SeqCst);
    }

    /// How many commits were cut.
    pub(super) fn cut(&self) -> usize {
        self.state.cut.load(SeqCst)
    }

    /// Cuts all connections, and refuses others.
    pub(super) fn close(&self) {
        if let Some(open) = self.state.open.lock().unwrap().take() {
            open.cancel();
        }
    }

    /// Lets connections through again.
    pub(super) fn open(&self) {
        *self.state.open.lock().unwrap() = Some(CancellationToken::new());
    }
}

/// Carries bytes both ways, until either end goes or a commit is cut.
async fn connection(mut client: UnixStream, state: &State) {
    let server = state.server.lock().unwrap().clone();
    let Ok(mut server) = UnixStream::connect(server).await else {
        return;
    };
    let (mut sent, mut answered) = (vec![0; 256 * 1024], vec![0; 256 * 1024]);
    let mut silent = false;
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(count @ 1..) = read else { return };
                let bytes = &sent[..count];
                if bytes.windows(7).any(|it| it == b"COMMIT\0") {
                    match state.cut_commit.swap(NOWHERE, SeqCst) {
                        BEFORE => {
                            state.cut.fetch_add(1, SeqCst);
                            return;
                        }
                        AFTER => silent = true,
                        _ => {}
                    }
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                let bytes = &answered[..count];
                if silent {
                    // the answer to the commit is the last of them
                    if bytes.windows(7).any(|it| it == b"COMMIT\0") {
                        state.cut.fetch_add(1, SeqCst);
                        return;
                    }
                    continue;
                }
                if client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}
