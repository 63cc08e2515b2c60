//! Records whose time is over are removed, as `audit.retention` says. It is followed
//! like all that can change without a restart.

use std::time::Duration;

use super::state::State;
use crate::{
    audit::{Mandate, Position, Pruning, Trail},
    clock::Clock,
    live::Live,
};

/// How often it is looked for records whose time is over.
const PERIOD: Duration = Duration::from_secs(600);

/// Goes on for as long as the trail can be written.
pub(super) async fn keep_to(trail: Trail, live: Live<State>, clock: Clock) {
    let mut changes = live.changes();
    changes.mark_changed();
    let (mut after, mut last) = (None, None);
    loop {
        let retention = changes.borrow_and_update().retention;
        if retention != last {
            // a shorter time may be over for what an earlier one has left
            (after, last) = (None, retention);
        }
        if let Some(retention) = retention
            && let Some(before) = clock.now().checked_sub(retention)
        {
            let mandate = Mandate {
                caller: None,
                rule: "audit.retention".to_owned(),
            };
            match trail.prune(before, after, mandate).await {
                Ok(pruning) => {
                    tell(&pruning);
                    after = next(&pruning, after);
                }
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "records whose time is over can't be removed"
                ),
            }
        }
        let change = tokio::time::timeout(PERIOD, changes.changed()).await;
        if let Ok(Err(_)) = change {
            return;
        }
    }
}

/// Behind which position it is looked the next time. What stays for now has to be
/// looked at again.
fn next(pruning: &Pruning, after: Option<Position>) -> Option<Position> {
    let pruned = pruning.pruned.as_ref().filter(|_| pruning.unsettled == 0);
    let last = pruned.and_then(|it| it.to.checked_sub(1)).map(Position);
    last.or(after)
}

fn tell(pruning: &Pruning) {
    if let Some(pruned) = &pruning.pruned {
        tracing::info!(
            records = pruned.records,
            before = pruned.before,
            unsettled = pruning.unsettled,
            "records whose time is over were removed; their hashes stay"
        );
    }
}
