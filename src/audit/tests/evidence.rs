//! The tree over a trail's records, and what vouches for it.

use super::*;
use crate::audit::{
    note::tests::signer,
    tree::{Hash, proof},
};

fn signing(folder: &Folder) -> Settings {
    Settings {
        origin: "example.com/trail".to_owned(),
        signer: Some(signer("example.com/trail")),
        ..folder.settings()
    }
}

async fn append(trail: &Trail, count: usize) -> Vec<Receipt> {
    let records = (0..count).map(|it| trail.record(Kind::Refused, &it.to_string()).into());
    let appended = trail.append_for_receipts(records.collect()).await;
    appended.unwrap().receipts
}

#[tokio::test]
async fn a_receipt_proves_its_record_and_a_later_checkpoint_holds_it() {
    let folder = Folder::new();
    let settings = signing(&folder);
    let verifier = settings.signer.as_ref().unwrap().verifier().clone();
    let mut receipts = Vec::new();
    // over more than one stored level, and over two starts
    for counts in [vec![1, 2, 300], vec![7, 1, 600]] {
        let trail = Trail::open(&settings, Clock::system(), Random::system()).unwrap();
        for count in counts {
            receipts.extend(append(&trail, count).await);
        }
        trail.close().await.unwrap();
    }
    let trail = Trail::open(&settings, Clock::system(), Random::system()).unwrap();
    let newest = trail.checkpoint().unwrap().checkpoint;
    assert_eq!(newest.size, 911);
    let reader = trail.reader().unwrap();
    let all: Vec<_> = reader
        .records(Query {
            order: Order::Oldest,
            ..Query::default()
        })
        .map(Result::unwrap)
        .collect();
    assert_eq!(reader.root(&settings.origin, 911).unwrap(), newest.root);
    for (stored, receipt) in all.iter().zip(&receipts) {
        assert_eq!(stored.leaf, Hash::leaf(&stored.body));
        assert_eq!(stored.index, receipt.index);
        assert_eq!(stored.record.id, receipt.record);
        let then = receipt.verify(stored.leaf, &verifier).unwrap();
        let (old, new) = ((then.size, then.root), (newest.size, newest.root));
        let path = reader.consistency(&settings.origin, then.size, newest.size);
        assert!(proof::is_consistent(old, new, &path.unwrap()));
        let path = reader.inclusion(&settings.origin, stored.index, newest.size);
        let root = proof::root_by_inclusion(stored.leaf, stored.index, newest.size, &path.unwrap());
        assert_eq!(root, Some(newest.root));
    }
    assert_eq!(receipts.len(), 911);
}

#[tokio::test]
async fn a_trail_that_is_not_what_it_said_is_not_opened() {
    let folder = Folder::new();
    let settings = signing(&folder);
    let trail = Trail::open(&settings, Clock::system(), Random::system()).unwrap();
    append(&trail, 5).await;
    trail.keep(trail.checkpoint().unwrap()).await;
    trail.close().await.unwrap();
    let other = Settings {
        origin: "example.com/other".to_owned(),
        signer: None,
        ..settings.clone()
    };
    let told = Trail::open(&other, Clock::system(), Random::system()).unwrap_err();
    assert!(
        told.to_string().contains("begun as `example.com/trail`"),
        "{told}"
    );
    let connection = Connection::open(folder.path()).unwrap();
    connection
        .execute("DELETE FROM records WHERE position = 4", [])
        .unwrap();
    drop(connection);
    let told = Trail::open(&settings, Clock::system(), Random::system()).unwrap_err();
    assert!(told.to_string().contains("keygate audit verify"), "{told}");
}

#[tokio::test]
async fn without_a_key_there_are_no_receipts() {
    let folder = Folder::new();
    let trail = folder.open();
    assert_eq!(append(&trail, 2).await, []);
    assert_eq!(trail.checkpoint(), None);
}
