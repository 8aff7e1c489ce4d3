//! A copy of the cluster's objects in memory, kept up to date by watches and read without a lock.
//!
//! One cache per process feeds all its controllers. After a write a controller waits until the cache has reached the
//! revision of the write ([`Cache::reach`]), so it never decides twice on the same state.
//!
//! Within the server's process its objects are the store's own records: a resource costs a key for each of them.

mod feed;
mod snapshot;
#[cfg(test)]
mod tests;

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
///
/// Of a resource it does not hold, it knows no objects.
#[derive(Clone)]
pub struct Cache(Arc<Shelves>);

/// A cache as its own subscribers may hold it, without keeping it alive.
#[derive(Clone)]
pub struct WeakCache(Weak<Shelves>);

/// What a cache holds; replaced as a whole when a resource comes or goes.
type Shelves = ArcSwap<BTreeMap<Resource, Arc<Shelf>>>;

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
    /// Whether the cache was built with it.
    is_lasting: bool,
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
        let shelves = self.indexes.into_iter();
        let shelves = shelves.map(|(resource, indexes)| (resource, Arc::new(Shelf::new(indexes, true))));
        let cache = Cache(Arc::new(ArcSwap::from_pointee(shelves.collect())));
        for resource in cache.resources() {
            tasks.spawn(feed::run(cache.clone(), resource, client.clone(), clock.clone()));
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
    pub fn snapshot(&self, resource: &Resource) -> Arc<Snapshot> {
        let shelf = self.shelf(resource);
        shelf.map_or_else(|| Arc::new(Snapshot::new(vec![])), |shelf| shelf.snapshot.load_full())
    }

    /// One object.
    pub fn get(&self, resource: &Resource, key: &Key) -> Option<Object> {
        let shelves = self.0.load();
        let snapshot = shelves.get(resource)?.snapshot.load();
        snapshot.get(key).cloned()
    }

    /// Whether the cache holds the resource.
    pub fn holds(&self, resource: &Resource) -> bool {
        self.0.load().contains_key(resource)
    }

    /// The resources it holds.
    pub fn resources(&self) -> Vec<Resource> {
        self.0.load().keys().cloned().collect()
    }

    /// Looks at all that it holds, one resource after the other.
    pub fn each(&self, mut look: impl FnMut(&Resource, &Snapshot)) {
        for (resource, shelf) in self.0.load().iter() {
            look(resource, &shelf.snapshot.load());
        }
    }

    /// Also holds `resource` from now on, and nothing of it before it is fed. False if it does so already.
    pub fn hold(&self, resource: &Resource) -> bool {
        if self.holds(resource) {
            return false;
        }
        let shelf = Arc::new(Shelf::new(vec![], false));
        self.0.rcu(|shelves| {
            let mut shelves = BTreeMap::clone(shelves);
            shelves.insert(resource.clone(), Arc::clone(&shelf));
            shelves
        });
        true
    }

    /// Keeps a resource that is held up to date until it is no longer served.
    pub async fn feed(self, resource: Resource, client: Client, clock: Clock) {
        feed::run_while_served(self, resource, client, clock).await;
    }

    /// Holds `resource` no longer; nobody is told that its objects went, as they may still be there.
    pub fn release(&self, resource: &Resource) {
        self.0.rcu(|shelves| {
            let mut shelves = BTreeMap::clone(shelves);
            shelves.remove(resource);
            shelves
        });
    }

    /// Calls `subscriber` with what is there, as new, and then with each change, missing and repeating none. Of a resource
    /// that is not held, there is nothing to tell.
    pub fn subscribe(&self, resource: &Resource, subscriber: Subscriber) {
        let Some(shelf) = self.shelf(resource) else { return };
        let mut subscribers = lock(&shelf.subscribers);
        for object in shelf.snapshot.load().iter() {
            subscriber(&Change { old: None, new: Some(object.clone()) });
        }
        subscribers.push(subscriber);
    }

    /// Waits until the cache holds `resource` as it was at `revision` or later, or holds it no longer.
    pub async fn reach(&self, resource: &Resource, revision: Revision) {
        let reached = self.shelf(resource).map(|shelf| shelf.reached.subscribe());
        if let Some(mut reached) = reached {
            // An error says that it is held no longer.
            let _ = reached.wait_for(|reached| *reached >= Some(revision)).await;
        }
    }

    /// Waits until every resource that the cache was built with was read once. What came later is not waited for: that a
    /// custom kind cannot be read must hold up nobody else.
    pub async fn ready(&self) {
        let shelves = self.0.load_full();
        for (resource, _) in shelves.iter().filter(|(_, shelf)| shelf.is_lasting) {
            self.reach(resource, Revision(0)).await;
        }
    }

    /// Whether a resource that is held was read once; what is not held is known as far as it will be.
    pub fn has_read(&self, resource: &Resource) -> bool {
        self.shelf(resource).is_none_or(|shelf| shelf.reached.borrow().is_some())
    }

    /// Whether everything that is held was read once.
    pub fn has_read_all(&self) -> bool {
        self.0.load().values().all(|shelf| shelf.reached.borrow().is_some())
    }

    fn shelf(&self, resource: &Resource) -> Option<Arc<Shelf>> {
        self.0.load().get(resource).cloned()
    }
}

impl Shelf {
    fn new(indexes: Vec<Index>, is_lasting: bool) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(Snapshot::new(indexes)),
            reached: watch::Sender::new(None),
            subscribers: Mutex::default(),
            is_lasting,
        }
    }

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
