//! Checkpoints leave the store: whoever owns the disk can't take back what was
//! sent elsewhere.
//!
//! A [`Publisher`] signs the trail's tree soon after it has grown ([`PACE`]), sends
//! the note to every outlet, and keeps it beside the records. Only what is committed
//! is signed. An outlet that is slow or gone holds up neither the others nor any
//! call; it is told of in the log and in the metrics.

mod outlet;

use std::time::Duration;

use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{audit::Trail, config::Checkpoints, http, tasks::Tasks, telemetry::Metrics};
use outlet::Outlet;

/// How long after one checkpoint the next one is made at the earliest: so long after
/// its commit, at the latest, a record is covered.
pub const PACE: Duration = Duration::from_millis(500);

/// How long outlets are waited for at the end.
const FINISHING: Duration = Duration::from_secs(3);

/// Signs checkpoints and sends them out.
#[derive(Debug)]
pub struct Publisher {
    end: CancellationToken,
    ended: Option<JoinHandle<()>>,
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Publisher {
    /// Begins with a checkpoint of what is there. Without a key there is nothing to
    /// sign with: that is said in the log.
    ///
    /// # Errors
    /// [`http::Error`] if no client can be made for an outlet that needs one.
    pub fn start(
        trail: Trail,
        settings: &Checkpoints,
        metrics: &Metrics,
    ) -> Result<Self, http::Error> {
        let end = CancellationToken::new();
        if trail.settings().signer.is_none() {
            tracing::warn!(
                "audit.signing_key is not set: no checkpoints are signed, so nobody can prove \
                 later that the audit trail is what it was"
            );
            return Ok(Self { end, ended: None });
        }
        // of its own: it ends after everything that leaves records
        let tasks = Tasks::new();
        let outlets = outlet::all(settings, &tasks, metrics)?;
        let publishing = publish(trail, outlets, end.clone());
        Ok(Self {
            end,
            ended: Some(tasks.spawn(publishing)),
        })
    }

    /// Sends out a checkpoint of everything that the trail has, and ends.
    pub async fn finish(mut self) {
        self.end.cancel();
        let Some(ended) = self.ended.take() else {
            return;
        };
        if timeout(FINISHING * 2, ended).await.is_err() {
            tracing::warn!("the last checkpoint was not sent everywhere in time");
        }
    }
}

async fn publish(trail: Trail, outlets: Vec<Outlet>, end: CancellationToken) {
    let mut head = trail.head();
    head.mark_changed();
    let mut published = None;
    loop {
        let ends = tokio::select! {
            changed = head.changed() => changed.is_err(),
            () = end.cancelled() => true,
        };
        head.mark_unchanged();
        // what is signed is what is committed now, or more than was seen
        if let Some(signed) = trail.checkpoint()
            && published != Some(signed.checkpoint.size)
        {
            published = Some(signed.checkpoint.size);
            for outlet in &outlets {
                outlet.send(&signed);
            }
            trail.keep(signed).await;
        }
        if ends {
            break;
        }
        tokio::select! {
            () = sleep(PACE) => {}
            () = end.cancelled() => {}
        }
    }
    for outlet in outlets {
        let name = outlet.name();
        if timeout(FINISHING, outlet.finish()).await.is_err() {
            tracing::warn!(outlet = name, "the last checkpoint was not sent in time");
        }
    }
}
