//! How a server ends, and whether it serves until then: what probes and those who ask
//! for its health are told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::audit::Availability;

/// Whether the server serves, and why not.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Reasons>>);

#[derive(Debug, Default)]
struct Reasons {
    /// Why it takes no more calls.
    ending: Option<&'static str>,
    /// Why it takes none for now.
    passing: Option<&'static str>,
}

impl Readiness {
    /// Why it does not serve; `None` if it does.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        let reasons = self.reasons();
        reasons.ending.or(reasons.passing)
    }

    fn end(&self, reason: &'static str) {
        self.reasons().ending = Some(reason);
    }

    fn pause(&self, reason: Option<&'static str>) {
        self.reasons().passing = reason;
    }

    fn reasons(&self) -> MutexGuard<'_, Reasons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What ends a server, and what ends with it.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) readiness: Readiness,
    pub(super) health: HealthReporter,
    pub(super) services: Arc<[&'static str]>,
    /// No more calls are taken.
    pub(super) closing: CancellationToken,
    /// The last call has been answered.
    pub(super) closed: CancellationToken,
}

impl Ending {
    pub(super) async fn begin(&self, reason: &'static str) {
        self.readiness.end(reason);
        self.tell_health().await;
        self.closing.cancel();
    }

    /// Follows whether the trail's store can be reached, for as long as that is so.
    pub(super) async fn follow(&self, mut availability: watch::Receiver<Availability>) {
        while availability.changed().await.is_ok() {
            let missed = match &*availability.borrow_and_update() {
                Availability::Here => None,
                Availability::Missed(cause) => Some(cause.clone()),
                Availability::Away(cause) => Some(cause.clone()),
            };
            match &missed {
                None => tracing::info!("the audit store is there again"),
                Some(cause) => {
                    let error = &**cause as &dyn std::error::Error;
                    tracing::error!(error, "the audit store can't be reached");
                }
            }
            let reason = "the audit store can't be reached";
            self.readiness.pause(missed.map(|_| reason));
            self.tell_health().await;
        }
    }

    /// Tells those who ask for the health whether it serves by now.
    async fn tell_health(&self) {
        let status = match self.readiness.reason() {
            None => ServingStatus::Serving,
            Some(_) => ServingStatus::NotServing,
        };
        for service in self.services.iter() {
            self.health.set_service_status(service, status).await;
        }
        if status == ServingStatus::Serving && self.readiness.reason().is_some() {
            // it has ended meanwhile
            Box::pin(self.tell_health()).await;
        }
    }

    /// Ends the streams of those who watch the health: they have seen that it does
    /// not serve, and would hold the shutdown up.
    pub(super) async fn end_watches(&self) {
        let mut health = self.health.clone();
        for service in self.services.iter() {
            health.clear_service_status(service).await;
        }
    }
}
