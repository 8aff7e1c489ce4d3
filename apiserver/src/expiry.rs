//! Forgets events an hour after they were last written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::resource::EVENTS;
use api::{Clock, Key, Object, clock};
use jiff::Timestamp;
use tracing::debug;

use crate::store::{Change, Collection, Draft, Effect, Expected, Follower, Next, Store, StoreKey, Write};

/// How long an event is kept after it was written.
const KEPT: Duration = Duration::from_secs(3600);

/// Events removed in one commit at most.
const BATCH: usize = 256;

/// When each event ends. Holds one entry for each event there is.
#[derive(Default)]
struct Deadlines {
    by_time: BTreeSet<(Timestamp, Key)>,
    by_key: BTreeMap<Key, Timestamp>,
}

impl Deadlines {
    fn set(&mut self, key: Key, deadline: Option<Timestamp>) {
        let old = match deadline {
            Some(deadline) => {
                self.by_time.insert((deadline, key.clone()));
                self.by_key.insert(key.clone(), deadline)
            }
            None => self.by_key.remove(&key),
        };
        if let Some(old) = old.filter(|old| deadline != Some(*old)) {
            self.by_time.remove(&(old, key));
        }
    }

    fn passed(&self, now: Timestamp) -> Vec<Key> {
        let passed = self.by_time.iter().take_while(|(deadline, _)| *deadline <= now);
        passed.take(BATCH).map(|(_, key)| key.clone()).collect()
    }
}

/// Removes events when their time has come, for as long as the task lives.
pub async fn run(store: Store, clock: Clock) {
    let collection = Collection::from(&EVENTS);
    loop {
        let (snapshot, revision) = store.snapshot(&collection);
        let mut deadlines = Deadlines::default();
        let end = clock::add(clock.now(), KEPT);
        snapshot.iter().for_each(|event| deadlines.set(event.key(), Some(end)));
        // Too far behind to go on: what is there starts its hour again.
        let Ok(changes) = store.changes(&collection, revision) else {
            continue;
        };
        if !follow(&store, &clock, &collection, changes, deadlines).await {
            return;
        }
    }
}

/// False at the end of the store, true if history was missed.
async fn follow(
    store: &Store,
    clock: &Clock,
    collection: &Collection,
    mut changes: Follower,
    mut deadlines: Deadlines,
) -> bool {
    loop {
        let Ok(batch) = changes.read(BATCH) else {
            return true;
        };
        let now = clock.now();
        for Change { effect, object, .. } in &batch {
            let deadline = (*effect == Effect::Put).then(|| clock::add(now, KEPT));
            deadlines.set(object.key(), deadline);
        }
        if !batch.is_empty() {
            continue;
        }
        let passed = deadlines.passed(now);
        if !passed.is_empty() {
            remove(store, collection, &passed).await;
            passed.into_iter().for_each(|key| deadlines.set(key, None));
            continue;
        }
        let next = deadlines.by_time.first().map(|(deadline, _)| *deadline);
        tokio::select! {
            biased;
            more = changes.wait() => if !more { return false },
            () = clock.sleep_until(next.unwrap_or(Timestamp::MAX)), if next.is_some() => {}
        }
    }
}

async fn remove(store: &Store, collection: &Collection, keys: &[Key]) {
    let found = keys.iter().filter_map(|key| {
        let key = StoreKey { collection: collection.clone(), key: key.clone() };
        let event: Object = store.get(&key)?;
        let expected = Expected::At(event.revision());
        let value = serde_json::from_slice(event.json()).ok()?;
        let next = Next::Remove(Draft::new(&value, event.metadata().clone()));
        Some(Write { key, expected, next, hold: None })
    });
    for outcome in store.commit(found.collect()).await {
        // An event written again in the meantime starts its hour again.
        if let Err(error) = outcome {
            debug!(%error, "event not removed");
        }
    }
}
