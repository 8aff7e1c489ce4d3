//! How busy the scheduler is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::framework::Latencies;

/// How busy the scheduler is, in the terms of the `scheduler_*` metrics of Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Pods whose turn comes next: the queue `active`.
    pub active: usize,
    /// Pods that rest before they are tried again: the queue `backoff`.
    pub backoff: usize,
    /// Pods that no node takes, until something changes: the queue `unschedulable`.
    pub unschedulable: usize,
    /// Attempts that gave a pod its node.
    pub scheduled: u64,
    /// Attempts that found no node.
    pub refused: u64,
    /// Attempts that found a node, and the API would not have it.
    pub failed: u64,
    /// How long the attempts took that gave a pod its node, from the decision until it was bound.
    pub attempts: Latencies,
    /// How long pods waited from when they were seen until they were bound.
    pub waited: Latencies,
}

/// Where the scheduler notes it, and others read it.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Load>);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The pod has its node.
    Scheduled {
        /// Since the decision.
        attempt: Duration,
        /// Since the pod was seen.
        waited: Duration,
    },
    /// No node takes it.
    Refused,
    /// The API did not give it to the node.
    Failed,
}

impl Meter {
    /// How busy it is.
    pub(crate) fn load(&self) -> Load {
        *self.lock()
    }

    /// Counts an attempt.
    pub(super) fn note(&self, outcome: Outcome) {
        let mut load = self.lock();
        match outcome {
            Outcome::Scheduled { attempt, waited } => {
                load.scheduled += 1;
                load.attempts.note(attempt);
                load.waited.note(waited);
            }
            Outcome::Refused => load.refused += 1,
            Outcome::Failed => load.failed += 1,
        }
    }

    /// Notes how many pods wait: for their turn, for a while, and for a change.
    pub(super) fn waiting(&self, (active, backoff, unschedulable): (usize, usize, usize)) {
        let mut load = self.lock();
        (load.active, load.backoff, load.unschedulable) = (active, backoff, unschedulable);
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
