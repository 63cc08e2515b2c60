//! The signals that a server heeds.

use anyhow::Context as _;

use super::{Error, Exit};
use crate::server::Server;

/// What a signal asks for.
enum Wish {
    /// To end; the signal's name.
    End(&'static str),
    /// To read everything anew.
    Reload,
}

/// Heeds signals until one asks the server to end, and names it. `None` if the
/// server takes no more calls by itself.
pub(super) async fn serve(server: &Server, mut signals: Signals) -> Option<&'static str> {
    loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End(name) => return Some(name),
                Wish::Reload => server.reload(),
            },
            () = server.ended() => return None,
        }
    }
}

fn failed<T>(waiting: std::io::Result<T>) -> Result<T, Error> {
    let waiting = waiting.context("signals can't be waited for");
    waiting.map_err(|e| Error::new(Exit::Software, e))
}

/// SIGTERM and SIGINT end a server, SIGHUP makes it read everything anew.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on none ends the program by itself.
    pub(super) fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: failed(signal(SignalKind::terminate()))?,
            interrupt: failed(signal(SignalKind::interrupt()))?,
            hang_up: failed(signal(SignalKind::hangup()))?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End("SIGTERM"),
            _ = self.interrupt.recv() => Wish::End("SIGINT"),
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}

/// Ctrl-C ends a server.
#[cfg(windows)]
pub(super) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// From now on none ends the program by itself.
    pub(super) fn listen() -> Result<Self, Error> {
        failed(tokio::signal::windows::ctrl_c()).map(Self)
    }

    async fn next(&mut self) -> Wish {
        self.0.recv().await;
        Wish::End("Ctrl-C")
    }
}
