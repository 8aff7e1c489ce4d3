//! What a watch delivers: the changes of a resource in order, with marks that say how far it has come.

use std::pin::Pin;

use futures::Stream;

use crate::object::{Object, Revision};
use crate::status::Status;

/// One event of a watch.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The object exists, and the watcher did not know it.
    Added(Object),
    /// The object changed.
    Modified(Object),
    /// The object is gone, or left the selector. Holds its last state with the revision of the change.
    Deleted(Object),
    /// Nothing older than this revision is still to come.
    Bookmark {
        /// How far the watch has come.
        revision: Revision,
        /// Whether it ends the initial events of a watch that asked for them.
        initial_events_end: bool,
    },
    /// The watch has failed and ends.
    Error(Status),
}

/// The events of one watch. Ends when the server stops or after an error; dropping it ends the watch.
pub type WatchStream = Pin<Box<dyn Stream<Item = WatchEvent> + Send>>;

impl WatchEvent {
    /// The object the event is about, if it is about one.
    pub fn object(&self) -> Option<&Object> {
        match self {
            Self::Added(object) | Self::Modified(object) | Self::Deleted(object) => Some(object),
            Self::Bookmark { .. } | Self::Error(_) => None,
        }
    }
}
