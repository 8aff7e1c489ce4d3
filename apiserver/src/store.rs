//! The store: decides writes, issues revisions, and shows what was written to readers and watchers.
//!
//! Writers queue. One writes for all that have queued by then, as one group: it checks what each write expects, appends
//! the group to the log, publishes it to the snapshots and rings, and answers everybody. So nothing that can be read
//! was not written, and nothing acknowledged is not yet readable. What may be lost in a power cut is the exception: it
//! is shown at once and written with others later.
//!
//! Objects are read from memory. On disk there are two things: the log, to which each group is appended and synced before
//! it is shown, and behind it the base, a database of redb, to which a checkpoint now and then brings the last state of
//! each object that the log changed, in one transaction; then the log begins anew. What is opened is the base and the log
//! since. A log stands in front as a group costs it one append and one sync; the same group as a transaction of redb was
//! measured at 20 to 40 times that.
//!
//! Revisions are reserved on disk in blocks. A start begins past the block of the run before, so none is issued twice.

mod backend;
mod backup;
mod base;
mod birth;
mod checkpoint;
mod cut;
mod disk;
mod draft;
mod error;
mod figures;
mod group;
mod history;
mod keys;
mod log;
mod medium;
mod place;
mod record;
mod recover;
mod segment;
mod shelves;
mod volatile;
mod writer;

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use api::{Key, Object, Revision};
use futures::stream::{FuturesUnordered, StreamExt};
use imbl::OrdMap;
use tokio::sync::{oneshot, watch};

pub use backup::{Backup, Restored, restore, verify};
pub use draft::{Draft, at_revision};
pub use error::StoreError;
pub use figures::{Figures, Histogram};
pub use history::{Change, Effect, Follower, Snapshot, TooOld};
pub use keys::{Collection, StoreKey};
pub use volatile::write_lazily;

use base::Rows;
use disk::Disk;
use figures::Counters;
use group::{BLOCK, Pen};
use history::Shelf;
use place::Place;
use shelves::Shelves;
use writer::{Job, Queue, Waiting, Writer};

/// The first revision of a new store: 0 and 1 are never a state, as 0 means "any" to clients.
pub(crate) const BEGINNING: Revision = Revision(1);

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No object.
    Absent,
    /// The object in this revision.
    At(Revision),
}

/// The next state of one object.
pub enum Next {
    /// This one.
    Put(Draft),
    /// None; the draft is the last state that watchers see.
    Remove(Draft),
}

/// One change of one object.
pub struct Write {
    /// Which object.
    pub key: StoreKey,
    /// The state from which the change was decided.
    pub expected: Expected,
    /// The state to be.
    pub next: Next,
    /// Held until the write can be read or was refused, such as a reservation.
    pub hold: Option<Box<dyn Any + Send>>,
}

impl Write {
    /// The length of its JSON, about.
    fn size(&self) -> usize {
        match &self.next {
            Next::Put(draft) | Next::Remove(draft) => draft.size(),
        }
    }
}

/// Why a write was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The object is not in the state that was expected; holds the state it is in.
    #[error("the object is not as expected")]
    Conflict(Option<Object>),
    /// The group could not be written; nothing of it was.
    #[error("the write failed")]
    Failed(#[source] Arc<StoreError>),
    /// The process is ending.
    #[error("the store is closing")]
    Closing,
}

/// What became of a write: the object as stored, or in its last state with the revision of its removal.
pub type Outcome = Result<Object, Refused>;

/// The store. A clone is a reference; with the last of them it is closed.
#[derive(Clone)]
pub struct Store(Arc<Handle>);

/// What ends the writer when nobody holds the store any more.
struct Handle {
    shared: Arc<Shared>,
    writer: Writer,
}

/// What callers and the one who writes share.
struct Shared {
    shelves: Shelves,
    queue: Queue,
    counters: Arc<Counters>,
    /// Whether something waits to be written.
    deferred: watch::Sender<bool>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.writer.end(&self.shared);
    }
}

