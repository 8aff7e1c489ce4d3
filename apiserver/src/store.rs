//! The store: decides writes, issues revisions, and shows what was written to readers and watchers.
//!
//! Writers queue. Whoever gets the pen writes for all that have queued by then, in one transaction: it checks what each
//! write expects, commits the group, publishes it to the snapshots and rings, and answers everybody. So nothing that
//! can be read was not committed, and nothing acknowledged is not yet readable.
//!
//! Revisions are reserved on disk in blocks. A start begins past the block of the run before, so none is issued twice.

mod draft;
mod group;
mod history;
mod keys;
mod redb;
mod shelves;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use api::{Key, Object, Revision};
use arc_swap::ArcSwap;
use imbl::OrdMap;
use tokio::sync::{OwnedMutexGuard, oneshot, watch};

pub use draft::{Draft, Finish, at_revision};
pub use history::{Change, Effect, Follower, Snapshot, TooOld};
pub use keys::{Collection, StoreKey};
pub use redb::StoreError;

use group::{BLOCK, Pen, Waiting};
use history::{Shelf, lock};
use redb::Disk;
use shelves::Shelves;

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

/// The store. A clone is a reference.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    shelves: Shelves,
    queue: Mutex<VecDeque<Waiting>>,
    pen: Arc<tokio::sync::Mutex<Pen>>,
    /// Commits wait for a device, so they run where blocking is allowed.
    off_thread: bool,
}

impl Store {
    /// An empty store in memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::new(Disk::in_memory()?, false)
    }

    /// The store in a file. `inline` keeps even the waiting for the device on the caller's thread, for virtual time.
    pub fn open(path: &Path, inline: bool) -> Result<Self, StoreError> {
        Self::new(Disk::open(path)?, !inline)
    }

    fn new(mut disk: Disk, may_block: bool) -> Result<Self, StoreError> {
        let last = disk.reserved()?.max(BEGINNING);
        let reserved = Revision(last.0 + BLOCK);
        disk.write(&[], Some(reserved))?;
        let mut objects: BTreeMap<Collection, OrdMap<Key, Object>> = BTreeMap::new();
        let mut broken = None;
        disk.load(|key, json| match Object::from_json(json) {
            Ok(object) => {
                objects.entry(key.collection).or_default().insert(key.key, object);
            }
            Err(_) => broken = Some(StoreError::Row(format!("{} {}", key.collection, key.key))),
        })?;
        if let Some(broken) = broken {
            return Err(broken);
        }
        let shelves = objects
            .into_iter()
            .map(|(collection, objects)| (collection, Arc::new(Shelf::new(objects, last))));
        let shelves = Shelves {
            by_collection: ArcSwap::from_pointee(shelves.collect()),
            progress: watch::Sender::new(last),
            floor: last,
        };
        let off_thread = may_block && disk.is_durable();
        let pen = Arc::new(tokio::sync::Mutex::new(Pen { disk, last, reserved }));
        Ok(Self(Arc::new(Inner { shelves, queue: Mutex::default(), pen, off_thread })))
    }

    /// Carries out the writes whose expectation holds; one answer for each, in order.
    ///
    /// Once this was polled, a write may be carried out even if nobody waits for the answer any more.
    pub async fn commit(&self, writes: Vec<Write>) -> Vec<Outcome> {
        let count = writes.len();
        let (answer, mut answered) = oneshot::channel();
        lock(&self.0.queue).push_back(Waiting { writes, answer });
        loop {
            let pen = Arc::clone(&self.0.pen).lock_owned().await;
            match answered.try_recv() {
                Ok(outcomes) => return outcomes,
                Err(oneshot::error::TryRecvError::Empty) => self.lead(pen).await,
                Err(oneshot::error::TryRecvError::Closed) => {
                    return (0..count).map(|_| Err(Refused::Closing)).collect();
                }
            }
        }
    }

    /// Writes for everybody who waits. The pen goes along, so that giving up waiting does not hand it on too early.
    async fn lead(&self, mut pen: OwnedMutexGuard<Pen>) {
        if self.0.off_thread {
            let inner = Arc::clone(&self.0);
            // An error is the end of the runtime; the answers are dropped then, which the waiting see.
            let _ = tokio::task::spawn_blocking(move || inner.write_group(&mut pen)).await;
        } else {
            self.0.write_group(&mut pen);
        }
    }

    /// Writes one object.
    pub async fn commit_one(&self, write: Write) -> Outcome {
        self.commit(vec![write]).await.pop().unwrap_or(Err(Refused::Closing))
    }

    /// All objects of a collection, and a revision at which this is what there was.
    pub fn snapshot(&self, collection: &Collection) -> (Arc<Snapshot>, Revision) {
        // In this order: a snapshot read later holds at least all changes up to the progress read first.
        let progress = self.revision();
        let snapshot = self.0.shelves.get(collection).snapshot();
        let revision = progress.max(snapshot.revision());
        (snapshot, revision)
    }

    /// The collection as it was at an earlier revision, if the history still reaches back so far.
    pub fn snapshot_at(&self, collection: &Collection, revision: Revision) -> Result<Snapshot, TooOld> {
        self.0.shelves.get(collection).snapshot_at(revision)
    }

    /// One object.
    pub fn get(&self, key: &StoreKey) -> Option<Object> {
        self.0.shelves.get(&key.collection).snapshot().get(&key.key).cloned()
    }

    /// The changes of a collection after `from`.
    pub fn changes(&self, collection: &Collection, from: Revision) -> Result<Follower, TooOld> {
        self.0.shelves.get(collection).follow(from)
    }

    /// The last revision that can be read.
    pub fn revision(&self) -> Revision {
        *self.0.shelves.progress.borrow()
    }

    /// Tells each new last revision.
    pub fn progress(&self) -> watch::Receiver<Revision> {
        self.0.shelves.progress.subscribe()
    }
}

#[cfg(test)]
mod tests;
