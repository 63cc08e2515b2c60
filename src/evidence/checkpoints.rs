//! `GetCheckpoint`: what the tree is now.

use std::sync::Arc;

use super::unreadable;
use crate::{
    audit::{Reader, Trail, checkpoint::Checkpoint},
    call::Call,
    contract::proto::keygate::audit::v1::{GetCheckpointRequest, GetCheckpointResponse},
    status::{Error, Violation},
};

/// The longest name of a tree that is looked for, in bytes.
const LONGEST: usize = 1024;

pub(super) async fn latest(
    call: Arc<Call>,
    request: GetCheckpointRequest,
) -> Result<GetCheckpointResponse, Error> {
    let trail = &call.ledger().trail;
    let origin = origin("origin", request.origin, trail)?;
    let (checkpoint, note) = if origin == trail.settings().origin {
        let signed = trail.checkpoint().ok_or(Error::TrailNotSigned)?;
        (signed.checkpoint, signed.note)
    } else {
        let newest = trail.read(move |it| published(it, &origin)).await;
        newest.map_err(unreadable)?.ok_or(Error::RecordNotFound)?
    };
    Ok(GetCheckpointResponse {
        checkpoint: note,
        origin: checkpoint.origin,
        tree_size: checkpoint.size,
        root_hash: checkpoint.root.0.to_vec(),
    })
}

/// The tree that is meant: that of this gateway if none is named.
pub(super) fn origin(field: &'static str, name: String, trail: &Trail) -> Result<String, Error> {
    match name.len() {
        0 => Ok(trail.settings().origin.clone()),
        1..=LONGEST => Ok(name),
        _ => {
            let violation = Violation::new(field, "is longer than 1024 bytes");
            Err(Error::InvalidRequest(vec![violation]))
        }
    }
}

/// The newest checkpoint of a tree that was sent out.
pub(super) fn published(
    reader: &Reader,
    origin: &str,
) -> Result<Option<(Checkpoint, String)>, crate::audit::Error> {
    let note = reader.checkpoint(origin)?;
    // the trail was held against its own checkpoints when it was opened
    let checkpoint = note.and_then(|note| Some((Checkpoint::unverified(&note).ok()?, note)));
    Ok(checkpoint.filter(|(it, _)| it.origin == origin))
}