impl Store {
    /// An empty store in memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        let shelves = Shelves::new(BTreeMap::new(), BEGINNING);
        let pen = Pen { disk: None, last: BEGINNING, reserved: BEGINNING };
        Self::new(shelves, Arc::default(), |_| Ok(Writer::Caller(Box::new(Mutex::new(pen)))))
    }

    /// The store in a file, made if there is none. `inline` keeps even the waiting for the device on the caller's
    /// thread, for virtual time.
    ///
    /// A file that is not what this program wrote is refused and left as it is.
    pub fn open(path: &Path, inline: bool) -> Result<Self, StoreError> {
        Self::open_in(place::lock(path)?, inline)
    }

    fn open_in(place: Place, inline: bool) -> Result<Self, StoreError> {
        let counters = Arc::<Counters>::default();
        let path = place.path.clone();
        let (mut disk, rows, last) = Disk::open(place, inline, Arc::clone(&counters))?;
        let last = last.max(BEGINNING);
        let shelves = Shelves::new(objects(&path, rows)?, last);
        let reserved = Revision(last.0 + BLOCK);
        disk.write(Vec::new(), reserved)?;
        let pen = Pen { disk: Some(disk), last, reserved };
        Self::new(shelves, counters, |shared| match inline {
            true => Ok(Writer::Caller(Box::new(Mutex::new(pen)))),
            false => Writer::thread(shared, pen).map_err(|source| StoreError::Open { path, source }),
        })
    }

    fn new(
        shelves: Shelves,
        counters: Arc<Counters>,
        writer: impl FnOnce(&Arc<Shared>) -> Result<Writer, StoreError>,
    ) -> Result<Self, StoreError> {
        let deferred = watch::Sender::new(false);
        let shared = Arc::new(Shared { shelves, queue: Queue::default(), counters, deferred });
        let writer = writer(&shared)?;
        Ok(Self(Arc::new(Handle { shared, writer })))
    }

    /// Carries out the writes whose expectation holds; one answer for each, in order.
    ///
    /// Once this was polled, a write may be carried out even if nobody waits for the answer any more.
    pub async fn commit(&self, writes: Vec<Write>) -> Vec<Outcome> {
        let count = writes.len();
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Write(Waiting { writes, answer }));
        answered.await.unwrap_or_else(|_| (0..count).map(|_| Err(Refused::Closing)).collect())
    }

    fn submit(&self, job: Job) {
        self.0.writer.submit(&self.0.shared, job);
    }

    /// Writes what was acknowledged but may be lost in a power cut.
    pub async fn flush(&self) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Flush(answer));
        answered.await.unwrap_or(Err(Refused::Closing))
    }

    /// Whether there is something to [flush](Self::flush).
    fn deferred(&self) -> watch::Receiver<bool> {
        self.0.shared.deferred.subscribe()
    }

    /// A backup of everything at one revision; writing goes on meanwhile.
    pub async fn backup(&self) -> Result<Backup, Refused> {
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Cut(answer));
        answered.await.map(Backup::new).map_err(|_| Refused::Closing)
    }

    /// What the store counted.
    pub fn figures(&self) -> Figures {
        let shelves = self.0.shared.shelves.by_collection.load();
        let count = |(collection, shelf): (&Collection, &Arc<Shelf>)| {
            (collection.to_string(), shelf.snapshot().len())
        };
        Figures { objects: shelves.iter().map(count).collect(), ..self.0.shared.counters.read() }
    }

    /// Writes one object.
    pub async fn commit_one(&self, write: Write) -> Outcome {
        self.commit(vec![write]).await.pop().unwrap_or(Err(Refused::Closing))
    }

    /// All objects of a collection, and a revision at which this is what there was.
    pub fn snapshot(&self, collection: &Collection) -> (Arc<Snapshot>, Revision) {
        // In this order: a snapshot read later holds at least all changes up to the progress read first.
        let progress = self.revision();
        let snapshot = self.0.shared.shelves.get(collection).snapshot();
        let revision = progress.max(snapshot.revision());
        (snapshot, revision)
    }

    /// The collection as it was at an earlier revision, if the history still reaches back so far.
    pub fn snapshot_at(&self, collection: &Collection, revision: Revision) -> Result<Snapshot, TooOld> {
        self.0.shared.shelves.get(collection).snapshot_at(revision)
    }

    /// One object.
    pub fn get(&self, key: &StoreKey) -> Option<Object> {
        self.0.shared.shelves.get(&key.collection).snapshot().get(&key.key).cloned()
    }

    /// The changes of a collection after `from`.
    pub fn changes(&self, collection: &Collection, from: Revision) -> Result<Follower, TooOld> {
        self.0.shared.shelves.get(collection).follow(from)
    }

    /// Comes when one of some collections has changed since a revision, or may have.
    pub async fn changed(&self, collections: impl IntoIterator<Item = Collection>, since: Revision) {
        let mut changes = FuturesUnordered::new();
        for collection in collections {
            // Who comes too late looks again at once.
            let Ok(mut follower) = self.changes(&collection, since) else {
                return;
            };
            if !matches!(follower.read(1), Ok(changes) if changes.is_empty()) {
                return;
            }
            changes.push(async move { follower.wait().await });
        }
        changes.next().await;
    }

    /// The last revision that can be read.
    pub fn revision(&self) -> Revision {
        *self.0.shared.shelves.progress.borrow()
    }

    /// Tells each new last revision.
    pub fn progress(&self) -> watch::Receiver<Revision> {
        self.0.shared.shelves.progress.subscribe()
    }
}

/// The objects in the rows of a file.
fn objects(path: &Path, rows: Rows) -> Result<BTreeMap<Collection, OrdMap<Key, Object>>, StoreError> {
    let mut objects: BTreeMap<Collection, OrdMap<Key, Object>> = BTreeMap::new();
    for (key, json) in rows {
        let decoded = StoreKey::decode(&key).zip(Object::from_json(json).ok());
        let Some((StoreKey { collection, key }, object)) = decoded else {
            let what = format!("its row {:?} is not an object", String::from_utf8_lossy(&key));
            return Err(StoreError::Damaged { path: path.to_owned(), what });
        };
        objects.entry(collection).or_default().insert(key, object);
    }
    Ok(objects)
}

#[cfg(test)]
mod tests;
