//! Lists a resource, then follows its watch, and starts over when the watch fails.

use std::time::Duration;

use futures::StreamExt;
use tracing::{debug, warn};

use super::{Cache, Change, Shelf, Snapshot};
use crate::backend::{ListOptions, WatchOptions};
use crate::client::Client;
use crate::clock::Clock;
use crate::object::Revision;
use crate::resource::Resource;
use crate::status::Status;
use crate::watch::{WatchEvent, WatchStream};

/// How long to wait after a failed list or watch.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How many events are shown to readers at once at most, so that none waits long for the first.
const LARGEST_BATCH: usize = 512;

/// Keeps one resource of the cache up to date for as long as the task lives.
pub(super) async fn run(cache: Cache, resource: Resource, client: Client, clock: Clock) {
    let Some(shelf) = cache.shelf(&resource) else { return };
    loop {
        let ended = list_and_watch(&shelf, &resource, &client).await;
        recover(ended, &resource, &clock).await;
    }
}

/// The same for one that may cease to be served: then it ends.
pub(super) async fn run_while_served(cache: Cache, resource: Resource, client: Client, clock: Clock) {
    let Some(shelf) = cache.shelf(&resource) else { return };
    loop {
        match list_and_watch(&shelf, &resource, &client).await {
            Err(status) if status.is_not_found() => break,
            ended => recover(ended, &resource, &clock).await,
        }
    }
    if shelf.reached.borrow().is_none() {
        // It never was served, whatever was said: who tries again at once would do so for ever.
        clock.sleep(RETRY_AFTER).await;
    }
}

/// Takes note of how a watch ended, and waits before the next if it failed.
async fn recover(ended: Result<(), Status>, resource: &Resource, clock: &Clock) {
    match ended {
        Ok(()) => debug!(%resource, "watch ended"),
        Err(status) if status.is_expired() => debug!(%resource, "watch expired"),
        Err(status) => {
            warn!(%resource, error = %status, "watch failed");
            clock.sleep(RETRY_AFTER).await;
        }
    }
}

async fn list_and_watch(shelf: &Shelf, resource: &Resource, client: &Client) -> Result<(), Status> {
    let list = client.list(resource, "", ListOptions::default()).await?;
    let mut snapshot = Snapshot::clone(&shelf.snapshot.load());
    let changes = snapshot.replace(list.items);
    shelf.publish(snapshot, &changes, list.revision);
    let options = WatchOptions { revision: Some(list.revision), bookmarks: true, ..WatchOptions::default() };
    follow(shelf, client.watch(resource, "", options).await?).await
}

async fn follow(shelf: &Shelf, events: WatchStream) -> Result<(), Status> {
    let mut batches = events.ready_chunks(LARGEST_BATCH);
    while let Some(batch) = batches.next().await {
        let mut snapshot = Snapshot::clone(&shelf.snapshot.load());
        let mut changes = Vec::with_capacity(batch.len());
        let mut reached = Revision(0);
        let mut failure = None;
        for event in batch {
            match apply(&mut snapshot, event, &mut changes) {
                Ok(revision) => reached = revision,
                Err(status) => failure = Some(status),
            }
        }
        shelf.publish(snapshot, &changes, reached);
        failure.map_or(Ok(()), Err)?;
    }
    Ok(())
}

fn apply(snapshot: &mut Snapshot, event: WatchEvent, changes: &mut Vec<Change>) -> Result<Revision, Status> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            let revision = object.revision();
            changes.extend(snapshot.put(object).into_iter().flat_map(Change::into_steps));
            Ok(revision)
        }
        WatchEvent::Deleted(object) => {
            changes.extend(snapshot.remove(&object.key()));
            Ok(object.revision())
        }
        WatchEvent::Bookmark { revision, .. } => Ok(revision),
        WatchEvent::Error(status) => Err(status),
    }
}
