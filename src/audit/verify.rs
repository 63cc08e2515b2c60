//! Verifies a trail: that it is what was signed, and that what is kept beside the
//! records says what they say.
//!
//! Nothing is believed but the public keys and the checkpoints that were kept
//! elsewhere. Every record's bytes are hashed anew and the tree over them is grown
//! anew; its roots are held against every signed checkpoint, its parts against
//! the stored hashes. Records whose bytes were pruned count by their hashes.

mod beside;
mod reading;
mod said;
mod tree;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use super::{
    Error, Settings,
    checkpoint::Checkpoint,
    note::{self, Verifier},
    receipt::{self, Receipt},
    tree::Hash,
};
use reading::{Begun, Chunk, KeptBeside, Reading};

/// What a trail is held against.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The public keys of the trees' signers, by the names of the origins.
    pub keys: Vec<Verifier>,
    /// Checkpoints that were kept elsewhere: signed notes.
    pub checkpoints: Vec<String>,
    /// Receipts that callers got.
    pub receipts: Vec<Receipt>,
}

/// What was found out about a trail.
#[derive(Debug, Default)]
pub struct Report {
    /// Its trees, by their origins.
    pub trees: BTreeMap<String, Tree>,
    /// What is wrong. A trail without any is what was signed.
    pub findings: Vec<Finding>,
    /// How many more findings there were than are told.
    pub untold: u64,
}

/// What was found out about a tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// How many records it has.
    pub size: u64,
    /// Of how many of them the bytes were pruned.
    pub pruned: u64,
    /// Its root.
    pub root: Option<Hash>,
    /// How many signed checkpoints it fits.
    pub checkpoints: u64,
    /// How many of its records the largest of these covers.
    pub covered: u64,
}

/// Something that is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The tree.
    pub origin: String,
    /// The first record that it is about, by its place in the tree.
    pub record: Option<u64>,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.record {
            Some(at) => write!(f, "{}: from record {at} on: {}", self.origin, self.what),
            None => write!(f, "{}: {}", self.origin, self.what),
        }
    }
}

/// The most findings that are told one by one.
const MOST: usize = 100;

impl Report {
    fn find(&mut self, origin: &str, record: Option<u64>, what: impl Into<String>) {
        if self.findings.len() == MOST {
            self.untold += 1;
            return;
        }
        self.findings.push(Finding {
            origin: origin.to_owned(),
            record,
            what: what.into(),
        });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// How far a verification has come: records done, records in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Verifies a trail. It reads all of it, and nothing but it: no server, no network.
///
/// # Errors
/// [`Error`] if the trail can't be read. What is wrong in it is no error.
pub fn verify(
    settings: &Settings,
    evidence: &Evidence,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let reading = Reading::start(settings)?;
    let Begun {
        trees,
        beside: kept_beside,
    } = reading.begun()?;
    let total = trees.iter().map(|it| it.size).sum();
    let known = |name: &str| trees.iter().any(|it| it.origin == name);
    let given = given(evidence, &known, &mut report);
    // what records say is looked at on a thread of its own, beside their hashes
    let beside = thread::scope(|scope| {
        let (hand, handed) = sync_channel(reading::AHEAD);
        let said = thread::Builder::new().name("audit-verify-said".to_owned());
        let said = said.spawn_scoped(scope, || look_beside(kept_beside, handed));
        let said = said.map_err(Error::Thread)?;
        let mut done = 0;
        for tree in &trees {
            let mut grown = tree::Growing::new(tree, &given, evidence, &mut report);
            while let Some(chunk) = reading.chunk()? {
                let chunk = Arc::new(chunk);
                // if it is gone, its end tells
                let _ = hand.send((tree.origin.as_str(), chunk.clone()));
                for record in chunk.records() {
                    grown.add(&record, &mut report);
                }
                done += chunk.len();
                progress(done, total);
            }
            let found = grown.finish(&reading.subtrees(), &mut report);
            report.trees.insert(tree.origin.clone(), found);
        }
        drop(hand);
        said.join().map_err(|_| Error::ThreadEnded)
    })?;
    let (beside, mut said) = beside;
    beside.finish(&reading.terms()?, &mut said);
    report.findings.append(&mut said.findings);
    report.untold += said.untold;
    // the first record first; what is about none comes last
    let place = |it: &Finding| (it.record.is_none(), it.origin.clone(), it.record);
    report.findings.sort_by_key(place);
    let told = report.findings.len().min(MOST);
    report.untold += report.findings.drain(told..).count() as u64;
    Ok(report)
}

/// What is kept beside the records that are handed over, held against them.
fn look_beside(kept: KeptBeside, handed: Receiver<(&str, Arc<Chunk>)>) -> (beside::Beside, Report) {
    let mut report = Report::default();
    let mut beside = beside::Beside::new(kept);
    for (origin, chunk) in handed {
        for record in chunk.records() {
            beside.add(origin, &record, &mut report);
        }
    }
    (beside, report)
}

/// A checkpoint of a tree that somebody kept.
struct Given {
    checkpoint: Checkpoint,
    /// What it is called in a finding.
    kept_as: &'static str,
}

fn given(evidence: &Evidence, known: &dyn Fn(&str) -> bool, report: &mut Report) -> Vec<Given> {
    let mut given = Vec::new();
    let receipts = evidence.receipts.iter().map(|it| (&it.note, "receipt"));
    let notes = evidence.checkpoints.iter().map(|it| (it, "checkpoint"));
    for (note, kept_as) in notes.chain(receipts) {
        match open(note, &evidence.keys) {
            Ok(checkpoint) if known(&checkpoint.origin) => given.push(Given {
                checkpoint,
                kept_as,
            }),
            Ok(checkpoint) => {
                let what = format!("a {kept_as} is of this tree, and the trail has no such tree");
                report.find(&checkpoint.origin, Some(0), what);
            }
            Err(fault) => report.find(
                "the evidence",
                None,
                format!("a {kept_as} can't be used: {fault}"),
            ),
        }
    }
    given
}

/// Opens a note by the key of its origin.
fn open(note: &str, keys: &[Verifier]) -> Result<Checkpoint, note::Error> {
    let says = Checkpoint::unverified(note)?;
    let mut fault = note::Error::NotSigned(says.origin.clone());
    // there may be several: an origin may have had more than one key
    for key in keys.iter().filter(|it| it.name() == says.origin) {
        match Checkpoint::open(note, key) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(why) => fault = why,
        }
    }
    Err(fault)
}

/// Checks that a receipt proves this record by itself, without any trail.
///
/// # Errors
/// [`receipt::Error`] if it does not.
pub fn proves(
    receipt: &Receipt,
    record: &[u8],
    keys: &[Verifier],
) -> Result<Checkpoint, receipt::Error> {
    let mut fault = receipt::Error::Checkpoint(note::Error::NotSigned("any key given".to_owned()));
    for key in keys {
        match receipt.verify(Hash::leaf(record), key) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(why) => fault = why,
        }
    }
    Err(fault)
}
