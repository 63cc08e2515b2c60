//! Checkpoints and proofs hold, for whoever has the public key alone.

use keygate::{
    audit::{
        Receipt,
        checkpoint::Checkpoint,
        note::{Signer, Verifier},
        tree::{Hash, proof},
    },
    contract::proto::keygate::audit::v1::{
        ConsistencyProof, ConsistencyProofRequest, GetCheckpointRequest, GetCheckpointResponse,
        GetProofRequest, GetProofResponse, InclusionProof, InclusionProofRequest,
        ListRecordsRequest, RecordOrder, get_proof_request, get_proof_response,
    },
    tasks::Tasks,
};

use super::{Auditor, leave_a_record};
use crate::support::{
    serve::Setup,
    served::{SANDBOX_POLICY, Served},
};

fn verifier(setup: &Setup) -> Verifier {
    let signer = Signer::load(&setup.folder.path().join("signing.pem"), "keygate");
    signer.unwrap().verifier().clone()
}

fn inclusion(position: u64, tree_size: Option<u64>) -> GetProofRequest {
    let request = InclusionProofRequest {
        position,
        tree_size,
    };
    GetProofRequest {
        proof: Some(get_proof_request::Proof::Inclusion(request)),
    }
}

fn consistency(first_size: u64, second_size: Option<u64>) -> GetProofRequest {
    let request = ConsistencyProofRequest {
        origin: String::new(),
        first_size,
        second_size,
    };
    GetProofRequest {
        proof: Some(get_proof_request::Proof::Consistency(request)),
    }
}

impl Auditor {
    async fn inclusion(&self, position: u64, size: Option<u64>) -> InclusionProof {
        let answer: GetProofResponse = self.ask("GetProof", &inclusion(position, size)).await;
        match answer.proof {
            Some(get_proof_response::Proof::Inclusion(proof)) => proof,
            other => panic!("{other:?}"),
        }
    }

    async fn consistency(&self, first: u64, second: Option<u64>) -> ConsistencyProof {
        let answer: GetProofResponse = self.ask("GetProof", &consistency(first, second)).await;
        match answer.proof {
            Some(get_proof_response::Proof::Consistency(proof)) => proof,
            other => panic!("{other:?}"),
        }
    }
}

fn hash(bytes: &[u8]) -> Hash {
    bytes.try_into().unwrap()
}

fn path(hashes: &[Vec<u8>]) -> Vec<Hash> {
    hashes.iter().map(|it| hash(it)).collect()
}

