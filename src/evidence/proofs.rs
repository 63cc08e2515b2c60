//! `GetProof`: that a record is in the tree, and that a tree began as an earlier one.

use std::{sync::Arc, time::Duration};

use super::{
    checkpoints::{origin, published},
    unreadable,
};
use crate::{
    audit::{
        self, Order, Position, Query, Reader, Receipt, Trail,
        checkpoint::Checkpoint,
        note::Signer,
        tree::{Frontier, Hash},
    },
    call::Call,
    contract::proto::keygate::audit::v1::{
        ConsistencyProof, ConsistencyProofRequest, GetProofRequest, GetProofResponse,
        InclusionProof, InclusionProofRequest, get_proof_request, get_proof_response,
    },
    status::{Error, Violation},
};

/// How often it is looked whether another gateway has sent a checkpoint, and how many
/// times.
const PERIOD: Duration = Duration::from_millis(100);
const TIMES: usize = 20;

pub(super) async fn prove(
    call: Arc<Call>,
    request: GetProofRequest,
) -> Result<GetProofResponse, Error> {
    let trail = &call.ledger().trail;
    let proof = match request.proof {
        Some(get_proof_request::Proof::Inclusion(request)) => {
            let proof = inclusion(trail, request).await?;
            get_proof_response::Proof::Inclusion(proof)
        }
        Some(get_proof_request::Proof::Consistency(request)) => {
            let proof = consistency(trail, request).await?;
            get_proof_response::Proof::Consistency(proof)
        }
        None => return Err(invalid("proof", "is required")),
    };
    Ok(GetProofResponse { proof: Some(proof) })
}

fn invalid(field: &'static str, fault: impl Into<String>) -> Error {
    Error::InvalidRequest(vec![Violation::new(field, fault)])
}

async fn inclusion(trail: &Trail, request: InclusionProofRequest) -> Result<InclusionProof, Error> {
    let position = Position(request.position);
    let found = trail.read(move |it| it.place(position)).await;
    let (origin, index, leaf) = found.map_err(unreadable)?.ok_or(Error::RecordNotFound)?;
    let tree = Tree::find(
        trail,
        &origin,
        request.tree_size,
        index + 1,
        "inclusion.tree_size",
    );
    let tree = tree.await?;
    if index >= tree.size {
        let fault = format!("is too small: the record is number {index} of its tree");
        return Err(invalid("inclusion.tree_size", fault));
    }
    let (size, name) = (tree.size, origin.clone());
    let path = trail.read(move |reader| {
        let path = reader.inclusion(&name, index, size)?;
        Ok((path, id(reader, position)?))
    });
    let (path, id) = path.await.map_err(unreadable)?;
    let receipt = tree.note.as_ref().map(|note| Receipt {
        record: id,
        index,
        path: path.clone(),
        note: note.clone(),
    });
    Ok(InclusionProof {
        origin,
        leaf_index: index,
        leaf_hash: leaf.0.to_vec(),
        tree_size: tree.size,
        root_hash: tree.root.0.to_vec(),
        hashes: hashes(path),
        checkpoint: tree.note.unwrap_or_default(),
        tlog_proof: receipt.map(|it| it.text()).unwrap_or_default(),
    })
}

async fn consistency(
    trail: &Trail,
    request: ConsistencyProofRequest,
) -> Result<ConsistencyProof, Error> {
    let origin = origin("consistency.origin", request.origin, trail)?;
    let (first, field) = (request.first_size, "consistency.second_size");
    let tree = Tree::find(trail, &origin, request.second_size, first, field).await?;
    if first > tree.size {
        let fault = format!("is larger than the later tree, which has {}", tree.size);
        return Err(invalid("consistency.first_size", fault));
    }
    let (size, name) = (tree.size, origin.clone());
    let proof = trail.read(move |reader| {
        let root = reader.root(&name, first)?;
        Ok((root, reader.consistency(&name, first, size)?))
    });
    let (root, path) = proof.await.map_err(unreadable)?;
    Ok(ConsistencyProof {
        origin,
        first_size: first,
        first_root_hash: root.0.to_vec(),
        second_size: tree.size,
        second_root_hash: tree.root.0.to_vec(),
        hashes: hashes(path),
        checkpoint: tree.note.unwrap_or_default(),
    })
}

fn hashes(path: Vec<Hash>) -> Vec<Vec<u8>> {
    path.into_iter().map(|it| it.0.to_vec()).collect()
}

/// A record's own id; empty if it was pruned.
fn id(reader: &Reader, position: Position) -> Result<String, audit::Error> {
    let mut record = reader.records(Query {
        order: Order::Oldest,
        after: position.0.checked_sub(1).map(Position),
        before: Some(Position(position.0 + 1)),
        limit: Some(1),
        budget: Some(1),
        ..Query::default()
    });
    let record = record.next().transpose()?;
    Ok(record.map(|it| it.record.id).unwrap_or_default())
}

/// A tree at a size, with the checkpoint of that, if it can be had.
struct Tree {
    size: u64,
    root: Hash,
    note: Option<String>,
}

impl Tree {
    /// The tree of that size, or else that of its latest checkpoint, which is to have
    /// `least` records.
    async fn find(
        trail: &Trail,
        origin: &str,
        size: Option<u64>,
        least: u64,
        field: &'static str,
    ) -> Result<Self, Error> {
        let is_own = origin == trail.settings().origin;
        let signer = trail.settings().signer.clone().filter(|_| is_own);
        for left in (0..TIMES).rev() {
            let (name, signer) = (origin.to_owned(), signer.clone());
            let found = trail.read(move |it| find(it, &name, signer.as_ref(), size));
            let Found { tree, most } = found.await.map_err(unreadable)?;
            let Some(tree) = tree else {
                return Err(match (most, size) {
                    (Some(most), Some(_)) => {
                        invalid(field, format!("is more than the tree has, which is {most}"))
                    }
                    _ => Error::RecordNotFound,
                });
            };
            // that of another gateway comes within a second
            if size.is_some() || is_own || tree.size >= least || left == 0 {
                return Ok(tree);
            }
            tokio::time::sleep(PERIOD).await;
        }
        Err(Error::RecordNotFound)
    }
}

struct Found {
    tree: Option<Tree>,
    /// How many records the tree has; `None` if there is no such tree.
    most: Option<u64>,
}

fn find(
    reader: &Reader,
    origin: &str,
    signer: Option<&Signer>,
    size: Option<u64>,
) -> Result<Found, audit::Error> {
    let origins = reader.origins()?;
    let most = origins
        .iter()
        .find_map(|(name, size)| (name == origin).then_some(*size));
    let newest = match signer {
        Some(_) => None,
        None => published(reader, origin)?,
    };
    let wanted = size
        .or_else(|| newest.as_ref().map(|(it, _)| it.size))
        .or(most);
    let Some(size) = wanted.filter(|it| most.is_some_and(|most| *it <= most)) else {
        return Ok(Found { tree: None, most });
    };
    let frontier: Frontier = reader.tree(origin, size)?;
    let note = match signer {
        Some(signer) => Some(Checkpoint::sign(signer, &frontier).note),
        None => newest
            .filter(|(it, _)| it.size == size)
            .map(|(_, note)| note),
    };
    let tree = Tree {
        size,
        root: frontier.root(),
        note,
    };
    Ok(Found {
        tree: Some(tree),
        most,
    })
}
