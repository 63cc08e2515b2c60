//! What of a page goes to the caller, as the last decision says.

use std::collections::HashSet;

use tokio::{
    sync::{mpsc, watch},
    time::timeout_at,
};

use super::{Pages, Sender, failed, gone};
use crate::{
    gateway::{Result, operation::Answer as _, revocation::Decision, work::Work},
    status::Error,
    upstream::Answer,
};

/// What has been sent, and what is decided about the rest.
pub(super) struct Sent {
    ids: HashSet<String>,
    count: u64,
    decisions: watch::Receiver<Option<Decision>>,
}

/// How to go on behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// With the next one.
    Page,
    /// With the same: another policy decides about what is left of it.
    Again,
}

impl Sent {
    pub(super) fn new(decisions: watch::Receiver<Option<Decision>>) -> Self {
        Self {
            ids: HashSet::new(),
            count: 0,
            decisions,
        }
    }

    /// How many messages have been sent.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Sends what of a page the caller may see, and has not been sent.
    pub(super) async fn page<O: Pages>(
        &mut self,
        work: &mut Work<O>,
        sender: &Sender<O::Item>,
        answer: &Answer,
        from_its_end: bool,
    ) -> Result<Next> {
        if let Some(decision) = self.decisions.borrow_and_update().clone() {
            work.decision = decision;
        }
        let mut page = work.read(answer)?;
        work.narrow_list(&mut page).await?;
        // its outcome comes last, so a stream tells no secret, whoever asks
        if page.keys().iter().any(|it| it.secret.is_some()) {
            page.conceal();
        }
        let mut new = HashSet::new();
        let mut is_new = |id: &str| !self.ids.contains(id) && new.insert(id.to_owned());
        let keys = page.keys();
        let keep: Vec<_> = keys
            .iter()
            .map(|it| it.id.is_none_or(&mut is_new))
            .collect();
        page.retain(&keep);
        let keys = page.keys();
        let ids: Vec<_> = keys.iter().map(|it| it.id.map(str::to_owned)).collect();
        let mut rest: Vec<_> = ids.into_iter().zip(O::items(page)).collect();
        if from_its_end {
            rest.reverse();
        }
        for (id, item) in rest {
            let room = room(work, sender).await?;
            if self.decisions.has_changed().unwrap_or_default() {
                return Ok(Next::Again);
            }
            room.send(item);
            self.ids.extend(id);
            self.count += 1;
        }
        Ok(Next::Page)
    }
}

/// Waits until the caller has room for a message.
async fn room<'s, O: Pages>(
    work: &Work<O>,
    sender: &'s Sender<O::Item>,
) -> Result<mpsc::Permit<'s, O::Item>> {
    let room = match work.deadline.given {
        None => sender.room().await,
        Some(deadline) => match timeout_at(deadline.into(), sender.room()).await {
            Ok(room) => room,
            Err(_) => return Err(failed(Error::DeadlineExceeded)),
        },
    };
    room.ok_or_else(gone)
}
