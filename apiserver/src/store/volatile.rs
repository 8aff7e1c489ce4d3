//! Which objects may be lost in a power cut, and when they are written at the latest.
//!
//! Events and the heartbeats of nodes change all the time and are made anew. They are acknowledged at once and go to
//! the disk with the next group that has to, so an idle node does not wear out its flash.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use api::Clock;
use api::resource::LEASES;

use super::Store;
use super::keys::{Collection, StoreKey};
use crate::builtin::BUILTINS;

/// How long such an object waits for others to be written with.
const WAIT: Duration = Duration::from_secs(10);

/// The namespace of the heartbeats.
const HEARTBEATS: &str = "kube-node-lease";

static COLLECTIONS: LazyLock<BTreeSet<Collection>> = LazyLock::new(|| {
    let volatile = BUILTINS.iter().filter(|kind| kind.definition().volatile);
    volatile.map(|kind| Collection::from(kind.resource())).collect()
});

static LEASE_COLLECTION: LazyLock<Collection> = LazyLock::new(|| Collection::from(&LEASES));

/// Whether an object may be lost in a power cut.
pub(super) fn is_volatile(key: &StoreKey) -> bool {
    COLLECTIONS.contains(&key.collection)
        || &*key.key.namespace == HEARTBEATS && key.collection == *LEASE_COLLECTION
}

/// Writes what waits to be written, for as long as the task lives.
pub async fn write_lazily(store: Store, clock: Clock) {
    let mut deferred = store.deferred();
    while deferred.wait_for(|deferred| *deferred).await.is_ok() {
        clock.sleep(WAIT).await;
        if let Err(error) = store.flush().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "events and heartbeats not written");
        }
    }
}
