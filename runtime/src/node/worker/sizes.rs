//! How much a pod's emptyDir volumes take: measured again and again, charged as memory where they are in memory, and a reason
//! to end the pod if it is more than they may.
//!
//! The kubelet measures every ten seconds. What is in memory could harm others sooner than that, and what grows could pass
//! its limit by far: so volumes are looked at again by the time that what is left could be full.

use std::path::PathBuf;
use std::time::Duration;

use api::clock::add;
use api::quantity::Quantity;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::limits::PodLimits;
use crate::limits::memory::Charge;
use crate::node::machine::{Event, Eviction};
use crate::volumes::{PodVolumes, used_bytes};

/// How often volumes are measured at least: those on disk as by the kubelet, those in memory sooner.
const LONGEST: Duration = Duration::from_secs(10);
const LONGEST_IN_MEMORY: Duration = Duration::from_secs(1);
/// And at most.
const SHORTEST: Duration = Duration::from_millis(100);
/// No guest writes faster than this many bytes in a second.
const FASTEST: u64 = 2 << 30;
/// How long a pod that took too much may still take, as with the kubelet.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Measures the volumes of one pod.
pub(super) struct Sizes {
    volumes: Vec<Volume>,
    next: Next,
    /// For what is in memory.
    charge: Charge,
}

#[derive(Clone)]
struct Volume {
    name: String,
    folder: PathBuf,
    in_memory: bool,
    limit: Option<Quantity>,
}

enum Next {
    At(Timestamp),
    Soon(JoinHandle<Vec<u64>>),
}

impl Sizes {
    /// None if there is nothing to measure.
    pub(super) fn new(volumes: &PodVolumes, pod: &Pod, limits: &PodLimits, now: Timestamp) -> Option<Self> {
        let memory = memory_limit(pod);
        let least = |one: Option<Quantity>, other: Option<Quantity>| {
            one.into_iter().chain(other).min_by_key(|limit| limit.value())
        };
        let volumes = volumes.empty_dirs().map(|(name, folder, about)| Volume {
            name: name.to_owned(),
            folder,
            in_memory: about.in_memory,
            limit: if about.in_memory { least(about.limit, memory) } else { about.limit },
        });
        let volumes: Vec<Volume> =
            volumes.filter(|volume| volume.in_memory || volume.limit.is_some()).collect();
        let next = Next::At(add(now, SHORTEST));
        (!volumes.is_empty()).then(|| Self { volumes, next, charge: Charge::none(limits.memory()) })
    }

    /// When to measure next, unless that is under way.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        match self.next {
            Next::At(time) => Some(time),
            Next::Soon(_) => None,
        }
    }

    /// Begins to measure if it is time. Reading a large folder takes long, so others go on meanwhile.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if self.wake_at().is_some_and(|time| time <= now) {
            let folders: Vec<PathBuf> = self.volumes.iter().map(|volume| volume.folder.clone()).collect();
            self.next = Next::Soon(tokio::task::spawn_blocking(move || measure(&folders)));
        }
    }

    /// What was measured, by volume.
    pub(super) async fn measured(&mut self) -> Vec<u64> {
        match &mut self.next {
            Next::Soon(task) => task.await.unwrap_or_default(),
            Next::At(_) => std::future::pending().await,
        }
    }

    /// Takes note of what was measured. The pod has to go if it is too much.
    pub(super) fn take_in(&mut self, used: &[u64], now: Timestamp) -> Option<Event> {
        self.next = Next::At(add(now, pause(&self.volumes, used)));
        let in_memory = self.volumes.iter().zip(used).filter(|(volume, _)| volume.in_memory);
        let fits = self.charge.set(in_memory.map(|(_, used)| used).sum());
        let message = exceeded(&self.volumes, used).or_else(|| {
            let largest = self.volumes.iter().zip(used).filter(|(volume, _)| volume.in_memory);
            let (volume, _) = largest.max_by_key(|(_, used)| **used).filter(|_| !fits)?;
            Some(format!(
                "Usage of EmptyDir volume {:?} exceeds the memory that is left to the pod. ",
                volume.name
            ))
        })?;
        Some(Event::Evicted(Eviction { message, grace: AT_ONCE, is_for_the_node: false }))
    }
}

