//! The signals that a server heeds.

use std::future::pending;

use super::Error;

/// Those that end a server: SIGTERM and SIGINT, or Ctrl-C where there are none.
pub(super) struct End {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl End {
    /// From now on they don't end the program by themselves.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::SignalKind;
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for one, and names it.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Result<Self, Error> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => pending().await,
        }
    }
}

/// The one that has a server read everything anew: SIGHUP, where there is one.
pub(super) struct Reload {
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
}

impl Reload {
    /// From now on it does not end the program by itself.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, Error> {
        let hang_up = listen(tokio::signal::unix::SignalKind::hangup())?;
        Ok(Self { hang_up })
    }

    /// Waits for it.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        if self.hang_up.recv().await.is_none() {
            pending().await
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Result<Self, Error> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        pending().await
    }
}

#[cfg(unix)]
fn listen(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal, Error> {
    use anyhow::Context as _;
    let signal = tokio::signal::unix::signal(kind);
    let signal = signal.context("signals can't be waited for");
    signal.map_err(|e| Error::new(super::Exit::Software, e))
}
