//! Follows collections: from a revision, or from what there is; what enters or leaves the selection comes and goes.

use std::collections::VecDeque;
use std::time::Duration;

use api::backend::{Answer, WatchOptions};
use api::watch::WatchEvent;
use api::{Clock, Object, Revision, Status, clock};
use jiff::Timestamp;
use tokio::sync::watch;

use super::selection::Selection;
use super::{Place, Registry};
use crate::store::{Change, Effect, Follower, TooOld, at_revision};

/// Bookmarks come this often while nothing else does.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// Changes taken from the ring at once.
const BATCH: usize = 256;

impl Registry {
    pub(super) async fn watch(&self, place: &Place, options: WatchOptions) -> Result<Answer, Status> {
        let selection = Selection::new(place, options.labels, options.fields)?;
        let from = options.revision.filter(|revision| *revision != Revision(0));
        // What comes before it is not for this watcher.
        self.reach(from.unwrap_or_default()).await?;
        let collection = place.collection();
        let mut ready = VecDeque::new();
        let from = match from {
            Some(from) if !options.send_initial_events => from,
            _ => {
                let (snapshot, revision) = self.store.snapshot(&collection);
                let objects = snapshot.range(&selection.namespace, None);
                let matching = objects.filter(|object| selection.matches(object));
                ready.extend(matching.cloned().map(WatchEvent::Added));
                if options.send_initial_events {
                    ready.push_back(WatchEvent::Bookmark { revision, initial_events_end: true });
                }
                revision
            }
        };
        let too_old = |TooOld(floor)| Status::too_old(from, floor);
        let watcher = Watcher {
            follower: self.store.changes(&collection, from).map_err(too_old)?,
            progress: self.store.progress(),
            selection,
            from,
            ready,
            bookmark_at: options.bookmarks.then(|| clock::add(self.clock.now(), BOOKMARK_EVERY)),
            clock: self.clock.clone(),
            ended: false,
        };
        let events = futures::stream::unfold(watcher, |mut watcher| async move {
            watcher.next().await.map(|event| (event, watcher))
        });
        Ok(Answer::Watch(Box::pin(events)))
    }
}

/// One watch.
struct Watcher {
    follower: Follower,
    progress: watch::Receiver<Revision>,
    selection: Selection,
    from: Revision,
    ready: VecDeque<WatchEvent>,
    bookmark_at: Option<Timestamp>,
    clock: Clock,
    ended: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            // Read before the ring: everything up to here is in the ring already.
            let progress = *self.progress.borrow();
            match self.follower.read(BATCH) {
                Err(TooOld(floor)) => {
                    self.ended = true;
                    return Some(WatchEvent::Error(Status::too_old(self.from, floor)));
                }
                Ok(changes) if changes.is_empty() => {
                    if let Some(bookmark) = self.wait(progress).await? {
                        return Some(bookmark);
                    }
                }
                Ok(changes) => {
                    self.from = changes.last().map_or(self.from, Change::revision);
                    let selection = &self.selection;
                    self.ready.extend(changes.into_iter().filter_map(|change| as_event(selection, change)));
                }
            }
        }
    }

    /// Waits for changes; returns a bookmark if its time comes first, and none in the outer option at the end.
    async fn wait(&mut self, progress: Revision) -> Option<Option<WatchEvent>> {
        let Some(bookmark_at) = self.bookmark_at else {
            return self.follower.wait().await.then_some(None);
        };
        tokio::select! {
            biased;
            more = self.follower.wait() => more.then_some(None),
            () = self.clock.sleep_until(bookmark_at) => {
                self.bookmark_at = Some(clock::add(self.clock.now(), BOOKMARK_EVERY));
                self.from = self.from.max(progress);
                Some(Some(WatchEvent::Bookmark { revision: self.from, initial_events_end: false }))
            }
        }
    }
}

/// The change as this watch sees it; none if it is not about what is selected.
fn as_event(selection: &Selection, change: Change) -> Option<WatchEvent> {
    let Change { effect, object, old } = change;
    let was_selected = old.as_ref().is_some_and(|old| selection.matches(old));
    let is_selected = effect == Effect::Put && selection.matches(&object);
    match (was_selected, is_selected) {
        (false, false) => None,
        (false, true) => Some(WatchEvent::Added(object)),
        (true, true) => Some(WatchEvent::Modified(object)),
        (true, false) if effect == Effect::Removed => Some(WatchEvent::Deleted(object)),
        (true, false) => old.map(|old| WatchEvent::Deleted(left(&old, &object))),
    }
}

/// The last state that was selected, with the revision of the change that took it out.
fn left(old: &Object, new: &Object) -> Object {
    at_revision(old, new.revision())
}
