//! All collections at one revision, and their rows one after the other.

use std::sync::Arc;

use api::{Key, Revision};

use super::history::Snapshot;
use super::keys::{Collection, StoreKey};
use super::record::Row;

/// What there is at one revision. It costs nothing to take and changes no more.
pub(super) struct Cut {
    /// The last change in it.
    pub revision: Revision,
    /// Up to where revisions are reserved.
    pub reserved: Revision,
    /// Every collection.
    pub collections: Vec<(Collection, Arc<Snapshot>)>,
}

impl Cut {
    /// How many objects there are.
    pub(super) fn count(&self) -> usize {
        self.collections.iter().map(|(_, snapshot)| snapshot.len()).sum()
    }

    /// Its rows.
    pub(super) fn rows(self) -> Rows {
        Rows { cut: self, collection: 0, last: None }
    }
}

/// A reader of the rows of a cut.
pub(super) struct Rows {
    /// What is read.
    pub cut: Cut,
    collection: usize,
    last: Option<Key>,
}

impl Rows {
    /// The next rows, some `bytes` of them; none at the end.
    pub(super) fn next(&mut self, bytes: usize) -> Option<Vec<Row>> {
        let mut rows = Vec::new();
        let mut size = 0;
        while let Some((collection, snapshot)) = self.cut.collections.get(self.collection) {
            for object in snapshot.range("", self.last.take()) {
                let key = StoreKey { collection: collection.clone(), key: object.key() };
                rows.push((key.encode(), Some(object.json().clone())));
                size += object.json().len();
                if size >= bytes {
                    self.last = Some(key.key);
                    return Some(rows);
                }
            }
            self.collection += 1;
        }
        (!rows.is_empty()).then_some(rows)
    }
}
