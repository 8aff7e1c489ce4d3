//! All collections in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Key, Object, Revision};
use arc_swap::ArcSwap;
use imbl::OrdMap;
use tokio::sync::watch;

use super::history::Shelf;
use super::keys::Collection;

/// The collections, each made when it is first asked for, and how far all of them have come.
pub(super) struct Shelves {
    pub by_collection: ArcSwap<OrdMap<Collection, Arc<Shelf>>>,
    pub progress: watch::Sender<Revision>,
    pub floor: Revision,
}

impl Shelves {
    /// The collections as they are on disk; their history begins at `floor`.
    pub(super) fn new(objects: BTreeMap<Collection, OrdMap<Key, Object>>, floor: Revision) -> Self {
        let shelf = |(collection, objects)| (collection, Arc::new(Shelf::new(objects, floor)));
        Self {
            by_collection: ArcSwap::from_pointee(objects.into_iter().map(shelf).collect()),
            progress: watch::Sender::new(floor),
            floor,
        }
    }

    /// A collection, empty if nothing was ever written to it.
    pub(super) fn get(&self, collection: &Collection) -> Arc<Shelf> {
        if let Some(shelf) = self.by_collection.load().get(collection) {
            return Arc::clone(shelf);
        }
        self.by_collection.rcu(|shelves| {
            let mut shelves = OrdMap::clone(shelves);
            let empty = || Arc::new(Shelf::new(OrdMap::new(), self.floor));
            shelves.entry(collection.clone()).or_insert_with(empty);
            shelves
        });
        let shelves = self.by_collection.load();
        Arc::clone(shelves.get(collection).expect("it was just put there, and none is taken out"))
    }
}
