//! What readers see of a collection: a sorted snapshot, and a bounded ring of its latest changes that watchers follow.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use api::{Key, Object, Revision};
use arc_swap::ArcSwap;
use imbl::OrdMap;
use tokio::sync::watch;

/// What a ring keeps at most, unless a few large objects exceed it.
#[derive(Clone, Copy)]
struct Bounds {
    changes: usize,
    /// JSON that it keeps alive.
    bytes: usize,
}

/// For watchers that may come back.
const USUAL: Bounds = Bounds { changes: 4096, bytes: 8 << 20 };

/// For a watcher that is there and has not read so far: thousands of pods are rolled faster than a client on a busy machine
/// prints their changes. It is told that it is too late when it holds even more.
const AWAITED: Bounds = Bounds { changes: 32_768, bytes: 64 << 20 };

/// So many changes are kept whatever their size.
const RING_LEAST_CHANGES: usize = 64;

/// All objects of a collection at one moment; a clone shares everything.
#[derive(Clone, Default)]
pub struct Snapshot {
    objects: OrdMap<Key, Object>,
    /// The last change it holds.
    revision: Revision,
}

impl Snapshot {
    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// All objects in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects of a namespace, or all if it is empty, that come after `start`.
    pub fn range<'a>(&'a self, namespace: &'a str, start: Option<Key>) -> impl Iterator<Item = &'a Object> {
        let from = match start {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included(Key::new(namespace, "")),
        };
        let objects = self.objects.range((from, Bound::Unbounded));
        let inside = move |key: &Key| namespace.is_empty() || &*key.namespace == namespace;
        objects.take_while(move |(key, _)| inside(key)).map(|(_, object)| object)
    }

    /// The revision of the last change it holds.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change.effect {
            Effect::Put => self.objects.insert(change.object.key(), change.object.clone()),
            Effect::Removed => self.objects.remove(&change.object.key()),
        };
        self.revision = change.revision();
    }

    fn undo(&mut self, change: &Change) {
        match &change.old {
            Some(old) => self.objects.insert(old.key(), old.clone()),
            None => self.objects.remove(&change.object.key()),
        };
    }
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object is there, in a new state.
    Put,
    /// The object is gone.
    Removed,
}

/// One change of one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub effect: Effect,
    /// The new state, or the last one with the revision of the removal.
    pub object: Object,
    /// The state before.
    pub old: Option<Object>,
}

impl Change {
    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        self.object.revision()
    }
}

/// The history asked for is gone; holds the oldest revision from which one can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOld(pub Revision);

/// The latest changes of a collection.
struct Ring {
    changes: VecDeque<Change>,
    bytes: usize,
    /// The number of the first change, counted from the start of the process.
    first: u64,
    /// How many followers read a change of this number next.
    awaited: BTreeMap<u64, usize>,
    /// The revision of the last change that is no longer held.
    floor: Revision,
}

impl Ring {
    fn push(&mut self, mut change: Change) {
        if let Some(old) = &mut change.old {
            self.strip(old);
        }
        self.bytes += change.object.json().len();
        self.changes.push_back(change);
        self.trim();
    }

    /// Lets go of what was decoded from a state that is of the past: of a pod it takes three times the bytes, and the states
    /// in the ring are hardly looked at again.
    fn strip(&mut self, old: &mut Object) {
        let Some(bare) = old.bare() else {
            return;
        };
        let at = self.changes.partition_point(|change| change.revision() < old.revision());
        if let Some(known) = self.changes.get_mut(at).filter(|change| change.object.is_same(old)) {
            known.object = bare.clone();
        }
        *old = bare;
    }

    /// Forgets the oldest changes that are too many.
    fn trim(&mut self) {
        while self.is_too_large() {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= oldest.object.json().len();
            self.first += 1;
            self.floor = oldest.revision();
        }
    }

