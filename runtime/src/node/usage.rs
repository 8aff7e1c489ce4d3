//! What the running containers of this node use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::Key;

use crate::engine::ContainerConfig;
use crate::limits::ContainerLimits;
use crate::logs::LogFile;

/// What one running container has used since it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// The container's name.
    pub name: Arc<str>,
    /// CPU time spent.
    pub cpu_used: Duration,
    /// How long its guest was held back by its CPU limit; counted when a wait is over, for each instance by itself.
    pub throttled: Duration,
    /// Memory in use now.
    pub memory_bytes: u64,
    /// How long it was held back because it wrote its output too fast; counted when a wait is over.
    pub log_throttled: Duration,
}

/// The running containers, by pod and in the order of their starts.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage(Arc<Mutex<Spenders>>);

#[derive(Debug, Default)]
struct Spenders {
    running: BTreeMap<(Key, u64), Spender>,
    next: u64,
}

/// Where to read what a container uses.
#[derive(Debug)]
pub(super) struct Spender {
    name: Arc<str>,
    limits: ContainerLimits,
    log: LogFile,
}

/// Counts a container among the running until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    usage: Usage,
    place: (Key, u64),
}

impl Usage {
    pub(super) fn count(&self, pod: Key, spender: Spender) -> Counted {
        let mut spenders = self.lock();
        let place = (pod, spenders.next);
        spenders.next += 1;
        spenders.running.insert(place.clone(), spender);
        drop(spenders);
        Counted { usage: self.clone(), place }
    }

    pub(super) fn of(&self, pod: &Key) -> Vec<ContainerUsage> {
        let spenders = self.lock();
        let of_pod = spenders.running.range((pod.clone(), 0)..=(pod.clone(), u64::MAX));
        of_pod.map(|(_, spender)| spender.usage()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Spenders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spender {
    pub(super) fn new(config: &ContainerConfig, log: &LogFile) -> Self {
        Self { name: config.name.as_str().into(), limits: config.limits.clone(), log: log.clone() }
    }

    fn usage(&self) -> ContainerUsage {
        ContainerUsage {
            name: Arc::clone(&self.name),
            cpu_used: self.limits.cpu_used(),
            throttled: self.limits.cpu_held(),
            memory_bytes: self.limits.memory_used(),
            log_throttled: self.log.held(),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.usage.lock().running.remove(&self.place);
    }
}
