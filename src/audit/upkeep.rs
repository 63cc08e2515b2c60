//! The trail's upkeep: records are removed when their time is over, and
//! fingerprints are made with a new key.
//!
//! Nothing is removed that was not written down before. What is removed leaves its
//! hash, so that the tree stays what it was.

use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::{
    Caller, Entry, Error, Kind, Position, Pruned, Reader, Record, Stored, Trail, record,
    store::Removal, writer::Command,
};

/// How many records are removed in one piece. Calls wait for no more than that.
const PIECE: usize = 500;

/// How long is waited between two looks whether another replica is done.
const PAUSE: Duration = Duration::from_secs(1);

/// What is done to a trail beside appending records.
#[derive(Debug)]
pub(super) enum Upkeep {
    /// Nothing is to stay of these records but their hashes.
    Remove(Vec<Removal>),
    /// Fingerprints are made with this key from here on, and that is recorded.
    Rotate(Box<Entry>, (u32, Zeroizing<[u8; 32]>)),
}

/// On whose behalf, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    /// Who has asked for it; `None` if it is a setting.
    pub caller: Option<Caller>,
    /// The setting or the command that says so.
    pub rule: String,
}

/// What pruning removes, and what it leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// What it removes; `None` if there is nothing to remove.
    pub pruned: Option<Pruned>,
    /// How many records stay because nobody knows how their calls have ended.
    pub unsettled: u64,
}

impl Reader {
    /// What there is to prune before a time, behind a position.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub fn pruning(&self, before: SystemTime, after: Option<Position>) -> Result<Pruning, Error> {
        let mut found: Option<Pruned> = None;
        let mut last = after;
        loop {
            let piece = self.view().prunable(before, last, PIECE)?;
            let Some(newest) = piece.last() else { break };
            last = Some(newest.position);
            let first = piece.first().map_or(0, |it| it.position.0);
            let pruned = found.get_or_insert_with(|| Pruned {
                before: record::timestamp(before),
                from: first,
                ..Pruned::default()
            });
            pruned.to = newest.position.0 + 1;
            pruned.records += piece.len() as u64;
        }
        Ok(Pruning {
            pruned: found,
            unsettled: self.view().unsettled(before)?,
        })
    }

    /// The next records that are to be removed, and what they are found by.
    fn removals(&self, before: SystemTime, after: Option<Position>) -> Result<Vec<Removal>, Error> {
        let piece = self.view().prunable(before, after, PIECE)?;
        let removal = |kept| {
            let Stored {
                position, record, ..
            } = self.stored(kept)?;
            Ok(Removal {
                position,
                fingerprints: record.fingerprints,
            })
        };
        piece.into_iter().map(removal).collect()
    }
}

impl Trail {
    /// Removes all records before a time, but for those of calls of which nobody
    /// knows how they have ended; records of the trail's own upkeep stay too. What is
    /// removed is written down before, in a record, unless it is nothing.
    ///
    /// Where several replicas share a trail, one does it at a time.
    ///
    /// Records before `after` are taken for removed: where an earlier pruning has
    /// ended. The position to say next time comes with what was done.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read or written.
    pub async fn prune(
        &self,
        before: SystemTime,
        after: Option<Position>,
        mandate: Mandate,
    ) -> Result<Pruning, Error> {
        let _turn = self.turn().await?;
        let pruning = self.read(move |it| it.pruning(before, after)).await?;
        let Some(pruned) = &pruning.pruned else {
            return Ok(pruning);
        };
        let mut record = self.upkeep(Kind::Pruned, mandate);
        record.items = Some(pruned.records);
        record.pruned = Some(pruned.clone());
        self.append(record).await?;
        let (mut last, end) = (after, Position(pruned.to));
        loop {
            let piece = self.read(move |it| it.removals(before, last)).await?;
            let piece: Vec<_> = piece.into_iter().filter(|it| it.position < end).collect();
            let Some(newest) = piece.last() else { break };
            last = Some(newest.position);
            self.tend(Upkeep::Remove(piece)).await?;
        }
        Ok(pruning)
    }

    /// Makes a new key for fingerprints, and writes that down. Fingerprints are made
    /// with it when the trail is opened the next time; those of older keys are found
    /// as before. The new key's version.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be written.
    pub async fn rotate_fingerprint_key(&self, mandate: Mandate) -> Result<u32, Error> {
        let version = self.fingerprint_key_version() + 1;
        let key = Zeroizing::new(self.random().bytes::<32>());
        let mut record = self.upkeep(Kind::Rotated, mandate);
        record.fingerprint_key = Some(version);
        let entry = Box::new(record.into());
        self.tend(Upkeep::Rotate(entry, (version, key))).await?;
        Ok(version)
    }

    /// Waits for the turn to look after the trail as a whole, which replicas share:
    /// what one removes, others need not remove and tell of as well. It is had until
    /// the reader is dropped.
    async fn turn(&self) -> Result<Reader, Error> {
        loop {
            let trail = self.clone();
            // one of its own: the turn goes with it
            let taking = tokio::task::spawn_blocking(move || {
                let reader = trail.reader()?;
                Ok(reader.view().take_turn()?.then_some(reader))
            });
            if let Some(turn) = taking.await.unwrap_or(Err(Error::ThreadEnded))? {
                return Ok(turn);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn upkeep(&self, kind: Kind, mandate: Mandate) -> Record {
        let mut record = self.record(kind, "");
        record.call.clone_from(&record.id);
        record.caller = mandate.caller;
        record.rule = Some(mandate.rule);
        record
    }

    async fn tend(&self, upkeep: Upkeep) -> Result<(), Error> {
        let (done, is_done) = oneshot::channel();
        self.send(Command::Tend(upkeep, done)).await?;
        is_done.await.map_err(|_| self.refusal())
    }
}