    fn is_too_large(&self) -> bool {
        let bounds = if self.awaited.contains_key(&self.first) { AWAITED } else { USUAL };
        let count = self.changes.len();
        count > bounds.changes || self.bytes > bounds.bytes && count > RING_LEAST_CHANGES
    }

    fn wait_for(&mut self, number: u64) {
        *self.awaited.entry(number).or_default() += 1;
    }

    fn wait_no_more_for(&mut self, number: u64) {
        if let Some(count) = self.awaited.get_mut(&number) {
            *count -= 1;
            if *count == 0 {
                self.awaited.remove(&number);
            }
        }
    }

    /// How many changes are not newer than `revision`.
    fn known(&self, revision: Revision) -> usize {
        self.changes.partition_point(|change| change.revision() <= revision)
    }

    fn after(&self, revision: Revision) -> Result<u64, TooOld> {
        if revision < self.floor {
            return Err(TooOld(self.floor));
        }
        Ok(self.first + self.known(revision) as u64)
    }
}

/// One collection in memory.
pub(super) struct Shelf {
    snapshot: ArcSwap<Snapshot>,
    ring: Arc<Mutex<Ring>>,
    wake: watch::Sender<()>,
}

impl Shelf {
    /// A collection as it is on disk; its history begins at `floor`.
    pub(super) fn new(objects: OrdMap<Key, Object>, floor: Revision) -> Self {
        let ring = Ring { changes: VecDeque::new(), bytes: 0, first: 0, awaited: BTreeMap::new(), floor };
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot { objects, revision: floor }),
            ring: Arc::new(Mutex::new(ring)),
            wake: watch::Sender::new(()),
        }
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Shows the new state to readers and hands the changes that led to it to the watchers.
    pub(super) fn publish(&self, snapshot: Snapshot, changes: Vec<Change>) {
        let mut ring = lock(&self.ring);
        self.snapshot.store(Arc::new(snapshot));
        changes.into_iter().for_each(|change| ring.push(change));
        drop(ring);
        self.wake.send_replace(());
    }

    pub(super) fn follow(&self, from: Revision) -> Result<Follower, TooOld> {
        let wake = self.wake.subscribe();
        let mut ring = lock(&self.ring);
        let next = ring.after(from)?;
        ring.wait_for(next);
        Ok(Follower { ring: Arc::clone(&self.ring), wake, next })
    }

    /// The collection as it was at `revision`, by undoing what came later.
    pub(super) fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, TooOld> {
        let ring = lock(&self.ring);
        if revision < ring.floor {
            return Err(TooOld(ring.floor));
        }
        // Loaded under the lock, hence neither ahead of the ring nor behind it.
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        for change in ring.changes.range(ring.known(revision)..).rev() {
            snapshot.undo(change);
        }
        Ok(snapshot)
    }
}

/// A reader of the changes of one collection, each once and in order.
pub struct Follower {
    ring: Arc<Mutex<Ring>>,
    wake: watch::Receiver<()>,
    next: u64,
}

impl Follower {
    /// The next changes there are, at most `most`; empty if there are none yet.
    pub fn read(&mut self, most: usize) -> Result<Vec<Change>, TooOld> {
        self.wake.borrow_and_update();
        let mut ring = lock(&self.ring);
        let Some(skip) = self.next.checked_sub(ring.first) else {
            return Err(TooOld(ring.floor));
        };
        let skip = usize::try_from(skip).expect("within the ring");
        let changes: Vec<Change> = ring.changes.iter().skip(skip).take(most).cloned().collect();
        if !changes.is_empty() {
            ring.wait_no_more_for(self.next);
            self.next += changes.len() as u64;
            ring.wait_for(self.next);
            ring.trim();
        }
        Ok(changes)
    }

    /// Waits for more changes; false if the store is gone and there will be none.
    pub async fn wait(&mut self) -> bool {
        self.wake.changed().await.is_ok()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut ring = lock(&self.ring);
        ring.wait_no_more_for(self.next);
        ring.trim();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
