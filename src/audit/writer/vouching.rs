//! Receipts for a batch that is committed.

use crate::audit::{
    Receipt,
    checkpoint::{Checkpoint, Signed},
    note::Signer,
    store::{Batch, Row},
    tree::{Frontier, proof},
};

/// A batch that is committed, and a checkpoint with all of it.
pub(super) struct Vouching {
    recent: proof::Recent,
    checkpoint: Signed,
}

impl Vouching {
    pub(super) fn new(signer: &Signer, before: Frontier, batch: &Batch) -> Self {
        let leaves = batch.rows.iter().map(|it| it.leaf);
        Self {
            recent: proof::Recent::new(&before, leaves),
            checkpoint: Checkpoint::sign(signer, &batch.tree),
        }
    }

    pub(super) fn receipts(&self, rows: &[Row]) -> Vec<Receipt> {
        let note = &self.checkpoint.note;
        let receipts = rows.iter().filter_map(|row| {
            let path = self.recent.inclusion(row.index)?;
            Some(Receipt {
                record: row.record.id.clone(),
                index: row.index,
                path,
                note: note.clone(),
            })
        });
        receipts.collect()
    }
}
