//! How records get to the thread that writes, and what whoever waits is told.

use tokio::sync::{mpsc::error::TrySendError, oneshot, watch};

use super::{Appended, Trail};
use crate::audit::{
    Availability, Entry, Error, Kind, Position,
    store::Step,
    writer::{Command, Waiter},
};

impl Trail {
    /// Appends an entry. It is on disk when this returns. If the caller stops
    /// waiting, the entry may be written all the same.
    ///
    /// Whoever waits has to keep polling until this returns, or drop it: one
    /// waiter wakes the others.
    ///
    /// # Errors
    /// [`Error::Failed`] after the first failure of the trail, for ever.
    pub async fn append(&self, entry: impl Into<Entry>) -> Result<Position, Error> {
        self.append_all(vec![entry.into()]).await
    }

    /// Appends entries, all or none, as [`Self::append`] does one. The position of
    /// the first; the others follow it.
    ///
    /// # Errors
    /// [`Error::Failed`] after the first failure of the trail, for ever.
    pub async fn append_all(&self, entries: Vec<Entry>) -> Result<Position, Error> {
        Ok(self.write(entries, false).await?.position)
    }

    /// Appends entries as [`Self::append_all`] does, and gives a receipt for each if
    /// the trail has a key to sign them with.
    ///
    /// # Errors
    /// [`Error::Failed`] after the first failure of the trail, for ever.
    pub async fn append_for_receipts(&self, entries: Vec<Entry>) -> Result<Appended, Error> {
        self.write(entries, true).await
    }

    async fn write(&self, entries: Vec<Entry>, receipts: bool) -> Result<Appended, Error> {
        let inner = &*self.0;
        // what it comes to is for the writer to say
        let may_be_owed = || entries.iter().all(|it| it.record.kind == Kind::Outcome);
        if inner.failure.get().is_some() && !(inner.failure.pays() && may_be_owed()) {
            return Err(inner.failure.refusal());
        }
        if !inner.keeps {
            return Ok(Appended {
                position: Position(0),
                receipts: Vec::new(),
            });
        }
        if let Some(refusal) = self.away() {
            // of what may have been changed upstream, the end is written in the end
            let is_outcome = |Entry { record: it, .. }: &Entry| {
                let step = Step::of(it.kind, it.effect.as_deref(), it.outcome);
                it.kind == Kind::Outcome && matches!(step, Step::Ends | Step::EndsUnknown)
            };
            if entries.iter().all(is_outcome) {
                self.append_detached(entries);
            }
            return Err(refusal);
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        let waiter = Waiter {
            acknowledge,
            receipts,
        };
        // at once, so that it is written also if whoever waits for it is dropped
        if let Err((_, cause)) = self.queue(entries, Some(waiter)) {
            if matches!(*cause, Error::Overrun) {
                inner.failure.set(*cause);
            }
            return Err(inner.failure.refusal());
        }
        let appended = acknowledged.await.ok().and_then(|it| it.appended());
        appended.ok_or_else(|| {
            let away = self.away().filter(|_| inner.failure.get().is_none());
            away.unwrap_or_else(|| inner.failure.refusal())
        })
    }

    /// Why nothing can be recorded for now, and nothing is to be begun; `None` if
    /// something can, or it may be worth waiting.
    #[must_use]
    pub fn away(&self) -> Option<Error> {
        self.0.availability.borrow().away()
    }

    /// Whether the store can be reached, as it changes.
    #[must_use]
    pub fn availability(&self) -> watch::Receiver<Availability> {
        self.0.availability.clone()
    }

    /// Appends entries that nobody can wait for, as when a call is dropped. It never
    /// blocks. If the entries can't even be queued, the trail has failed.
    pub fn append_detached(&self, entries: Vec<Entry>) {
        if !self.0.keeps {
            return;
        }
        let Err((entries, cause)) = self.queue(entries, None) else {
            return;
        };
        for Entry { record, .. } in entries {
            tracing::error!(
                record = record.id,
                call = record.call,
                kind = record.kind.name(),
                result = record.result(),
                "an audit record is lost: {cause}"
            );
        }
        self.0.failure.set(*cause);
    }

    /// Hands entries over to be written, at once or not at all.
    fn queue(
        &self,
        entries: Vec<Entry>,
        waiter: Option<Waiter>,
    ) -> Result<(), (Vec<Entry>, Box<Error>)> {
        let (command, cause) = match self.0.queue.try_send(Command::Append(entries, waiter)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(command)) => (command, Error::Overrun),
            Err(TrySendError::Closed(command)) => (command, Error::Closed),
        };
        match command {
            Command::Append(entries, _) => Err((entries, Box::new(cause))),
            _ => Err((Vec::new(), Box::new(cause))),
        }
    }
}