async fn records(served: &Served, count: usize) {
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    let tasks = Tasks::new();
    let calling = (0..8).map(|_| {
        let (client, admin) = (client.clone(), admin.clone());
        tasks.spawn(async move {
            for _ in 0..count / 8 {
                leave_a_record(&client, &admin).await;
            }
        })
    });
    for it in calling.collect::<Vec<_>>() {
        it.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_proved_to_be_in_trees_of_every_size() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    records(&served, 304).await;
    let (auditor, verifier) = (Auditor::new(&served), verifier(&served.setup));
    let request = ListRecordsRequest {
        order: RecordOrder::OldestFirst.into(),
        page_size: 1000,
        ..ListRecordsRequest::default()
    };
    let listed = auditor.page(&request).await.records;
    // about the powers of two, and where 256 leaves make a subtree that is kept
    for (position, size) in [
        (0, 1),
        (0, 2),
        (1, 3),
        (5, 8),
        (7, 8),
        (8, 9),
        (0, 255),
        (254, 255),
        (255, 256),
        (3, 257),
        (256, 257),
        (100, 300),
        (299, 300),
    ] {
        let proof = auditor.inclusion(position, Some(size)).await;
        let record = &listed[usize::try_from(position).unwrap()];
        assert_eq!(proof.leaf_hash, record.leaf_hash);
        assert_eq!((proof.leaf_index, proof.tree_size), (position, size));
        let leaf = Hash::leaf(&record.body);
        let root = proof::root_by_inclusion(leaf, position, size, &path(&proof.hashes));
        assert_eq!(root, Some(hash(&proof.root_hash)), "{position} of {size}");
        let checkpoint = Checkpoint::open(&proof.checkpoint, &verifier).unwrap();
        assert_eq!((checkpoint.size, Some(checkpoint.root)), (size, root));
        // and as one text
        let receipt = Receipt::read(&proof.tlog_proof).unwrap();
        assert_eq!(receipt.record, record.id);
        assert_eq!(receipt.verify(leaf, &verifier).unwrap(), checkpoint);
        assert!(receipt.verify(Hash::leaf(b"another"), &verifier).is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_is_proved_to_begin_with_every_earlier_one() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    records(&served, 304).await;
    let (auditor, verifier) = (Auditor::new(&served), verifier(&served.setup));
    for (first, second) in [
        (0, 5),
        (1, 2),
        (3, 7),
        (5, 5),
        (64, 300),
        (255, 256),
        (256, 257),
    ] {
        let proof = auditor.consistency(first, Some(second)).await;
        let (old, new) = (hash(&proof.first_root_hash), hash(&proof.second_root_hash));
        let hashes = path(&proof.hashes);
        assert!(
            proof::is_consistent((first, old), (second, new), &hashes),
            "{first} of {second}"
        );
        let checkpoint = Checkpoint::open(&proof.checkpoint, &verifier).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (second, new));
        if first > 0 && first < second {
            let other = Hash::leaf(b"another");
            assert!(!proof::is_consistent(
                (first, other),
                (second, new),
                &hashes
            ));
        }
    }
    let latest = auditor.consistency(300, None).await;
    assert!(latest.second_size > 304);
}

#[tokio::test]
async fn the_latest_checkpoint_has_all_that_was_answered_before() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let (auditor, verifier) = (Auditor::new(&served), verifier(&served.setup));
    let (client, admin) = (served.client(), served.token("admin", &["admin"]));
    let mut before: Option<Checkpoint> = None;
    for count in 0..10_u64 {
        leave_a_record(&client, &admin).await;
        let request = GetCheckpointRequest::default();
        let answer: GetCheckpointResponse = auditor.ask("GetCheckpoint", &request).await;
        let checkpoint = Checkpoint::open(&answer.checkpoint, &verifier).unwrap();
        assert_eq!(answer.origin, "keygate");
        assert_eq!(answer.tree_size, checkpoint.size);
        assert_eq!(hash(&answer.root_hash), checkpoint.root);
        // that call, and those before with what asked about them
        assert!(
            checkpoint.size > 2 * count,
            "{} after {count}",
            checkpoint.size
        );
        if let Some(before) = before {
            let proof = auditor
                .consistency(before.size, Some(checkpoint.size))
                .await;
            let new = (checkpoint.size, checkpoint.root);
            let hashes = path(&proof.hashes);
            assert!(proof::is_consistent(
                (before.size, before.root),
                new,
                &hashes
            ));
        }
        before = Some(checkpoint);
    }
    // the newest record is proved at once
    let newest = before.unwrap().size;
    let proof = auditor.inclusion(newest, None).await;
    assert!(proof.tree_size > newest && !proof.tlog_proof.is_empty());
}

#[tokio::test]
async fn what_there_is_no_proof_of_is_told() {
    let served = Served::with_policy(SANDBOX_POLICY).await;
    let auditor = Auditor::new(&served);
    records(&served, 16).await;
    let other = |origin: &str| GetProofRequest {
        proof: Some(get_proof_request::Proof::Consistency(
            ConsistencyProofRequest {
                origin: origin.to_owned(),
                ..ConsistencyProofRequest::default()
            },
        )),
    };
    for (request, reason, field) in [
        (inclusion(1 << 40, None), "RECORD_NOT_FOUND", ""),
        (
            inclusion(3, Some(1 << 40)),
            "INVALID_REQUEST",
            "inclusion.tree_size",
        ),
        (
            inclusion(3, Some(3)),
            "INVALID_REQUEST",
            "inclusion.tree_size",
        ),
        (
            inclusion(0, Some(0)),
            "INVALID_REQUEST",
            "inclusion.tree_size",
        ),
        (
            consistency(3, Some(1 << 40)),
            "INVALID_REQUEST",
            "consistency.second_size",
        ),
        (
            consistency(5, Some(4)),
            "INVALID_REQUEST",
            "consistency.first_size",
        ),
        (
            consistency(u64::MAX, None),
            "INVALID_REQUEST",
            "consistency.first_size",
        ),
        (other("unheard-of"), "RECORD_NOT_FOUND", ""),
        (GetProofRequest::default(), "INVALID_REQUEST", "proof"),
    ] {
        let answer = auditor.call("GetProof", &request).await;
        assert_eq!(answer.reason(), reason, "{request:?}");
        let details = answer.details().unwrap();
        let violations = details.bad_request().map(|it| it.field_violations.clone());
        let violations = violations.unwrap_or_default();
        let told = violations.first().map_or("", |it| &it.field);
        assert_eq!(told, field, "{request:?}");
    }
    let request = GetCheckpointRequest {
        origin: "unheard-of".to_owned(),
    };
    let answer = auditor.call("GetCheckpoint", &request).await;
    assert_eq!(answer.reason(), "RECORD_NOT_FOUND");
}

#[tokio::test]
async fn without_a_key_there_are_proofs_and_no_checkpoints() {
    let setup = Setup::new("", "").await;
    setup.write("policy.toml", SANDBOX_POLICY);
    let config = std::fs::read_to_string(setup.config()).unwrap();
    let unsigned = config.replace("signing_key = ", "# signing_key = ");
    assert_ne!(config, unsigned);
    setup.write("keygate.toml", &unsigned);
    let gateway = setup.serve().await;
    let auditor = Auditor {
        client: gateway.client(),
        token: setup.token_of("the-auditor", &["auditor"]),
    };
    let request = GetCheckpointRequest::default();
    let answer = auditor.call("GetCheckpoint", &request).await;
    assert_eq!(
        (answer.code(), answer.reason().as_str()),
        ("FAILED_PRECONDITION", "TRAIL_NOT_SIGNED")
    );
    let proof = auditor.inclusion(0, None).await;
    assert!(proof.checkpoint.is_empty() && proof.tlog_proof.is_empty());
    let leaf = hash(&proof.leaf_hash);
    let root = proof::root_by_inclusion(leaf, 0, proof.tree_size, &path(&proof.hashes));
    assert_eq!(root, Some(hash(&proof.root_hash)));
}
