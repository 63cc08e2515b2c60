//! Looks for our own keys for as long as there is a client.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::timeout;

use super::{Look, Miss};
use crate::{clock::Clock, random::Random, tasks::Tasks, telemetry::Metrics, upstream::Client};

/// How long one look may take: there may be many pages of keys.
const LOOK: Duration = Duration::from_secs(30);
/// How long to wait before looking again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];

/// Looks for the keys of a client from now on, until it is dropped.
pub fn follow(
    client: &Arc<Client>,
    clock: &Clock,
    random: &Random,
    tasks: &Tasks,
    metrics: &Metrics,
) {
    let (gone, name) = (client.gone(), client.name().to_owned());
    let (clock, random, metrics) = (clock.clone(), random.clone(), metrics.clone());
    let (client, masters) = (Arc::downgrade(client), client.masters().clone());
    tasks.spawn_background(async move {
        let looking = async {
            let mut pause = PAUSES[0];
            while let Some(found) = look(&client, &clock, &metrics).await {
                // jittered: many gateways may have lost the same upstream at once
                let jittered = pause.mul_f64(0.5 + random.fraction() / 2.0);
                if found {
                    masters.renewed.notified().await;
                } else if timeout(jittered, masters.renewed.notified()).await.is_err() {
                    pause = PAUSES[1].min(pause * 2);
                    continue;
                }
                pause = PAUSES[0];
            }
        };
        gone.run_until_cancelled(looking).await;
        metrics.own_keys_forgotten(&name);
    });
}

/// Looks once. Whether that found them; `None` if there is no client any more.
async fn look(client: &Weak<Client>, clock: &Clock, metrics: &Metrics) -> Option<bool> {
    let client = client.upgrade()?;
    let look = Look::new(&client, clock.instant() + LOOK);
    let found = (client.seek().0)(&look).await;
    if !look.is_current() {
        // somebody else's by now: the next look is due at once
        return Some(true);
    }
    let masters = client.masters();
    let told = found.as_ref().map(Vec::clone).map_err(ToString::to_string);
    let fault = told.as_ref().err().cloned();
    masters.settle(told, || look.is_current());
    metrics.own_keys(client.name(), fault.is_none());
    if masters.is_news(fault.as_deref()) {
        log(client.name(), &found);
    }
    Some(fault.is_none())
}

fn log(upstream: &str, found: &Result<Vec<String>, Miss>) {
    match found {
        Ok(ids) => tracing::info!(
            upstream,
            keys = ids.len(),
            "the gateway's own keys there have been found"
        ),
        Err(miss) => tracing::error!(
            upstream,
            error = miss as &dyn std::error::Error,
            "it is not known which keys there are the gateway's own: until it is, nothing is \
             changed there that is named by its id"
        ),
    }
}
