//! The trail as the rest of keygate holds it.

mod appending;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Availability, Error, Fingerprint, Fingerprinter, Kind, Owner, Position, Reader, Receipt,
    Record, Settings,
    checkpoint::{Checkpoint, Signed},
    debts::Debts,
    owners::{self, Question},
    reading::Readers,
    store::{self, Batch, Hashed, Store, View},
    tree::{Frontier, proof},
    writer::{self, Command, Ended, Failure, Writer},
};
use crate::{clock::Clock, random::Random};

/// How many records may wait for the disk. Calls in flight are bounded elsewhere;
/// this has room for all of them being cancelled at once.
const QUEUE: usize = 65_536;

/// What was appended: it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the first record is. The others follow it.
    pub position: Position,
    /// A receipt for each, if they were asked for and there is a key to sign with.
    pub receipts: Vec<Receipt>,
}

/// How often the trail is looked after while nothing is written.
const LOOK: Duration = Duration::from_millis(250);

/// How many questions about owners may wait.
const QUESTIONS: usize = 1024;

/// An audit trail that is open for writing. Cheap to clone.
#[derive(Clone)]
pub struct Trail(Arc<Inner>);

struct Inner {
    settings: Settings,
    head: watch::Receiver<Frontier>,
    availability: watch::Receiver<Availability>,
    queue: mpsc::Sender<Command>,
    questions: mpsc::Sender<Question>,
    readers: Readers,
    fingerprinter: Fingerprinter,
    /// Only what a benchmark compares with keeps nothing.
    keeps: bool,
    failure: Failure,
    ended: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
    clock: Clock,
    random: Random,
}

impl Trail {
    /// Opens the trail, and makes it if there is none. Intents that a crash has
    /// left without an outcome get the outcome `unknown` before this returns.
    ///
    /// It reads and writes files, and belongs into the start of a process.
    ///
    /// # Errors
    /// [`Error`] if the trail is in use, is not a trail, or can't be written.
    pub fn open(settings: &Settings, clock: Clock, random: Random) -> Result<Self, Error> {
        let store = store::open(settings, &clock, &random)?;
        Self::start(store, settings.clone(), clock, random)
    }

    pub(super) fn start(
        mut store: Box<dyn Store>,
        settings: Settings,
        clock: Clock,
        random: Random,
    ) -> Result<Self, Error> {
        let fingerprinter = store.fingerprinter(&random)?;
        let reading = store.view()?;
        let mut tree = reading.tree(&settings.origin)?;
        hold_against_checkpoint(&*reading, &settings, &tree)?;
        let left = store.open_intents()?;
        let unknown = left.iter().map(|it| writer::unknown(it, &clock, &random));
        let mut batch = Batch::new(&tree, unknown, Vec::new())?;
        if !batch.rows.is_empty() {
            store.write(&mut batch)?;
            tree = batch.tree;
        }

        let (head, followed) = watch::channel(tree);
        let (availability, available) = watch::channel(Availability::default());
        let writer = Writer {
            store,
            head,
            signer: settings.signer.clone(),
            availability,
            clock: clock.clone(),
            random: random.clone(),
            debts: Debts::default(),
        };
        let (queue, commands) = mpsc::channel(QUEUE);
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let failure = Failure::default();
        let ended = CancellationToken::new();
        let end = Ended {
            failure: failure.clone(),
            signal: ended.clone(),
            orderly: false,
        };
        thread::Builder::new()
            .name("audit-owners".to_owned())
            .spawn(move || owners::run(&*reading, asked))
            .map_err(Error::Thread)?;
        let writer = thread::Builder::new()
            .name("audit-writer".to_owned())
            .spawn(move || writer::run(writer, commands, end))
            .map_err(Error::Thread)?;
        Ok(Self(Arc::new(Inner {
            settings,
            head: followed,
            availability: available,
            queue,
            questions,
            readers: Readers::default(),
            fingerprinter,
            keeps: true,
            failure,
            ended,
            writer: Mutex::new(Some(writer)),
            clock,
            random,
        })))
    }

    /// A trail that keeps nothing, and says at once that it did: what a benchmark
    /// holds the cost of a trail against. No setting leads here.
    ///
    /// # Errors
    /// None; it is made in the place of [`Self::open`].
    #[doc(hidden)]
    pub fn unkept(settings: &Settings, clock: Clock, random: Random) -> Result<Self, Error> {
        tracing::warn!("nothing of what is done here is recorded: this is a benchmark");
        let key = Zeroizing::new(random.bytes::<32>().to_vec());
        let fingerprinter = Fingerprinter::new(&[(1, key)]).ok_or(Error::Closed)?;
        let ended = CancellationToken::new();
        ended.cancel();
        Ok(Self(Arc::new(Inner {
            settings: settings.clone(),
            head: watch::channel(Frontier::default()).1,
            availability: watch::channel(Availability::default()).1,
            queue: mpsc::channel(1).0,
            questions: mpsc::channel(1).0,
            readers: Readers::default(),
            fingerprinter,
            keeps: false,
            failure: Failure::default(),
            ended,
            writer: Mutex::new(None),
            clock,
            random,
        })))
    }

    /// A record of a call, with an id of its own and the time of day.
    #[must_use]
    pub fn record(&self, kind: Kind, call: &str) -> Record {
        let now = self.0.clock.now();
        Record::new(kind, call, self.0.random.uuid_at(now).to_string(), now)
    }

