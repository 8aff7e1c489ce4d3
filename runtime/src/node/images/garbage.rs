//! Makes room on the disk by removing images, as the kubelet does: when it is too full, those that no container uses, the one
//! longest unused first.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::Clock;
use api::event::{Involved, Occurrence, Severity};
use api::resource::NODES;
use tracing::{debug, info, warn};

use super::super::Shared;
use crate::images::{ImageStore, Swept};

/// How often the disk is looked at, as by the kubelet.
const PERIOD: Duration = Duration::from_secs(300);
/// An image that came or was used a moment ago is likely to be used again, as the kubelet has it.
const LEAST_AGE: Duration = Duration::from_secs(120);
/// From so much of the disk in use on, in percent, images are removed, until it is so much. The kubelet's own.
const HIGH: u64 = 85;
const LOW: u64 = 80;

/// Looks after the disk that images lie on, for ever; first after what an earlier process left.
pub(in super::super) async fn keep_collecting(shared: Arc<Shared>) {
    let config = &shared.config;
    let Some(store) = config.images.store() else {
        return;
    };
    loop {
        let (store, clock) = (store.clone(), config.clock.clone());
        let collected = tokio::task::spawn_blocking(move || collect(&store, &clock)).await;
        match collected.map_err(io::Error::other).and_then(|collected| collected) {
            Ok(Collected { wanted, freed }) if freed < wanted => {
                let message = format!(
                    "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only \
                     found {freed} bytes eligible to free."
                );
                config.recorder.record(Occurrence {
                    involved: node(&config.name),
                    severity: Severity::Warning,
                    reason: "FreeDiskSpaceFailed".into(),
                    message: message.into(),
                });
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "unused images not removed"),
        }
        config.clock.sleep(PERIOD).await;
    }
}

/// The node as the kubelet names it in events: by its name alone.
fn node(name: &str) -> Involved {
    Involved {
        api_version: NODES.api_version().into(),
        kind: NODES.kind.into(),
        namespace: "".into(),
        name: name.into(),
        uid: name.into(),
        field_path: "".into(),
    }
}

/// What was to be freed, and what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Collected {
    wanted: u64,
    freed: u64,
}

fn collect(store: &ImageStore, clock: &Clock) -> io::Result<Collected> {
    let disk = rustix::fs::statvfs(store.folder())?;
    // As `df` counts: what is kept back for root is neither used nor available.
    let used = disk.f_blocks.saturating_sub(disk.f_bfree).saturating_mul(disk.f_frsize);
    let available = disk.f_bavail.saturating_mul(disk.f_frsize);
    let wanted = to_free(used.saturating_add(available), available);
    let unused_since = clock.now() - jiff::SignedDuration::try_from(LEAST_AGE).unwrap_or_default();
    let Some(Swept { names, bytes }) = store.sweep(unused_since.into(), wanted)? else {
        debug!("unused images stay while one is pulled");
        return Ok(Collected { wanted: 0, freed: 0 });
    };
    for name in names {
        info!(image = %name, "unused image removed");
    }
    Ok(Collected { wanted, freed: bytes })
}

/// How much is to be freed of a disk with so many bytes, of which so many are available.
fn to_free(all: u64, available: u64) -> u64 {
    let used_percent = 100 - (available.min(all) * 100).checked_div(all).unwrap_or(100);
    if used_percent < HIGH { 0 } else { (all / 100 * (100 - LOW)).saturating_sub(available) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_full_is_freed_to_the_lower_bound() {
        let check = |all: u64, available: u64, expected: u64| {
            assert_eq!(to_free(all, available), expected, "{available} of {all}");
        };
        check(1_000, 1_000, 0);
        check(1_000, 160, 0);
        check(1_000, 150, 50);
        check(1_000, 0, 200);
        check(1_000, 2_000, 0);
        check(0, 0, 0);
    }
}
