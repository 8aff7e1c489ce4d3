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

/// The last bookmark comes so long before the end of a watch.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

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
        let from = match (from, options.send_initial_events) {
            (Some(from), None | Some(false)) => from,
            (None, Some(false)) => self.store.revision(),
            (_, initial) => {
                let (snapshot, revision) = self.store.snapshot(&collection);
                let objects = snapshot.range(&selection.namespace, None);
                let matching = objects.filter(|object| selection.matches(object));
                ready.extend(matching.cloned().map(WatchEvent::Added));
                if initial == Some(true) && options.bookmarks {
                    ready.push_back(WatchEvent::Bookmark { revision, initial_events_end: true });
                }
                revision
            }
        };
        let now = self.clock.now();
        let ends_at = options.timeout.map(|timeout| clock::add(now, timeout));
        let too_old = |TooOld(floor)| Status::too_old(from, floor);
        let watcher = Watcher {
            follower: self.store.changes(&collection, from).map_err(too_old)?,
            progress: self.store.progress(),
            selection,
            from,
            ready,
            times: Times { bookmark_at: options.bookmarks.then(|| next_bookmark(now, ends_at)), ends_at },
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
    times: Times,
    clock: Clock,
    ended: bool,
}

/// When a watch has something to do though nothing happens.
struct Times {
    bookmark_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
}

/// The next bookmark: a minute later, but once shortly before the end, so that who comes back has little to catch up with.
fn next_bookmark(now: Timestamp, ends_at: Option<Timestamp>) -> Timestamp {
    let usual = clock::add(now, BOOKMARK_EVERY);
    let last = ends_at.and_then(|end| end.checked_sub(LAST_BOOKMARK).ok());
    last.filter(|last| *last > now).map_or(usual, |last| usual.min(last))
}

impl Watcher {
    async fn next(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let now = self.clock.now();
            if self.ended || self.times.ends_at.is_some_and(|end| end <= now) {
                return None;
            }
            let is_idle = self.read();
            if !self.ready.is_empty() {
                continue;
            }
            if self.times.bookmark_at.is_some_and(|at| at <= now) {
                self.times.bookmark_at = Some(next_bookmark(now, self.times.ends_at));
                return Some(WatchEvent::Bookmark { revision: self.from, initial_events_end: false });
            }
            if is_idle && !self.wait().await {
                return None;
            }
        }
    }

    /// Takes the next changes from the ring; says whether there were none.
    fn read(&mut self) -> bool {
        // Read before the ring: everything up to here is in the ring already.
        let progress = *self.progress.borrow();
        match self.follower.read(BATCH) {
            Err(TooOld(floor)) => {
                self.ended = true;
                self.ready.push_back(WatchEvent::Error(Status::too_old(self.from, floor)));
                false
            }
            Ok(changes) => {
                let reached = changes.last().map_or(progress, Change::revision);
                self.from = self.from.max(reached);
                let selection = &self.selection;
                let is_idle = changes.is_empty();
                self.ready.extend(changes.into_iter().filter_map(|change| as_event(selection, change)));
                is_idle
            }
        }
    }

    /// Waits for changes, or for the time of the next bookmark or of the end; false if there will be no more changes.
    async fn wait(&mut self) -> bool {
        let Times { bookmark_at, ends_at } = self.times;
        let Some(at) = bookmark_at.into_iter().chain(ends_at).min() else {
            return self.follower.wait().await;
        };
        tokio::select! {
            biased;
            more = self.follower.wait() => more,
            () = self.clock.sleep_until(at) => true,
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
