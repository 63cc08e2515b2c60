//! Where checkpoints go: standard output, a file, a URL.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use ::http::{Request, Uri, header::CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::Full;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{sleep, timeout},
};

use crate::{
    audit::checkpoint::Signed,
    config::Checkpoints,
    http::{self, Client},
    tasks::Tasks,
    telemetry::Metrics,
};

/// How many checkpoints may wait for an outlet. Each says all that those before it
/// did, so a lost one is no loss where a later one arrives.
const WAITING: usize = 256;

/// How long a URL may take to answer.
const ANSWERED: Duration = Duration::from_secs(10);

/// How long after a failure a URL is tried again: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// One of the places that checkpoints are sent to.
#[derive(Debug)]
pub(super) struct Outlet {
    name: &'static str,
    queue: mpsc::Sender<Signed>,
    ended: oneshot::Receiver<()>,
    figures: Figures,
}

/// Tells how an outlet fares.
#[derive(Clone, Debug)]
struct Figures {
    name: &'static str,
    metrics: Metrics,
    failing: bool,
}

impl Figures {
    fn sent(&mut self, signed: &Signed) {
        if std::mem::take(&mut self.failing) {
            tracing::info!(outlet = self.name, "checkpoints are sent out again");
        }
        let size = signed.checkpoint.size;
        self.metrics.checkpoint_sent(self.name, size);
    }

    fn failed(&mut self, cause: &str) {
        self.metrics.checkpoint_failed(self.name);
        // once, until it goes on
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(
                outlet = self.name,
                cause,
                "checkpoints can't be sent out; the newest one is tried again"
            );
        }
    }
}

/// All outlets that are configured.
pub(super) fn all(
    settings: &Checkpoints,
    tasks: &Tasks,
    metrics: &Metrics,
) -> Result<Vec<Outlet>, http::Error> {
    let mut outlets = Vec::new();
    let figures = |name| Figures {
        name,
        metrics: metrics.clone(),
        failing: false,
    };
    if settings.stdout {
        outlets.extend(writing(figures("stdout"), |signed| {
            let line = serde_json::json!({ "checkpoint": signed.note });
            let mut out = io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush())
        }));
    }
    if let Some(path) = settings.file.clone() {
        outlets.extend(writing(figures("file"), move |signed| {
            append(&path, signed)
        }));
    }
    if let Some(url) = settings.url.clone() {
        let client = http::client(&http::Options {
            connect_timeout: ANSWERED,
            pool_max_idle_per_host: 1,
            ca: settings.ca.clone(),
        })?;
        outlets.push(posting(figures("url"), url, client, tasks));
    }
    Ok(outlets)
}

impl Outlet {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Has a checkpoint sent. It never waits.
    pub(super) fn send(&self, signed: &Signed) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(signed.clone()) {
            self.figures.metrics.checkpoint_failed(self.name);
        }
    }

    /// Waits until all is sent.
    pub(super) async fn finish(self) {
        drop(self.queue);
        // an outlet whose thread has ended otherwise has said so
        let _ = self.ended.await;
    }
}

/// An outlet that is written to, which may take as long as it likes: on a thread of
/// its own, which the process does not wait for.
fn writing(
    mut figures: Figures,
    mut write: impl FnMut(&Signed) -> io::Result<()> + Send + 'static,
) -> Option<Outlet> {
    let (queue, mut waiting) = mpsc::channel::<Signed>(WAITING);
    let (end, ended) = oneshot::channel();
    let outlet = Outlet {
        name: figures.name,
        queue,
        ended,
        figures: figures.clone(),
    };
    let work = move || {
        while let Some(signed) = waiting.blocking_recv() {
            match write(&signed) {
                Ok(()) => figures.sent(&signed),
                Err(error) => figures.failed(&error.to_string()),
            }
        }
        // nobody may be waiting
        let _ = end.send(());
    };
    let thread = thread::Builder::new().name(format!("checkpoints-{}", outlet.name));
    match thread.spawn(work) {
        Ok(_) => Some(outlet),
        Err(error) => {
            outlet.figures.clone().failed(&error.to_string());
            None
        }
    }
}

/// Appends a note and an empty line, and has it synced. The file is opened each
/// time, so that it can be moved away.
fn append(path: &Path, signed: &Signed) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{}\n", signed.note).as_bytes())?;
    file.sync_all()
}

/// An outlet that takes each note in a POST.
fn posting(mut figures: Figures, url: Uri, client: Client, tasks: &Tasks) -> Outlet {
    let (queue, mut waiting) = mpsc::channel::<Signed>(WAITING);
    let (end, ended) = oneshot::channel();
    let outlet = Outlet {
        name: figures.name,
        queue,
        ended,
        figures: figures.clone(),
    };
    tasks.spawn(async move {
        while let Some(mut signed) = waiting.recv().await {
            let mut pause = AGAIN.0;
            // at the end, too, for as long as it is waited for
            while let Err(cause) = post(&client, &url, &signed).await {
                figures.failed(&cause);
                sleep(pause).await;
                pause = (pause * 2).min(AGAIN.1);
                // the newest says all that is to be said
                while let Ok(newer) = waiting.try_recv() {
                    signed = newer;
                }
            }
            figures.sent(&signed);
        }
        // nobody may be waiting
        let _ = end.send(());
    });
    outlet
}

async fn post(client: &Client, url: &Uri, signed: &Signed) -> Result<(), String> {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(Full::new(Bytes::from(signed.note.clone())))
        .map_err(|error| error.to_string())?;
    let response = timeout(ANSWERED, client.request(request)).await;
    let response = response
        .map_err(|_| format!("it does not answer within {ANSWERED:?}"))?
        .map_err(|error| http::cause(&error))?;
    let status = response.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("it answers {status}"))
    }
}