    /// The next record of the same call, with an id of its own and the time of day.
    #[must_use]
    pub fn next(&self, before: &Record, kind: Kind) -> Record {
        let now = self.0.clock.now();
        before.next(kind, self.0.random.uuid_at(now).to_string(), now)
    }

    /// Who made these keys, by what they are known by. A key that the trail does not
    /// know is left out.
    ///
    /// # Errors
    /// [`Error`] if the trail can't be read.
    pub async fn owners(
        &self,
        upstream: &str,
        resource_type: &str,
        ids: &[String],
    ) -> Result<HashMap<String, Owner>, Error> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            upstream: upstream.to_owned(),
            resource_type: resource_type.to_owned(),
            ids: ids.to_vec(),
            answer,
        };
        if self.0.questions.send(question).await.is_err() {
            return Err(Error::ThreadEnded);
        }
        answered.await.map_err(|_| Error::ThreadEnded)?
    }

    /// The tree with everything that is committed, as it grows.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Frontier> {
        self.0.head.clone()
    }

    /// The signed checkpoint of everything that is committed; `None` if there is no
    /// key to sign it with.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Signed> {
        let signer = self.0.settings.signer.as_ref()?;
        let tree = self.0.head.borrow().clone();
        Some(Checkpoint::sign(signer, &tree))
    }

    /// Keeps a checkpoint that was sent out beside the records. It is not waited for.
    pub async fn keep(&self, checkpoint: Signed) {
        // a trail that is closed or has failed keeps none
        let _ = self.0.queue.send(Command::Keep(checkpoint)).await;
    }

    /// Where the trail is kept, and under which name.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Opens the trail once more, to read it. It reads files, so it belongs where
    /// that may take a while.
    ///
    /// # Errors
    /// [`Error`] if it can't be read.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::open(&self.0.settings)
    }

    /// What a record holds in the place of this secret.
    #[must_use]
    pub fn fingerprint(&self, secret: &str) -> Fingerprint {
        self.0.fingerprinter.fingerprint(secret)
    }

    /// What records may hold in the place of this secret, under any of the retained
    /// keys.
    #[must_use]
    pub fn fingerprints(&self, secret: &str) -> Vec<Fingerprint> {
        self.0.fingerprinter.all(secret)
    }

    /// Sees to it that the trail fails within a second when its files are gone or
    /// can't be written to, also while nothing is written. It ends with the trail.
    pub async fn watch(&self) {
        let queue = self.0.queue.downgrade();
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(queue) = queue.upgrade() else {
                return;
            };
            // a queue that is full has a writer who looks by itself
            if let Err(TrySendError::Closed(_)) = queue.try_send(Command::Watch) {
                return;
            }
        }
    }

    /// Is cancelled when the trail fails. Cancelling it changes nothing here.
    #[must_use]
    pub fn failed(&self) -> CancellationToken {
        self.0.failure.signal()
    }

    /// Asks something of the thread that writes.
    pub(super) async fn send(&self, command: Command) -> Result<(), Error> {
        let sent = self.0.queue.send(command).await;
        sent.map_err(|_| self.refusal())
    }

    /// What is told to whom the thread does not answer.
    pub(super) fn refusal(&self) -> Error {
        self.0.failure.refusal()
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.0.readers
    }

    pub(super) fn random(&self) -> &Random {
        &self.0.random
    }

    /// The version of the key that fingerprints are made with.
    #[must_use]
    pub fn fingerprint_key_version(&self) -> u32 {
        self.0.fingerprinter.version()
    }

    /// Why the trail has failed; `None` as long as it has not.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<Error>> {
        self.0.failure.get()
    }

    /// Writes what is queued, moves everything into the trail's one file and ends
    /// the thread. Clones of the trail accept nothing after this.
    ///
    /// # Errors
    /// [`Error::Failed`] if the trail has failed, now or before.
    pub async fn close(self) -> Result<(), Error> {
        // An error says that the thread has ended already.
        let _ = self.0.queue.send(Command::Close).await;
        self.0.ended.cancelled().await;
        let writer = self
            .0
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            // It has told that it is ending; its panic counts as a failure already.
            let _ = writer.join();
        }
        self.0
            .failure
            .get()
            .map_or(Ok(()), |it| Err(Error::Failed(it)))
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail")
            .field("failed", &self.0.failure.get().is_some())
            .finish_non_exhaustive()
    }
}

/// Refuses a trail that is not what its own newest checkpoint says it was.
fn hold_against_checkpoint(
    view: &dyn View,
    settings: &Settings,
    tree: &Frontier,
) -> Result<(), Error> {
    let origin = settings.origin.as_str();
    let Some(note) = view.checkpoint(origin)? else {
        return Ok(());
    };
    // whoever has signed it: keys may change. This finds damage; who has done it is
    // for the verifier to find.
    let checkpoint = Checkpoint::unverified(&note).map_err(|_| view.damaged())?;
    if checkpoint.size > tree.size() {
        return Err(view.damaged());
    }
    let root = proof::root(&Hashed { view, origin }, checkpoint.size)?;
    if root == checkpoint.root {
        Ok(())
    } else {
        Err(view.damaged())
    }
}