fn measure(folders: &[PathBuf]) -> Vec<u64> {
    let measured = folders.iter().map(|folder| {
        used_bytes(folder).unwrap_or_else(|error| {
            warn!(path = %folder.display(), %error, "volume not measured");
            0
        })
    });
    measured.collect()
}

/// What to say of the first volume that takes more than it may.
fn exceeded(volumes: &[Volume], used: &[u64]) -> Option<String> {
    volumes.iter().zip(used).find_map(|(volume, used)| {
        let limit = volume.limit?;
        let name = &volume.name;
        (*used > bytes(limit))
            .then(|| format!("Usage of EmptyDir volume {name:?} exceeds the limit \"{limit}\". "))
    })
}

fn bytes(limit: Quantity) -> u64 {
    u64::try_from(limit.value()).unwrap_or(0)
}

/// How long nothing can happen that must be seen.
fn pause(volumes: &[Volume], used: &[u64]) -> Duration {
    let pauses = volumes.iter().zip(used).map(|(volume, used)| {
        let longest = if volume.in_memory { LONGEST_IN_MEMORY } else { LONGEST };
        let left = volume.limit.map(|limit| bytes(limit).saturating_sub(*used));
        let left = left.map(|left| Duration::from_millis(left.saturating_mul(1000) / FASTEST));
        left.unwrap_or(longest).clamp(SHORTEST, longest)
    });
    pauses.min().unwrap_or(LONGEST)
}

/// What all containers of a pod together may use of memory; none if one of them has no limit.
fn memory_limit(pod: &Pod) -> Option<Quantity> {
    let limit = |resources: Option<&ResourceRequirements>| {
        let limit = resources?.limits.as_ref()?.get("memory")?;
        Quantity::try_from(limit).ok().filter(|limit| !limit.is_zero())
    };
    let spec = pod.spec.as_ref()?;
    limit(spec.resources.as_ref()).or_else(|| {
        let limits = spec.containers.iter().map(|container| limit(container.resources.as_ref()));
        limits.collect::<Option<Vec<_>>>()?.into_iter().reduce(Quantity::saturating_add)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn volume(in_memory: bool, limit: Option<&str>) -> Volume {
        let limit = limit.map(|limit| limit.parse().expect("a quantity"));
        Volume { name: "x".to_owned(), folder: PathBuf::new(), in_memory, limit }
    }

    #[test]
    fn what_is_too_much_is_named() {
        let check = |volume: Volume, used: u64, words: Option<&str>| {
            assert_eq!(exceeded(&[volume], &[used]).as_deref(), words);
        };
        check(volume(false, None), u64::MAX, None);
        check(volume(false, Some("1Mi")), 1 << 20, None);
        let words = "Usage of EmptyDir volume \"x\" exceeds the limit \"1Mi\". ";
        check(volume(true, Some("1Mi")), (1 << 20) + 1, Some(words));
    }

    #[test]
    fn the_less_is_left_the_sooner_it_is_measured_again() {
        let check = |volume: Volume, used: u64, millis: u64| {
            assert_eq!(pause(&[volume], &[used]), Duration::from_millis(millis));
        };
        check(volume(true, None), 0, 1000);
        check(volume(false, Some("100Gi")), 0, 10_000);
        check(volume(false, Some("4Gi")), 2 << 30, 1000);
        check(volume(true, Some("64Mi")), 0, 100);
        check(volume(true, Some("64Mi")), 1 << 40, 100);
    }

    #[test]
    fn a_pod_may_use_what_its_containers_may() {
        let check = |spec: Value, expected: Option<i64>| {
            let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a pod");
            assert_eq!(memory_limit(&pod).map(Quantity::value), expected);
        };
        let limited = |memory: &str| json!({"name": "c", "resources": {"limits": {"memory": memory}}});
        check(json!({"containers": [limited("1Mi"), limited("2Mi")]}), Some(3 << 20));
        check(json!({"containers": [limited("1Mi"), {"name": "d"}]}), None);
        let whole = json!({"resources": {"limits": {"memory": "5Mi"}}, "containers": [{"name": "d"}]});
        check(whole, Some(5 << 20));
    }
}
