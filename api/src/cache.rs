//! A copy of the cluster's objects in memory, kept up to date by watches and read without a lock.
//!
//! One cache per process feeds all its controllers. After a write a controller waits until the cache has reached the
//! revision of the write ([`Cache::reach`]), so it never decides twice on the same state.

mod feed;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use snapshot::{Index, Snapshot};

use crate::client::Client;
use crate::clock::Clock;
use crate::object::{Key, Object, Revision};
use crate::resource::Resource;

/// A change of one object as a subscriber sees it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The state before; none if the object is new.
    pub old: Option<Object>,
    /// The state after; none if the object is gone.
    pub new: Option<Object>,
}

impl Change {
    /// The newest state there is.
    pub fn object(&self) -> &Object {
        self.new.as_ref().or(self.old.as_ref()).expect("a change has a state before or after")
    }

    /// Itself, or two if a list showed another object under the name: one that went, and one that came.
    fn into_steps(self) -> impl Iterator<Item = Change> {
        let replaced = matches!((&self.old, &self.new), (Some(old), Some(new)) if old.uid() != new.uid());
        let Self { old, new } = self;
        let (first, second) = match replaced {
            true => (Self { old, new: None }, Some(Self { old: None, new })),
            false => (Self { old, new }, None),
        };
        std::iter::once(first).chain(second)
    }

    /// Both states there may be, for indexes in which an object moves.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.old.iter().chain(self.new.iter())
    }
}

/// Called with each change, in order, by the task that feeds the cache: it must be quick and must not wait.
pub type Subscriber = Box<dyn Fn(&Change) + Send + Sync>;

/// The objects of some resources, kept up to date while the owner of its tasks lives. A clone is a reference.
#[derive(Clone)]
pub struct Cache(Arc<BTreeMap<Resource, Shelf>>);

/// A cache as its own subscribers may hold it, without keeping it alive.
#[derive(Clone)]
pub struct WeakCache(Weak<BTreeMap<Resource, Shelf>>);

impl WeakCache {
    /// The cache, if anybody still holds it.
    pub fn upgrade(&self) -> Option<Cache> {
        self.0.upgrade().map(Cache)
    }
}

/// One resource in the cache.
struct Shelf {
    snapshot: ArcSwap<Snapshot>,
    reached: watch::Sender<Option<Revision>>,
    subscribers: Mutex<Vec<Subscriber>>,
}

/// Chooses what a cache holds.
#[derive(Default)]
pub struct CacheBuilder {
    indexes: BTreeMap<Resource, Vec<Index>>,
}

impl CacheBuilder {
    /// Also holds `resource`.
    #[must_use]
    pub fn with(mut self, resource: &Resource) -> Self {
        self.indexes.entry(resource.clone()).or_default();
        self
    }

    /// Also finds objects of `resource` by `index`. All who read the cache share it: one name must mean one index.
    #[must_use]
    pub fn with_index(mut self, resource: &Resource, index: Index) -> Self {
        let indexes = self.indexes.entry(resource.clone()).or_default();
        if !indexes.iter().any(|known| known.name == index.name) {
            indexes.push(index);
        }
        self
    }

    /// Makes the cache. Its tasks run in `tasks` until that is dropped; subscribe before they first run to see everything.
    pub fn start(self, client: &Client, clock: &Clock, tasks: &mut JoinSet<()>) -> Cache {
        let shelves = self.indexes.into_iter().map(|(resource, indexes)| {
            let shelf = Shelf {
                snapshot: ArcSwap::from_pointee(Snapshot::new(indexes)),
                reached: watch::Sender::new(None),
                subscribers: Mutex::default(),
            };
            (resource, shelf)
        });
        let cache = Cache(Arc::new(shelves.collect()));
        for resource in cache.0.keys() {
            let (cache, resource) = (cache.clone(), resource.clone());
            tasks.spawn(feed::run(cache, resource, client.clone(), clock.clone()));
        }
        cache
    }
}

impl Cache {
    /// Chooses what a new cache holds.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// The cache without keeping it alive, for subscribers that read other resources.
    pub fn downgrade(&self) -> WeakCache {
        WeakCache(Arc::downgrade(&self.0))
    }

    /// All objects of a resource at one moment.
    ///
    /// # Panics
    /// If the cache was not built to hold the resource.
    pub fn snapshot(&self, resource: &Resource) -> Arc<Snapshot> {
        self.shelf(resource).snapshot.load_full()
    }

    /// One object.
    pub fn get(&self, resource: &Resource, key: &Key) -> Option<Object> {
        self.shelf(resource).snapshot.load().get(key).cloned()
    }

    /// Whether the cache holds the resource.
    pub fn holds(&self, resource: &Resource) -> bool {
        self.0.contains_key(resource)
    }

    /// The resources it holds.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.0.keys()
    }

    /// Calls `subscriber` with what is there, as new, and then with each change, missing and repeating none.
    pub fn subscribe(&self, resource: &Resource, subscriber: Subscriber) {
        let shelf = self.shelf(resource);
        let mut subscribers = lock(&shelf.subscribers);
        for object in shelf.snapshot.load().iter() {
            subscriber(&Change { old: None, new: Some(object.clone()) });
        }
        subscribers.push(subscriber);
    }

    /// Waits until the cache holds `resource` as it was at `revision` or later.
    pub async fn reach(&self, resource: &Resource, revision: Revision) {
        let mut reached = self.shelf(resource).reached.subscribe();
        let there = reached.wait_for(|reached| *reached >= Some(revision)).await;
        there.expect("the cache outlives the wait, and with it the sender");
    }

    /// Waits until every resource was read once.
    pub async fn ready(&self) {
        for resource in self.0.keys() {
            self.reach(resource, Revision(0)).await;
        }
    }

    fn shelf(&self, resource: &Resource) -> &Shelf {
        match self.0.get(resource) {
            Some(shelf) => shelf,
            None => panic!("the cache was not built to hold {resource}"),
        }
    }
}

impl Shelf {
    /// Shows the new state to readers, then tells subscribers, then those who wait for the revision.
    fn publish(&self, snapshot: Snapshot, changes: &[Change], revision: Revision) {
        let subscribers = lock(&self.subscribers);
        self.snapshot.store(Arc::new(snapshot));
        for change in changes {
            subscribers.iter().for_each(|subscriber| subscriber(change));
        }
        drop(subscribers);
        self.reached.send_modify(|reached| *reached = Some(revision.max(reached.unwrap_or_default())));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
